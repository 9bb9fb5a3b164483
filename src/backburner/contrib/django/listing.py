"""The admin's list of jobs: what the address of the page asks for, and the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from backburner.backburner import Backburner
from backburner.contrib.django.results import local
from backburner.control import COUNT_LIMIT
from backburner.job import Job, JobFilter
from backburner.progress import Progress
from backburner.states import JobState
from backburner.web import words
from backburner.web.sight import title_of
from backburner.where import Where

PER_PAGE = 50
_KEPT = ("q", "state", "task", "queue")


STATES = (
    JobState.RUNNING, JobState.QUEUED, JobState.BLOCKED, JobState.SCHEDULED, JobState.RETRYING, JobState.SUCCEEDED,
    JobState.FAILED, JobState.INTERRUPTED, JobState.CANCELLED, JobState.SKIPPED,
)  # fmt: skip
"""In the order in which they are chosen from."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of a filter."""

    label: str
    address: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One job as the list shows it."""

    job: Job
    title: str
    message: str
    figure: str
    bar: float | None
    standing: str
    created: datetime | None
    ended: datetime | None


@dataclass(frozen=True, slots=True)
class Listing:
    """The page that was asked for."""

    rows: tuple[Row, ...] = ()
    query: str = ""
    kept: tuple[tuple[str, str], ...] = ()
    count: str = "0"
    older: str | None = None
    first: str | None = None
    filters: tuple[tuple[str, tuple[Choice, ...]], ...] = ()


def listing_of(jobs: Backburner, asked: Mapping[str, str]) -> Listing:
    """The page. Raises `InvalidOption` for a filter that is none."""
    kept = {name: asked[name] for name in _KEPT if asked.get(name)}
    which = _filter(kept, jobs.control.now())
    before = asked.get("before")
    page = jobs.control.search(replace(which, before=before) if before else which, PER_PAGE)
    tally = jobs.control.tally(which, COUNT_LIMIT)
    now = jobs.control.now()
    return Listing(
        rows=tuple(row_of(job, now) for job in page.jobs),
        query=kept.get("q", ""),
        kept=tuple((name, value) for name, value in kept.items() if name != "q"),
        count=words.capped(sum(tally.states.values())) + ("" if tally.complete else "+"),
        older=_address(kept, before=page.next) if page.next else None,
        first=_address(kept) if before else None,
        filters=tuple(_filters(jobs, kept)),
    )


def row_of(job: Job, now: datetime) -> Row:
    """One job as the list shows it."""
    progress = job.progress
    bar = progress.share if progress is not None and not job.done else None
    return Row(
        job,
        title_of(job),
        _message(job, progress),
        words.percent(bar) if bar is not None else words.counted(progress) if progress is not None else "",
        bar,
        words.standing(job, now).text,
        local(job.created_at),
        local(job.finished_at),
    )


def _message(job: Job, progress: Progress | None) -> str:
    if job.error and job.state in (JobState.FAILED, JobState.RETRYING):
        return job.error.splitlines()[0].rstrip(": ")
    if job.reason:
        return job.reason
    if progress is None:
        return ""
    return words.balance(progress) or progress.message or progress.stage or ""


def _filter(kept: Mapping[str, str], now: datetime) -> JobFilter:
    which = Where.of(kept.get("q", "")).filter(now)
    if "state" in kept:
        which = replace(which, states=frozenset({JobState(kept["state"])} if kept["state"] in list(JobState) else ()))
    if "task" in kept:
        which = replace(which, task=kept["task"])
    if "queue" in kept:
        which = replace(which, queue=kept["queue"])
    return which


def _filters(jobs: Backburner, kept: Mapping[str, str]) -> Iterator[tuple[str, tuple[Choice, ...]]]:
    yield "state", tuple(_choices("state", [(state.value, state.value.capitalize()) for state in STATES], kept))
    yield "task", tuple(_choices("task", [(task.name, task.name) for task in jobs.registry], kept))
    queues = sorted({*(jobs.settings.queues or ()), *(task.enqueue_options.queue for task in jobs.registry)})
    if len(queues) > 1 or "queue" in kept:
        yield "queue", tuple(_choices("queue", [(name, name) for name in queues], kept))


def _choices(name: str, values: list[tuple[str, str]], kept: Mapping[str, str]) -> Iterator[Choice]:
    others = {key: value for key, value in kept.items() if key != name}
    yield Choice("All", _address(others), name not in kept)
    for value, label in values:
        yield Choice(label, _address(others, **{name: value}), kept.get(name) == value)


def _address(kept: Mapping[str, str], **more: Any) -> str:
    return f"?{urlencode({**kept, **more})}"
