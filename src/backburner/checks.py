"""`Checks`: everything that has to be so before a waiting job can run, and which of it is not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from backburner.contradictions import ALL_QUEUES
from backburner.database import Database
from backburner.job import Job
from backburner.registry import Registry
from backburner.relations import LAUNCH, LAUNCH_ALONE, PARENTS
from backburner.states import JobState

if TYPE_CHECKING:
    from backburner.store.workers import WorkerRow

_COUNTED = 1_000
"""How far the jobs in line before one are counted."""
_HOSTS = 3
"""How many hosts of workers are named."""
_GROUP = "group"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to be so. `headline` says in one sentence why the job does not run when it is not.

    `job` is the id of another job that it hangs on, and `unnamed` the detail for those who must not know of that one.
    `queue` is the name of a queue that is not open.
    """

    name: str
    met: bool
    title: str
    detail: str = ""
    headline: str = ""
    job: str | None = None
    queue: str | None = None
    unnamed: str = ""


class Checks:
    """Looks at what is stored of a job, of its queue and group, and of the workers."""

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database, self._registry = database, registry

    def of(self, job: Job) -> list[Check]:
        """The checks of a waiting job, those that are not met first; none for one that runs or is done."""
        if not job.state.waiting:
            return []
        store = self._database.store
        now = store.clock.now()
        live = [one for one in store.workers.live() if one.lease_until >= now]
        found = [
            self._time(job, now),
            self._parents(job),
            self._group(job),
            self._queue(job),
            *self._caps(job),
            _worker(job, live),
            _known(job, live),
        ]
        if job.state is JobState.QUEUED and job.group is None and all(one.met for one in found):
            found.append(self._line(job))
        return sorted(found, key=lambda one: one.met)

    def line(self, job: Job, limit: int) -> Sequence[str]:
        """The ids of the jobs around a waiting one in its line, the next to run first."""
        reports = self._database.store.reports
        if job.group is not None:
            return reports.line_of_group(job.group, limit)
        return reports.line_of_queue(job.queue, limit) if job.state is JobState.QUEUED else ()

    def _time(self, job: Job, now: datetime) -> Check:
        if job.state is JobState.RETRYING:
            error = (job.error or job.reason or "").strip().splitlines()
            why = f"It failed: {error[0][:200]}" if error else "It failed, and is tried again then"
            at = _clock(job.run_at)
            return Check(
                "time", met=False, title="It waits to be tried again", detail=why, headline=f"runs again at {at}"
            )
        if job.state is JobState.SCHEDULED:
            why = job.reason.strip() if job.reason else "This time was set when it was enqueued"
            return Check(
                "time",
                met=False,
                title="Its time has not come",
                detail=why,
                headline=f"not before {_clock(job.run_at)}",
            )
        set_then = job.run_at > job.created_at
        return Check(
            "time",
            met=True,
            title="Its time has come",
            detail=_clock(job.run_at) if set_then else "no start time was set",
        )

    def _parents(self, job: Job) -> Check:
        if job.state is not JobState.BLOCKED or job.blocked_on != PARENTS:
            return Check("parents", met=True, title="It waits for no other job", detail="")
        waits = [one for one in self._database.store.waits.of(job.id) if not one.met]
        if not waits:
            return Check("parents", met=False, title="It waits for other jobs", headline="behind other jobs")
        first = waits[0]
        what = first.name or "a job that is gone"
        state = f", which is {first.state}" if first.state is not None else ""
        more = f", and {len(waits) - 1:,} more" if len(waits) > 1 else ""
        jobs = "1 other job" if len(waits) == 1 else f"{len(waits):,} other jobs"
        return Check(
            "parents", met=False, title="It waits for other jobs", detail=f"{what}{state}{more}",
            headline=f"waits for {jobs}", job=first.parent.job if first.state is not None else None,
        )  # fmt: skip

    def _group(self, job: Job) -> Check:
        if job.group is None:
            return Check("group", met=True, title="It is in no group", detail="nothing has to end before it")
        groups = self._database.store.groups
        holder = groups.holder(job.group)
        place = groups.place(job.id, job.group, job.priority, job.position, _COUNTED)
        before = place - 1 + (1 if holder not in (None, job.id) else 0)
        if before == 0:
            return Check("group", met=True, title=f"It is the first of group {job.group}")
        jobs = "1 job" if before == 1 else f"{before:,} jobs"
        detail = unnamed = f"{_ordinal(before + 1)} in line"
        if holder is not None:
            held = self._database.store.jobs.get_many([holder]).get(holder)
            detail = f"{held.name}, {held.state}" if held is not None else detail
        return Check(
            "group", met=False, title="The group is busy", detail=detail,
            headline=f"behind {jobs} of serial group {job.group}", job=holder, unnamed=unnamed,
        )  # fmt: skip

    def _queue(self, job: Job) -> Check:
        pauses = self._database.store.queues.pauses(job.queue)
        if not pauses:
            return Check("queue", met=True, title=f"Queue {job.queue} is open", detail="not paused")
        pause = pauses[-1]
        name = "everything" if pause.name == ALL_QUEUES else f"queue {pause.name}"
        parts = [f"since {_clock(pause.paused_at)}"] if pause.paused_at is not None else []
        parts += [f"until {_clock(pause.paused_until)}"] if pause.paused_until is not None else []
        parts += [f"by {pause.paused_by}"] if pause.paused_by else []
        detail = " ".join(parts) + (f": {pause.reason}" if pause.reason else "")
        title = f"{name[:1].upper()}{name[1:]} is paused"
        return Check("queue", met=False, title=title, detail=detail, headline=f"{name} is paused", queue=pause.name)

    def _caps(self, job: Job) -> list[Check]:
        """Whether as many run as may: of its queue, and of its task."""
        limits, found = self._database.store.limits, []
        most = limits.capped_queues().get(job.queue)
        if most is not None:
            running = limits.running("queue", (job.queue,))
            found.append(_cap(f"queue {job.queue}", running, most))
        cap = self._registry.cap_of(job.task)
        if cap is not None:
            found.append(_cap(f"task {cap.names[0]}", limits.running("task", cap.names), cap.most))
        return found

    def _line(self, job: Job) -> Check:
        place = self._database.store.jobs.position_in_line(job, _COUNTED)
        where = f"{_COUNTED:,} jobs or more are before it" if place > _COUNTED else f"{_ordinal(place)} in line"
        return Check(
            "line", met=False, title="A worker has to come free", detail=where, headline=f"{where} in queue {job.queue}"
        )


def _cap(what: str, running: int, most: int) -> Check:
    met = running < most
    title = f"{what[:1].upper()}{what[1:]} {'has room' if met else 'is full'}"
    detail = f"{running:,} of {most:,} at once"
    return Check("cap", met=met, title=title, detail=detail, headline=f"{what} runs as many as it may, {most:,}")


def _worker(job: Job, live: Sequence[WorkerRow]) -> Check:
    if job.blocked_on in (LAUNCH, LAUNCH_ALONE):
        return Check("worker", met=False, title="Its own process has to start", headline="waits for its own process")
    taking = [one for one in live if one.told is None]
    fitting = [one for one in taking if one.queues is None or job.queue in json.loads(one.queues)]
    able = [one for one in fitting if _takes(one.priorities, job.priority)]
    if able:
        hosts = sorted({one.host for one in able})
        shown = ", ".join(hosts[:_HOSTS]) + (f" and {len(hosts) - _HOSTS} more" if len(hosts) > _HOSTS else "")
        workers = "1 worker" if len(able) == 1 else f"{len(able):,} workers"
        return Check("worker", met=True, title="A live worker takes it", detail=f"{workers} on {shown}")
    if not live:
        why = "No worker is running"
    elif not taking:
        why = "Every live worker was told to take nothing more"
    elif not fitting:
        why = f"No live worker takes queue {job.queue}"
    else:
        why = f"No live worker of queue {job.queue} takes priority {job.priority}"
    return Check("worker", met=False, title=why, detail=f"{len(live):,} live", headline=why[:1].lower() + why[1:])


def _known(job: Job, live: Sequence[WorkerRow]) -> Check:
    if job.state is JobState.BLOCKED and job.blocked_on not in (PARENTS, _GROUP, LAUNCH, LAUNCH_ALONE):
        why = (job.error or job.reason or "").strip()
        if job.blocked_on == "unknown task":
            headline = f"task {job.task} is unknown to all live workers"
            return Check(
                "task", met=False, title="The task is unknown", detail="to all live workers", headline=headline
            )
        return Check("task", met=False, title="It is held", detail=why[:200], headline=f"held: {job.blocked_on}")
    said = [one for one in live if one.tasks is not None]
    knowing = [one for one in said if job.task in json.loads(one.tasks or "[]")]
    if said and not knowing:
        headline = f"task {job.task} is unknown to all live workers"
        return Check(
            "task", met=False, title="The task is unknown", detail=f"to {len(said):,} live workers", headline=headline
        )
    detail = f"to {len(knowing):,} of {len(said):,} live workers" if said else "as far as anybody has said"
    return Check("task", met=True, title="The task is known", detail=detail)


def _takes(priorities: str | None, priority: int) -> bool:
    if priorities is None:
        return True
    low, high = json.loads(priorities)
    return bool(low <= priority <= high)


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _ordinal(number: int) -> str:
    tail = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{tail}"
