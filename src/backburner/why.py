"""`Why`: why a job is not running, in sentences for people."""

from __future__ import annotations

import json
from datetime import datetime

from backburner.contradictions import ALL_QUEUES
from backburner.database import Database
from backburner.errors import JobNotFound
from backburner.job import Job
from backburner.registry import Registry
from backburner.relations import LAUNCH, LAUNCH_ALONE, PARENTS
from backburner.states import JobState

_COUNTED = 1_000
"""How far the jobs in line before one are counted."""
_SHOWN = 10
"""How many of the jobs that one waits for are named."""


class Why:
    """Explains waiting jobs from what is stored of them, of their queue and of the workers."""

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database, self._registry = database, registry

    def sentences(self, job: Job) -> list[str]:
        """The reasons, the weightiest first; none for a job that runs or is done."""
        if not job.state.waiting:
            return []
        if job.position == 0:
            # As enqueue returned it, before anybody read its place from the database.
            try:
                job = self._database.store.jobs.get(job.id)
            except JobNotFound:
                return ["Its enqueue is not committed."]
            return self.sentences(job)
        if job.state is JobState.BLOCKED and job.blocked_on == PARENTS:
            return self._parents(job) + _expiry(job)
        if job.state is JobState.BLOCKED and job.blocked_on != "group":
            return [_held(job)]
        found = self._pauses(job)
        if job.group is not None and job.state in (JobState.QUEUED, JobState.BLOCKED):
            found += self._group(job)
        if job.state is JobState.RETRYING:
            found.append(f"It failed ({_first_line(job.error or job.reason)}) and runs again at {_clock(job.run_at)}.")
        elif job.state is JobState.SCHEDULED:
            found.append(f"Not before {_clock(job.run_at)}.")
            if job.reason:
                found.append(f"It waits: {_first_line(job.reason)}.")
        found += [one for one in self._workers(job) if one not in found]
        if job.state is JobState.QUEUED:
            found += self._cap(job)
            if job.group is None:
                found.append(self._line(job))
        return found + _expiry(job)

    def _parents(self, job: Job) -> list[str]:
        """What it waits for, of many the first ones."""
        waits = [one for one in self._database.store.waits.of(job.id) if not one.met]
        found = []
        for one in waits[:_SHOWN]:
            how = "which is gone" if one.state is None else f"{one.name}, which is {one.state}"
            found.append(f"It waits for {one.parent}: {how}.")
        if len(waits) > _SHOWN:
            found.append(f"It waits for {len(waits) - _SHOWN:,} more.")
        return found

    def _workers(self, job: Job) -> list[str]:
        store = self._database.store
        now = store.clock.now()
        live = [worker for worker in store.workers.live() if worker.lease_until >= now]
        if not live:
            return ["No worker is running."]
        live = [worker for worker in live if worker.told is None]
        if not live:
            return ["Every live worker was told to take nothing more."]
        of_queue = [worker for worker in live if worker.queues is None or job.queue in json.loads(worker.queues)]
        if not of_queue:
            return [f"No live worker takes queue {job.queue}."]
        if any(_takes(worker.priorities, job.priority) for worker in of_queue):
            return []
        return [f"No live worker of queue {job.queue} takes priority {job.priority}."]

    def _pauses(self, job: Job) -> list[str]:
        found = []
        for pause in self._database.store.queues.pauses(job.queue):
            name = "Everything" if pause.name == ALL_QUEUES else f"Queue {pause.name}"
            parts = [f"{name} is paused"]
            if pause.paused_at is not None:
                parts.append(f"since {_clock(pause.paused_at)}")
            if pause.paused_until is not None:
                parts.append(f"until {_clock(pause.paused_until)}")
            if pause.paused_by:
                parts.append(f"by {pause.paused_by}")
            found.append(" ".join(parts) + (f": {_first_line(pause.reason)}." if pause.reason else "."))
        return found

    def _group(self, job: Job) -> list[str]:
        """Who is before it in its group."""
        assert job.group is not None
        groups = self._database.store.groups
        holder = groups.holder(job.group)
        if holder == job.id:
            return []
        place = groups.place(job.id, job.group, job.priority, job.position, _COUNTED)
        found = []
        ahead = holder if holder is not None else groups.first(job.group)
        before = None
        if ahead is not None and ahead != job.id:
            before = self._database.store.jobs.get_many([ahead]).get(ahead)
        if before is not None:
            found.append(f"Behind job {ahead} of group {job.group}, which is {before.state}.")
            if before.state is JobState.QUEUED and before.queue != job.queue:
                # What keeps that one waiting keeps this one: it may be in a queue that nobody serves.
                found += self._pauses(before) + self._workers(before)
        if place > 1 or holder is not None:
            found.append(f"{_ordinal(place)} in line in group {job.group}.")
        return found

    def _cap(self, job: Job) -> list[str]:
        """Whether as many run as may, of its task or of its queue."""
        limits, found = self._database.store.limits, []
        cap = self._registry.cap_of(job.task)
        if cap is not None and limits.running("task", cap.names) >= cap.most:
            jobs = "1 job" if cap.most == 1 else f"{cap.most:,} jobs"
            found.append(
                f"At most {jobs} of task {cap.names[0]} may run at once, and {'does' if cap.most == 1 else 'do'}."
            )
        most = limits.capped_queues().get(job.queue)
        if most is not None and limits.running("queue", (job.queue,)) >= most:
            found.append(f"Queue {job.queue} may run {most} at once, and does.")
        return found

    def _line(self, job: Job) -> str:
        place = self._database.store.jobs.position_in_line(job, _COUNTED)
        if place > _COUNTED:
            return f"{_COUNTED:,} jobs or more are before it in queue {job.queue}."
        return f"{_ordinal(place)} in line in queue {job.queue}."


def _takes(priorities: str | None, priority: int) -> bool:
    if priorities is None:
        return True
    low, high = json.loads(priorities)
    return bool(low <= priority <= high)


def _expiry(job: Job) -> list[str]:
    return [] if job.expires_at is None else [f"It is skipped when it has not started by {_clock(job.expires_at)}."]


def _held(job: Job) -> str:
    if job.blocked_on in (LAUNCH, LAUNCH_ALONE):
        return "It waits for the process that was started for it."
    if job.blocked_on == "unknown task":
        return f"Task name {job.task} is unknown to all live workers."
    why = job.error or job.reason
    return f"It is held ({job.blocked_on or 'blocked'})" + (f": {_first_line(why)}." if why else ".")


def _first_line(text: str | None) -> str:
    lines = (text or "").strip().splitlines()
    return lines[0][:200].rstrip(".") if lines else "no reason given"


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _ordinal(number: int) -> str:
    tail = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{tail}"
