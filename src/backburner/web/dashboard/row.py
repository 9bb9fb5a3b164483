"""`Row`: one job in a list, in the words that stand in its columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from backburner.job import Job
from backburner.states import JobState
from backburner.web import words
from backburner.web.sight import title_of


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list. `rate` and `left` stand above the bar, `message` is the last thing that was said."""

    job: Job
    title: str
    standing: words.Standing
    message: str
    left: str


def row_of(job: Job, now: datetime) -> Row:
    """A job as it stands at this time."""
    progress = job.progress
    left = ""
    if progress is not None and job.state is JobState.RUNNING:
        left = words.left(progress, now) if progress.share is not None else words.rate(progress, now)
    return Row(job, title_of(job), words.standing(job, now), last_message(job, now), left)


def last_message(job: Job, now: datetime) -> str:
    """The last thing that was said of a job, or by it."""
    progress = job.progress
    message = job.reason or ""
    if job.state in (JobState.FAILED, JobState.RETRYING) and job.error:
        # An error without a text is "ValueError: ": its name says all there is.
        message = job.error.splitlines()[0].rstrip(": ")
    elif not job.done and progress is not None and (progress.message or progress.stage):
        message = progress.message or progress.stage or ""
    elif not message and progress is not None:
        message = words.balance(progress) or progress.message or words.counted(progress)
    if job.state is JobState.RETRYING:
        return f"{message.rstrip('.')}. Runs again {words.ahead(job.run_at, now)}"
    if job.state is JobState.SCHEDULED:
        return f"{message.rstrip('.') + '. ' if message else ''}Not before {words.day(job.run_at)}"
    if job.state is JobState.BLOCKED and not message and job.group is not None:
        return f"In group {job.group}"
    return message
