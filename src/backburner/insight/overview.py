"""`Overview`: is it well, and if not, where to look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from backburner.control import COUNT_LIMIT, Control
from backburner.insight.charts import Charts, Point
from backburner.job import Job, JobFilter
from backburner.queues import Queues
from backburner.recurrence import LATE
from backburner.schedules import Schedules
from backburner.states import JobState
from backburner.workers import Workers, WorkerState

if TYPE_CHECKING:
    from backburner.database import Database

SILENT = timedelta(minutes=2)
"""A job that reports progress, and has not for so long, is silent."""
FAILING_SHARE, FAILING_LEAST = 0.1, 5
"""A task needs attention when so large a share of its attempts, and so many, failed within the hour."""
MOST = 20


@dataclass(frozen=True, slots=True)
class QueueLine:
    """How a queue stands. `oldest`, `wait_p95` and `empty_in` are seconds, None where nobody can tell.

    `queued` and `running` count no further than 10,000. `slots` is how many of its jobs can run at once: its
    limit, or what its workers have. `depths` are jobs waiting at most in each five minutes of the last hour.
    """

    name: str
    queued: int
    oldest: float | None
    running: int
    slots: int
    wait_p95: float | None
    per_minute: float
    empty_in: float | None
    workers: int
    paused: bool
    paused_by: str | None
    paused_at: datetime | None
    reason: str | None
    depths: tuple[int, ...]

    @property
    def unserved(self) -> bool:
        """Jobs wait, and no live worker takes them."""
        return self.queued > 0 and self.workers == 0 and not self.paused


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing that needs somebody. `kind` is unserved, failing, silent, paused or late.

    `subject` is the queue, task, job or schedule it is about; `count` how many jobs or percent it concerns.
    """

    kind: str
    subject: str
    title: str
    text: str
    since: datetime | None = None
    count: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures at the top. Counts stop at 10,000; `oldest` is seconds, in the queue `oldest_in`."""

    queued: int
    queued_paused: int
    oldest: float | None
    oldest_in: str | None
    running: int
    slots: int
    workers: int
    hosts: int
    retrying: int
    hour: Point
    before: Point
    """The hour before that."""


class Overview:
    """`jobs.insight.overview`: each part is a few looks at indexes, whatever is stored."""

    def __init__(
        self, database: Database, control: Control, queues: Queues, workers: Workers, schedules: Schedules,
        charts: Charts,
    ) -> None:  # fmt: skip
        self._database, self._control = database, control
        self._queues, self._workers, self._schedules, self._charts = queues, workers, schedules, charts

    def figures(self, lines: Sequence[QueueLine] | None = None) -> Figures:
        """The figures; `lines` when somebody has them already."""
        lines = self.queues() if lines is None else lines
        workers = [one for one in self._workers.list() if one.alive]
        oldest = max((one for one in lines if one.oldest is not None), key=lambda one: one.oldest or 0, default=None)
        # The hour before is told by the steps of six hours.
        steps = self._charts.series("6h").points
        retrying = self._control.tally(JobFilter(states=frozenset({JobState.RETRYING})), COUNT_LIMIT)
        return Figures(
            queued=sum(one.queued for one in lines),
            queued_paused=sum(one.queued for one in lines if one.paused),
            oldest=None if oldest is None else oldest.oldest,
            oldest_in=None if oldest is None else oldest.name,
            running=sum(one.running for one in lines),
            slots=sum(one.concurrency for one in workers),
            workers=len(workers),
            hosts=len({one.host for one in workers}),
            retrying=retrying.states.get(JobState.RETRYING, 0),
            hour=self._charts.series("1h").whole,
            before=_summed(steps[-25:-13]),
        )

    def queues(self) -> list[QueueLine]:
        """Every queue: most waiting first, paused ones last."""
        store = self._database.store
        states = {one.name: one for one in self._queues.standing()}
        everything = states.pop("*", None)
        done, depths = self._charts.by_queue("1h"), self._charts.depths("1h")
        names = sorted(states.keys() | done.keys())
        queued, oldest = store.reports.queued(names, COUNT_LIMIT), self._control.next_waits(names)
        running, workers = store.standing.running_by_queue(), [one for one in self._workers.list() if one.alive]
        found = []
        for name in names:
            state, mine = states.get(name), [one for one in workers if _takes(one, name)]
            pause = everything if everything is not None else state if state is not None and state.paused else None
            point = done.get(name)
            minutely = point.finished / 60 if point is not None else 0.0
            limit = state.most if state is not None else None
            found.append(
                QueueLine(
                    name, queued[name], oldest.get(name), running.get(name, 0),
                    limit if limit is not None else sum(one.concurrency for one in mine),
                    point.wait_p95 if point is not None else None, minutely,
                    queued[name] / minutely * 60 if minutely and queued[name] and pause is None else None,
                    len(mine), pause is not None, pause.paused_by if pause is not None else None,
                    pause.paused_at if pause is not None else None, pause.reason if pause is not None else None,
                    depths.get(name, ()),
                )
            )  # fmt: skip
        return sorted(found, key=lambda one: (one.paused, -one.queued, one.name))

    def longest(self, limit: int = 4) -> list[Job]:
        """The jobs that have been running longest."""
        ids = self._database.store.standing.longest(limit)
        found = self._control.glance(ids)
        return [found[one] for one in ids if one in found]

    def attention(self, lines: Sequence[QueueLine] | None = None) -> list[Attention]:
        """What needs somebody, the worst first; empty when all is well."""
        lines = self.queues() if lines is None else lines
        found = [_unserved(one) for one in lines if one.unserved]
        found += self._failing()
        found += self._silent()
        found += [_paused(one) for one in lines if one.paused]
        found += self._late()
        return found[:MOST]

    def _failing(self) -> list[Attention]:
        now, muted = self._database.store.clock.now(), set[str]()
        latest: dict[str, str] = {}
        for group in self._database.store.failures.groups(now - timedelta(hours=1)):
            if group.muted(now):
                muted.add(group.task)
            else:
                latest.setdefault(group.task, group.error_type)
        found = []
        for task, point in self._charts.by_task("1h").items():
            bad = point.failed + point.retried
            share = bad / max(1, point.finished + point.retried)
            if share >= FAILING_SHARE and bad >= FAILING_LEAST and (task in latest or task not in muted):
                text = f"{latest.get(task, 'Failures')} in the last hour, {_jobs(point.failed)} failed"
                found.append(Attention("failing", task, f"{share:.0%} of {task} fails", text, count=round(share * 100)))
        return sorted(found, key=lambda one: -one.count)

    def _silent(self) -> list[Attention]:
        now = self._database.store.clock.now()
        silent = self._database.store.standing.silent(now - SILENT, MOST)
        jobs = self._control.glance(list(silent))
        return [
            Attention("silent", job, f"{jobs[job].name} is silent", f"No sign of life for {_long(now - since)}", since)
            for job, since in silent.items()
            if job in jobs and jobs[job].state is JobState.RUNNING
        ]

    def _late(self) -> list[Attention]:
        now = self._database.store.clock.now()
        return [
            Attention(
                "late", one.name, f"Schedule {one.name} is {_long(now - one.next_at)} late",
                "No worker has come to it", one.next_at,
            )
            for one in self._schedules.list()
            if one.active and one.next_at is not None and now - one.next_at > LATE
        ]  # fmt: skip


def _takes(worker: WorkerState, queue: str) -> bool:
    return worker.told is None and (worker.queues is None or queue in worker.queues)


def _unserved(one: QueueLine) -> Attention:
    oldest = "" if one.oldest is None else f", the oldest for {_long(timedelta(seconds=one.oldest))}"
    verb = "waits" if one.queued == 1 else "wait"
    text = f"{_jobs(one.queued)} {verb}{oldest}"
    return Attention("unserved", one.name, f"No live worker takes queue {one.name}", text, count=one.queued)


def _paused(one: QueueLine) -> Attention:
    told = ", ".join(part for part in (one.paused_by, one.reason) if part)
    text = told or f"{_jobs(one.queued)} wait"
    return Attention("paused", one.name, f"Queue {one.name} is paused", text, one.paused_at, one.queued)


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count:,} jobs" + (" or more" if count >= COUNT_LIMIT else "")


def _long(span: timedelta) -> str:
    seconds = max(0, int(span.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02} min"


def _summed(points: Sequence[Point]) -> Point:
    """Counts of several steps together; of percentiles the worst."""
    at = points[0].at
    ends = [sum(getattr(one, name) for one in points) for name in ("succeeded", "failed", "retried", "finished")]
    names = ("wait_p50", "wait_p95", "wait_p99", "run_p50", "run_p95", "run_p99")
    worst = [
        max((value for one in points if (value := getattr(one, name)) is not None), default=None) for name in names
    ]
    return Point(at, *ends, *worst)
