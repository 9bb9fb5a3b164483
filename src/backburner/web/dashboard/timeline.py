"""`Timeline`: what happened to a job, one line per change of state, and what is expected next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from backburner.job import Job
from backburner.outcome import AttemptRecord
from backburner.states import JobState
from backburner.web import words

LONGEST = 300
"""The bar of the longest wait or run, in pixels."""
_RETRIED = frozenset({"retrying", "failed", "interrupted", "cancelled", "skipped", "succeeded"})


@dataclass(frozen=True, slots=True)
class Moment:
    """One line. `state` names its icon; `lasted` is what its bar is as long as, `open` when that goes on.

    An `expected` one has not happened; its time is near.
    """

    at: datetime
    state: str
    word: str
    text: str
    lasted: float | None = None
    caption: str = ""
    width: int = 0
    expected: bool = False


@dataclass(frozen=True, slots=True)
class Timeline:
    """The lines, and what they come to: the whole time, the waits, the work."""

    moments: tuple[Moment, ...]
    whole: float
    waited: float
    worked: float


def timeline_of(
    job: Job, attempts: Sequence[tuple[int, AttemptRecord]], now: datetime, host: str | None = None
) -> Timeline:
    """What is known of a job; a clean short success leaves no attempt. `host` is where it runs now."""
    found = list(_moments(job, attempts, now, host))
    end = job.finished_at or now
    filled = [
        _lasting(each, found[place + 1].at if place + 1 < len(found) else end, job, now)
        for place, each in enumerate(found)
    ]
    longest = max((each.lasted for each in filled if each.lasted), default=0.0)
    scaled = [
        replace(each, width=max(4, round(LONGEST * each.lasted / longest))) if each.lasted and longest else each
        for each in filled
    ]
    worked = sum(each.lasted or 0.0 for each in filled if each.state == JobState.RUNNING)
    whole = max((end - job.created_at).total_seconds(), 0.0)
    expected = list(_expected(job, now))
    return Timeline((*scaled, *expected), whole, max(whole - worked, 0.0), worked)


def _moments(
    job: Job, attempts: Sequence[tuple[int, AttemptRecord]], now: datetime, host: str | None
) -> Iterator[Moment]:
    by = f" by {job.owner}" if job.owner else ""
    later = (
        job.run_at > job.created_at and not attempts and job.started_at is None and job.state is not JobState.RETRYING
    )
    if later:
        yield Moment(job.created_at, "scheduled", "Scheduled", f"{by.strip()} for {words.day(job.run_at)}".strip())
    else:
        yield Moment(job.created_at, "queued", "Queued", by.strip() or "when it was enqueued")
    for number, attempt in attempts:
        yield Moment(attempt.started_at, "running", "Running", f"attempt {number}{_where(attempt.host, attempt.pid)}")
        if attempt.outcome in _RETRIED and not _is_last(job, number, attempt):
            yield _after(attempt)
    last = attempts[-1][0] if attempts else 0
    if job.started_at is not None and job.attempt > last:
        where = f" on {host}" if host else ""
        yield Moment(job.started_at, "running", "Running", f"attempt {job.attempt}{where}")
    if job.state is JobState.BLOCKED:
        since = attempts[-1][1].finished_at if attempts else job.created_at
        what = (
            f"parked in group {job.group}" if job.group and job.blocked_on == "group" else f"waits for {job.blocked_on}"
        )
        yield Moment(since, "blocked", "Blocked", what)
    if job.done and job.finished_at is not None:
        yield Moment(job.finished_at, job.state.value, job.state.value.capitalize(), _why(job))


def _after(attempt: AttemptRecord) -> Moment:
    """What stands between two attempts."""
    what = attempt.error_type or (attempt.error or "").partition(":")[0]
    word = "Retrying" if attempt.outcome == JobState.RETRYING else attempt.outcome.capitalize()
    text = f"after {what}" if what and attempt.outcome == JobState.RETRYING else (attempt.reason or what or "")
    return Moment(attempt.finished_at, attempt.outcome, word, text[:200])


def _is_last(job: Job, number: int, attempt: AttemptRecord) -> bool:
    """Whether the end of an attempt is the end of the job, which has a line of its own."""
    return job.done and number == job.attempt and attempt.outcome == job.state


def _where(host: str, pid: int) -> str:
    return (f" on {host}" if host else "") + (f", pid {pid}" if pid else "")


def _why(job: Job) -> str:
    return (job.reason or "").strip()[:200]


def _lasting(each: Moment, until: datetime, job: Job, now: datetime) -> Moment:
    if each.state in (state.value for state in JobState if state.final) and each.at == until:
        return each
    seconds = max((until - each.at).total_seconds(), 0.0)
    goes_on = until == now and not job.done
    if each.state == JobState.RUNNING:
        caption = f"running for {words.span(seconds)}" if goes_on else f"ran {words.duration(seconds)}"
    else:
        caption = f"waiting for {words.span(seconds)}" if goes_on else f"waited {words.duration(seconds)}"
    return replace(each, lasted=seconds, caption=caption)


def _expected(job: Job, now: datetime) -> Iterator[Moment]:
    if job.state in (JobState.SCHEDULED, JobState.RETRYING) and job.run_at > now:
        yield Moment(job.run_at, "queued", "Queued", "again, as soon as its time has come", expected=True)
        return
    progress = job.progress
    if job.state is not JobState.RUNNING or progress is None or progress.began_at is None:
        return
    share, passed = progress.share, (now - progress.began_at).total_seconds()
    if share is not None and 0.05 <= share < 1 and passed >= 3:
        end = now + timedelta(seconds=passed / share - passed)
        yield Moment(end, "succeeded", "Done", "expected, from how fast it has been so far", expected=True)
