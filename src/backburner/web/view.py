"""`View`: what people who wait are shown of a job; the component shows the same by `static/views.js`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from backburner.job import Job
from backburner.progress import Progress
from backburner.states import JobState
from backburner.web import words
from backburner.web.language import Language
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


def view_of(sight: Sight, now: datetime, lang: Language) -> View:
    """The view of a job at this time."""
    job = sight.job
    match job.state:
        case JobState.RUNNING:
            return _running(job, now, lang)
        case JobState.QUEUED:
            place = lang.say("place", nth=lang.say("nth", n=sight.place)) if sight.place else lang.say("line")
            return View(place, bar=0)
        case JobState.SCHEDULED:
            starts = lang.say("starts_at", time=lang.moment(job.run_at))
            return View(_sentence(job.reason) or starts, aside=lang.ahead(job.run_at, now))
        case JobState.BLOCKED:
            return View(_sentence(job.reason) or lang.say("held"))
        case JobState.RETRYING:
            share = job.progress.share if job.progress is not None else None
            later = job.run_at > now
            again = (
                lang.say("again", time=words.ahead(job.run_at, now).removeprefix("in ")) if later else lang.say("now")
            )
            return View(_sentence(job.reason), bar=share or 0, note=again)
        case JobState.SUCCEEDED:
            return View(_achieved(job.progress, lang), bar=1, tone="done")
        case JobState.FAILED | JobState.INTERRUPTED:
            return View(_sentence(job.reason) or lang.say("ended"), note=f"…{job.id[-4:]}")
        case _:
            return View(_ended(job, lang))


def _running(job: Job, now: datetime, lang: Language) -> View:
    progress = job.progress
    tone = "idle" if job.cancel_requested else "live"
    stopping = lang.say("stopping") if job.cancel_requested else ""
    if progress is None:
        return View(stopping or lang.say("work"), bar=-1, tone=tone)
    text = progress.message or progress.stage or ""
    counted = lang.counted(progress)
    if progress.share is None:
        return View(stopping or text or lang.say("work"), counted if progress.done else "", bar=-1, tone=tone)
    message = stopping or ", ".join(filter(None, (text, counted)))
    left = "" if stopping else lang.left(progress, now)
    return View(message, words.percent(progress.share), left, progress.share, tone)


def _achieved(progress: Progress | None, lang: Language) -> str:
    if progress is None:
        return lang.say("done")
    return lang.balance(progress) or progress.message or lang.counted(progress) or lang.say("done")


def _ended(job: Job, lang: Language) -> str:
    progress = job.progress
    if job.state is JobState.CANCELLED and progress is not None and progress.total and progress.unit != "%":
        return lang.say("stopped", n=lang.counted(progress))
    return _sentence(job.reason) or lang.say("ended")


def _sentence(text: str | None) -> str:
    return "" if not text else text if text.endswith((".", "!", "?", "…")) else f"{text}."
