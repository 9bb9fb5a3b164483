"""When something that comes again and again is due: intervals, missed times, and all of it in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal, Protocol

from cronsim import CronSim

from backburner.cron import CronTimes, zone_of
from backburner.errors import InvalidOption
from backburner.outcome import seconds_of

Missed = Literal["skip", "once", "all"]
"""What is made up for after a time without workers: nothing, one run for all, or each up to a bound."""
LATE = timedelta(seconds=60)
"""A fire time further back than this when a worker comes to it counts as missed."""
MAX_BOUND, MAX_SECONDS = 1000, 3_155_760_000

_MOMENT = timedelta(microseconds=1)
_UNITS = ((604_800, "week"), (86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAY_NAMES = {day[:3].upper(): day for day in _DAYS}


class Times(Protocol):
    """Fire times in order."""

    def after(self, moment: datetime) -> datetime | None:
        """The first one later than `moment`, UTC; None when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Interval:
    """anchor + 1, 2, 3 ... times `seconds`: however late a run is, the next one is not."""

    seconds: int
    anchor: datetime

    def after(self, moment: datetime) -> datetime | None:
        """The first fire time later than `moment`; None at the end of the calendar."""
        every = timedelta(seconds=self.seconds)
        try:
            return self.anchor + every * max(1, (moment - self.anchor) // every + 1)
        except OverflowError:
            return None


def times_of(kind: str, spec: str, zone: str, anchor: datetime) -> Times:
    """The fire times of a schedule. Raises `InvalidOption`, for example for a zone that is unknown here."""
    return _cron_times(spec, zone) if kind == "cron" else Interval(int(spec), anchor)


def checked_every(value: object) -> int:
    """An interval in whole seconds. Raises `InvalidOption`."""
    if isinstance(value, bool) or not isinstance(value, int | float | timedelta):
        raise InvalidOption("every", value, "is no interval", "Use seconds or a timedelta")
    seconds = seconds_of("every", value)
    if not 1 <= seconds <= MAX_SECONDS or seconds != int(seconds):
        raise InvalidOption("every", value, "is no whole number of seconds", "Use 1 second to 100 years")
    return int(seconds)


def due(times: Times, first: datetime, now: datetime, missed: Missed, bound: int) -> list[datetime]:
    """The fire times from `first` to `now` that have to run: those that are due now, and what `missed` makes up for."""
    late = now - LATE
    found = list(between(times, max(first, late) - _MOMENT, now))
    if missed == "all":
        return latest(times, first, late - _MOMENT, bound) + found
    return latest(times, first, late - _MOMENT, 1) if missed == "once" and not found else found


def between(times: Times, start: datetime, end: datetime) -> Iterator[datetime]:
    """The fire times later than `start`, up to `end`."""
    moment = times.after(start)
    while moment is not None and moment <= end:
        yield moment
        moment = times.after(moment)


def latest(times: Times, first: datetime, end: datetime, count: int) -> list[datetime]:
    """The last `count` fire times from `first` to `end`: years of seconds are not walked through."""
    back = timedelta(minutes=10)
    while True:
        start = max(first, end - back)
        found = list(between(times, start - _MOMENT, end))
        if len(found) >= count or start <= first:
            return found[-count:]
        back *= 4


def described(kind: str, spec: str, zone: str) -> str:
    """The schedule in plain words: every day at 02:30, Europe/Prague."""
    if kind == "cron":
        return f"{_cron_words(spec)}, {zone}"
    seconds = int(spec)
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    count = seconds // size
    return f"every {unit}" if count == 1 else f"every {count:,} {unit}s"


@lru_cache(maxsize=256)
def _cron_times(spec: str, zone: str) -> CronTimes:
    return CronTimes(spec, zone_of(zone))


def _cron_words(spec: str) -> str:
    minute, hour, day, month, weekday = spec.split()
    if (step := _step(minute)) and (hour, day, month, weekday) == ("*",) * 4:
        return "every minute" if step == 1 else f"every {step} minutes"
    if minute.isdigit() and (hour, day, month, weekday) == ("*",) * 4:
        return f"every hour at minute {int(minute)}"
    if minute.isdigit() and hour.isdigit() and month == "*":
        at = f"at {int(hour):02}:{int(minute):02}"
        if (day, weekday) == ("*", "*"):
            return f"every day {at}"
        if day == "*" and (name := _weekday(weekday)):
            return f"every {name} {at}"
        if day.isdigit() and weekday == "*":
            return f"on day {int(day)} of every month {at}"
    words = CronSim(spec, datetime(2000, 1, 1)).explain()  # noqa: DTZ001 (of no place in particular)
    return words[:1].lower() + words[1:]


def _step(minute: str) -> int:
    """The n of `*` and `*/n`, where that is really every n minutes; else 0."""
    found = re.fullmatch(r"\*(?:/(\d+))?", minute)
    step = int(found[1] or 1) if found else 0
    return step if step and 60 % step == 0 else 0


def _weekday(field: str) -> str | None:
    if field.isdigit():
        return _DAYS[int(field)]
    if field.upper() in ("MON-FRI", "1-5"):
        return "weekday"
    return _DAY_NAMES.get(field.upper())
