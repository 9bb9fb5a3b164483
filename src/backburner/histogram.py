"""`Histogram`: how long things took, in buckets that double from one millisecond on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BUCKETS = 28
"""The last one has all from 2^26 ms (18.6 hours) on. Stored: a change of this number needs a migration."""


def bucket_of(milliseconds: float) -> int:
    """The bucket of a duration: 0 below 1 ms, 1 below 2 ms, 2 below 4 ms and so on."""
    return min(int(milliseconds).bit_length(), BUCKETS - 1) if milliseconds > 0 else 0


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many durations fell into each bucket."""

    counts: tuple[int, ...] = (0,) * BUCKETS

    @property
    def total(self) -> int:
        """How many durations there are."""
        return sum(self.counts)

    def percentile(self, share: float) -> float | None:
        """Seconds that this share of the durations (0.95) did not exceed; None without any.

        Inside its bucket it is estimated: it is off by a third at most.
        """
        total = self.total
        if total == 0:
            return None
        wanted, seen = share * total, 0
        for number, count in enumerate(self.counts):
            if count and seen + count >= wanted:
                low, high = edges(number)
                inside = max(0.0, (wanted - seen) / count)
                # Evenly on the logarithmic scale of the buckets.
                return (low * (high / low) ** inside if low else high * inside) / 1000
            seen += count
        return None

    def __add__(self, other: Histogram) -> Histogram:
        """Both together."""
        return Histogram(tuple(mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)))


NOTHING = Histogram()
"""No duration at all."""


def edges(number: int) -> tuple[float, float]:
    """From how many milliseconds to how many a bucket goes."""
    return (0.0, 1.0) if number == 0 else (2.0 ** (number - 1), 2.0**number)


def together(histograms: Sequence[Histogram]) -> Histogram:
    """All of them as one."""
    return (
        Histogram(tuple(map(sum, zip(*(one.counts for one in histograms), strict=True)))) if histograms else Histogram()
    )
