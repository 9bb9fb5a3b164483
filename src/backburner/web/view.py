"""`View`: what people who wait are shown of a job; the component shows the same by `static/views.js`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from backburner.job import Job
from backburner.progress import Progress
from backburner.states import JobState
from backburner.web import words
from backburner.web.sight import Sight


@dataclass(frozen=True, slots=True)
class View:
    """`figure` is a share or a count, `bar` is from 0 to 1, -1 while nobody knows, None for no bar."""

    message: str
    figure: str = ""
    aside: str = ""
    bar: float | None = None
    tone: str = "idle"
    note: str = ""


def view_of(sight: Sight, now: datetime) -> View:
    """The view of a job at this time."""
    job = sight.job
    match job.state:
        case JobState.RUNNING:
            return _running(job, now)
        case JobState.QUEUED:
            return View(f"{words.ordinal(sight.place)} in line" if sight.place else "In line", bar=0)
        case JobState.SCHEDULED:
            ahead = words.ahead(job.run_at, now)
            return View(_sentence(job.reason) or f"Starts on {words.day(job.run_at)} UTC", aside=ahead)
        case JobState.BLOCKED:
            return View(_sentence(job.reason) or "Waits for other work to finish.")
        case JobState.RETRYING:
            share = job.progress.share if job.progress is not None else None
            again = f"Tries again {words.ahead(job.run_at, now)}"
            return View(_sentence(job.reason), bar=share or 0, note=again)
        case JobState.SUCCEEDED:
            return View(_achieved(job.progress), bar=1, tone="done")
        case JobState.FAILED | JobState.INTERRUPTED:
            return View(_sentence(job.reason) or "It ended.", note=f"…{job.id[-4:]}")
        case _:
            return View(_sentence(job.reason) or "It ended.")


def _running(job: Job, now: datetime) -> View:
    progress = job.progress
    tone = "idle" if job.cancel_requested else "live"
    stopping = "Finishing the step it is at" if job.cancel_requested else ""
    if progress is None:
        return View(stopping or "At work", bar=-1, tone=tone)
    text = progress.message or progress.stage or ""
    counted = words.counted(progress)
    if progress.share is None:
        return View(stopping or text or "At work", counted if progress.done else "", bar=-1, tone=tone)
    message = stopping or ", ".join(filter(None, (text, counted)))
    left = "" if stopping else words.left(progress, now)
    return View(message, words.percent(progress.share), left, progress.share, tone)


def _achieved(progress: Progress | None) -> str:
    if progress is None:
        return "Done"
    return words.balance(progress) or progress.message or words.counted(progress) or "Done"


def _sentence(text: str | None) -> str:
    return "" if not text else text if text.endswith((".", "!", "?", "…")) else f"{text}."
