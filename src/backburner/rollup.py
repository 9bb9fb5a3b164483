"""`Rollup`: what happened in a minute, or in more of them, counted: ends of attempts, waits, run times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from backburner.histogram import NOTHING, Histogram, together
from backburner.states import JobState

ENDS = {
    JobState.SUCCEEDED: 0,
    JobState.FAILED: 1,
    JobState.RETRYING: 2,
    JobState.INTERRUPTED: 3,
    JobState.CANCELLED: 4,
    JobState.SKIPPED: 5,
}
"""Which ends of attempts are counted, and at which place of `Rollup.ends`."""


@dataclass(frozen=True, slots=True)
class Rollup:
    """Counts of one queue and one task from `minute` (counted from 1970) on.

    `ends` counts in the order of `ENDS`. `waits` is from when a job could run to its start, `runs` how long it ran.
    """

    minute: int
    queue: str
    task: str
    ends: tuple[int, ...] = (0,) * len(ENDS)
    waits: Histogram = NOTHING
    runs: Histogram = NOTHING

    @property
    def at(self) -> datetime:
        """When it begins, UTC."""
        return time_of(self.minute)

    @property
    def succeeded(self) -> int:
        """Attempts that succeeded."""
        return self.ends[0]

    @property
    def failed(self) -> int:
        """Jobs that failed for good."""
        return self.ends[1]

    @property
    def retried(self) -> int:
        """Attempts that failed and are tried again."""
        return self.ends[2]

    @property
    def finished(self) -> int:
        """Jobs that came to an end of any kind."""
        return sum(self.ends) - self.retried


def added(rollups: Sequence[Rollup], minute: int) -> Rollup:
    """All of them together, of no queue and no task."""
    ends = tuple(map(sum, zip(*(one.ends for one in rollups), strict=True))) if rollups else (0,) * len(ENDS)
    waits, runs = together([one.waits for one in rollups]), together([one.runs for one in rollups])
    return Rollup(minute, "", "", ends, waits, runs)


def minute_of(moment: datetime) -> int:
    """Minutes from 1970 to a moment."""
    return int(moment.timestamp() // 60)


def time_of(minute: int) -> datetime:
    """The moment of a minute, UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
