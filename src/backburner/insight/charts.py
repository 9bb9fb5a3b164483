"""`Charts`: what happened over time: ends of attempts, waits and run times, by queue and task."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from backburner.errors import InvalidOption
from backburner.rollup import Rollup, added, minute_of, time_of

if TYPE_CHECKING:
    from backburner.database import Database

RANGES = {
    "1h": (60, 1, 5),
    "6h": (360, 5, 5),
    "24h": (1_440, 15, 60),
    "7d": (10_080, 120, 240),
    "30d": (43_200, 480, 480),
}
"""Each range in minutes, and the minutes of one step in it: for all jobs, and for those of a queue or task."""


@dataclass(frozen=True, slots=True)
class Point:
    """One step of a chart: counts of ends, and percentiles in seconds, None where nothing was measured."""

    at: datetime
    succeeded: int
    failed: int
    retried: int
    finished: int
    wait_p50: float | None
    wait_p95: float | None
    wait_p99: float | None
    run_p50: float | None
    run_p95: float | None
    run_p99: float | None


@dataclass(frozen=True, slots=True)
class Series:
    """A chart from `since` to now in equal steps, and all of it as one point."""

    range: str
    since: datetime
    step: timedelta
    points: tuple[Point, ...]
    whole: Point


class Charts:
    """Reads rollups. Minutes that a worker has not written yet, the latest ten seconds, are missing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def series(self, range: str = "1h", *, queue: str | None = None, task: str | None = None) -> Series:  # noqa: A002
        """The chart of a range, of all jobs, or of a queue or a task. Raises `InvalidOption`."""
        since, step = self.since(range), RANGES[range][1 if queue is None and task is None else 2]
        since -= since % step
        found = {one.minute: one for one in self._database.store.rollups.series(since, step, queue, task)}
        now = minute_of(self._database.store.clock.now())
        points = [found.get(minute, Rollup(minute, "", "")) for minute in _steps(since, now, step)]
        whole = point_of(added(points, since))
        return Series(range, time_of(since), timedelta(minutes=step), tuple(map(point_of, points)), whole)

    def by_queue(self, range: str = "1h") -> dict[str, Point]:  # noqa: A002
        """A range as one point for each queue."""
        found = self._database.store.rollups.by_queue(self.since(range))
        return {name: point_of(one) for name, one in found.items()}

    def by_task(self, range: str = "1h") -> dict[str, Point]:  # noqa: A002
        """A range as one point for each task."""
        found = self._database.store.rollups.by_task(self.since(range))
        return {name: point_of(one) for name, one in found.items() if name}

    def depths(self, range: str = "1h") -> dict[str, tuple[int, ...]]:  # noqa: A002
        """How many jobs waited in each queue, step by step; 0 where nobody looked."""
        since, step = self.since(range), RANGES[range][2]
        since -= since % step
        now = minute_of(self._database.store.clock.now())
        return {
            queue: tuple(depths.get(minute, 0) for minute in _steps(since, now, step))
            for queue, depths in self._database.store.rollups.depths(since, step).items()
        }

    def since(self, range: str) -> int:  # noqa: A002
        """The minute at which a range begins. Raises `InvalidOption`."""
        if range not in RANGES:
            raise InvalidOption("range", range, "is no range of a chart", f"Use {', '.join(RANGES)}")
        store = self._database.store
        store.ready()
        return minute_of(store.clock.now()) - RANGES[range][0] + 1


def point_of(one: Rollup) -> Point:
    """A rollup as people read it."""
    percentiles = [times.percentile(share) for times in (one.waits, one.runs) for share in (0.5, 0.95, 0.99)]
    return Point(one.at, one.succeeded, one.failed, one.retried, one.finished, *percentiles)


def _steps(since: int, now: int, step: int) -> range:
    return range(since, now + 1, step)
