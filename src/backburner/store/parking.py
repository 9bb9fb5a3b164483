"""Which of several new jobs of one group have to be queued: the first is enough, whoever takes it finds the others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from backburner.job import NewJob
from backburner.store.conditions import GROUP


def parked(jobs: Sequence[NewJob], now: datetime) -> Sequence[NewJob]:
    """`jobs`, stored together, with all but the first of each group parked."""
    if len(jobs) < 2 or all(job.group_name is None for job in jobs):
        return jobs
    first: dict[str, int] = {}
    ready = [job.group_name is not None and job.blocked_on is None and job.run_at <= now for job in jobs]
    for index, job in enumerate(jobs):
        name = job.group_name
        if ready[index] and name is not None and (name not in first or job.priority < jobs[first[name]].priority):
            first[name] = index
    heads = set(first.values())
    return [
        job._replace(blocked_on=GROUP) if ready[index] and index not in heads else job for index, job in enumerate(jobs)
    ]
