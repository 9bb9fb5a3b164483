"""What operators look at, and what they do: `jobs.insight`."""

from backburner.insight.insight import Insight

__all__ = ["Insight"]
