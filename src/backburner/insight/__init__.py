"""What operators look at, and what they do: `jobs.insight`, the class `Insight` of `backburner.insight.insight`."""
