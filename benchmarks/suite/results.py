"""What a measure brings."""

from __future__ import annotations

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """How long the rounds are and how many; `share` of the usual number of jobs."""

    rounds: int = 3
    share: float = 1.0

    @property
    def small(self) -> bool:
        """Only to see that it works."""
        return self.share < 0.1

    def jobs(self, usual: int) -> int:
        """How many jobs, in thousands where there are that many."""
        count = max(200, int(usual * self.share))
        return count - count % 1000 if count > 1000 else count


@dataclass(frozen=True)
class Pair:
    """Figures of a baseline and of Backburner, round by round; without a baseline its list is empty."""

    base: list[float]
    ours: list[float]

    @property
    def ratios(self) -> list[float]:
        """Ours by the baseline of the same round."""
        return [ours / base for base, ours in zip(self.base, self.ours, strict=True)] if self.base else []


def median(figures: list[float]) -> float:
    """Of some rounds."""
    return statistics.median(figures)


def spread(figures: list[float], digits: int = 0) -> str:
    """The median with the lowest and the highest, as people read it."""

    def text(figure: float) -> str:
        return f"{figure:,.{digits}f}"

    if not figures:
        return ""
    if len(figures) == 1:
        return text(figures[0])
    return f"{text(median(figures))} ({text(min(figures))} to {text(max(figures))})"


def percentile(figures: list[float], share: float) -> float:
    """The figure that so many are not above."""
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
