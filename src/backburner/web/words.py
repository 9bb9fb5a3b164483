"""Numbers, times and sizes in the words of the pages; the component has the same in `static/words.js`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from backburner.control import COUNT_LIMIT
from backburner.job import Job
from backburner.progress import Progress
from backburner.states import JobState

_DAY = 86_400.0
_STEPS = ((60.0, 5), (300.0, 20))


class Standing(NamedTuple):
    """How long a job has been in its state: the words, the moment they count from, and how long it took."""

    text: str
    since: datetime
    took: str | None


def number(value: float) -> str:
    """84725 as "84,725"; fractions have one digit."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def capped(count: int, limit: int = COUNT_LIMIT) -> str:
    """A count that stopped at a limit says so."""
    return f"{number(limit)}+" if count >= limit else number(count)


@dataclass(frozen=True, slots=True)
class Amount:
    """A count of jobs, and whether there may be `more`: "250", "250+". True unless it is known that there are none."""

    count: int
    more: bool = False

    def __str__(self) -> str:
        return f"{number(min(self.count, COUNT_LIMIT))}+" if self.more else capped(self.count)

    def __bool__(self) -> bool:
        return self.more or self.count > 0

    @property
    def all(self) -> str:
        """All of them: "all 250+", and "all" where none was counted and there may be some."""
        return "all" if self.more and not self.count else f"all {self}"


def duration(seconds: float) -> str:
    """320 ms, 12.8 s, 1 min 09 s, 2 h 06 min, 3 d."""
    s = max(seconds, 0.0)
    if s < 1:
        return f"{s * 1000:.0f} ms"
    if s < 60:
        return f"{int(s * 10) / 10:.1f} s"
    if s < 3600:
        return f"{int(s // 60)} min {int(s % 60):02d} s"
    if s < 2 * _DAY:
        return f"{int(s // 3600)} h {int(s % 3600 // 60):02d} min"
    return f"{int(s // _DAY)} d"


def span(seconds: float) -> str:
    """A duration that goes on: whole seconds."""
    return f"{int(max(seconds, 0))} s" if seconds < 60 else duration(seconds)


def ago(then: datetime, now: datetime) -> str:
    """Like "3 s ago" up to a day, the date after that."""
    seconds = (now - then).total_seconds()
    if seconds > _DAY:
        return day(then)
    if seconds < 60:
        return f"{int(max(seconds, 0))} s ago"
    return f"{int(seconds // 60)} min ago" if seconds < 3600 else f"{int(seconds // 3600)} h ago"


def ahead(then: datetime, now: datetime) -> str:
    """Like "in 48 s" up to a day, the date after that."""
    seconds = (then - now).total_seconds()
    if seconds <= 0:
        return "now"
    if seconds > _DAY:
        return day(then)
    if seconds < 120:
        return f"in {int(seconds)} s"
    return f"in {int(seconds // 60)} min" if seconds < 7200 else f"in {int(seconds // 3600)} h"


def day(moment: datetime) -> str:
    """Like "Thu 26 Nov, 06:00", UTC."""
    return f"{moment:%a} {moment.day} {moment:%b, %H:%M}"


def full(moment: datetime) -> str:
    """The whole time and zone, for titles."""
    return f"{moment:%a} {moment.day} {moment:%b %Y, %H:%M:%S} UTC"


def percent(share: float) -> str:
    """Whole, and never 100% before the end."""
    return f"{min(99, int(share * 100))}%"


def counted(progress: Progress) -> str:
    """Like "52,600 of 84,725 orders"."""
    if progress.unit == "%" or not (progress.done or progress.total):
        return ""
    unit = f" {progress.unit}" if progress.unit else ""
    if not progress.total:
        return number(progress.done) + unit
    if progress.done > progress.total:
        return f"{number(progress.done)}{unit} ({number(progress.total)} expected)"
    return f"{number(progress.done)} of {number(progress.total)}{unit}"


def ordinal(place: int) -> str:
    """3 as "3rd"."""
    tail = "th" if 10 <= place % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{number(place)}{tail}"


def balance(progress: Progress) -> str:
    """Like "4,997 done, 3 failed"; empty when nothing failed."""
    good = max(progress.done - progress.failed, 0)
    return f"{number(good)} done, {number(progress.failed)} failed" if progress.failed else ""


def left(progress: Progress, now: datetime) -> str:
    """Like "about 1 min 40 s left", from the mean so far; empty in the first 5% and 3 s."""
    share, began = progress.share, progress.began_at
    if share is None or began is None or not 0.05 <= share < 1:
        return ""
    passed = (now - began).total_seconds()
    if passed < 3:
        return ""
    seconds = passed / share - passed
    step = next((step for limit, step in _STEPS if seconds < limit), 60)
    whole = max(step, round(seconds / step) * step)
    if whole < 60:
        return f"about {whole} s left"
    minutes, rest = divmod(whole, 60)
    if whole >= 7200:
        return f"about {round(whole / 3600)} h left"
    return f"about {minutes} min{f' {rest} s' if rest else ''} left"


def rate(progress: Progress, now: datetime) -> str:
    """Like "412 rows/s", the mean so far; empty in the first 3 s, and when nothing is counted."""
    passed = (now - progress.began_at).total_seconds() if progress.began_at is not None else 0.0
    if passed < 3 or not progress.done:
        return ""
    each = progress.done / passed
    unit = progress.unit
    count, per = (each, "s") if each >= 1 else (each * 60, "min")
    return f"{number(round(count))}{f' {unit}' if unit else ''}/{per}"


def size(count: int) -> str:
    """Bytes in powers of ten."""
    for unit, power in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= power:
            return f"{count / power:.1f} {unit}"
    return f"{count} B"


def standing(job: Job, now: datetime) -> Standing:
    """How long the job has been in its state."""
    if job.done and job.finished_at is not None:
        took = None
        if job.started_at is not None:
            took = duration((job.finished_at - job.started_at).total_seconds())
        return Standing(ago(job.finished_at, now), job.finished_at, took)
    since = job.started_at if job.state is JobState.RUNNING and job.started_at else job.created_at
    return Standing(f"for {span((now - since).total_seconds())}", since, None)


def attempts(job: Job, limit: int | None = None) -> str:
    """Like "2 of 3", or just the number when nothing limits it. `limit` is that of the task."""
    most = job.max_attempts or limit
    tried = job.tries + 1 if job.state is JobState.RUNNING else max(job.tries, 1 if job.done and job.attempt else 0)
    return f"{tried} of {most}" if most else str(tried)
