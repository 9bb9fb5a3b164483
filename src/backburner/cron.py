"""`CronTimes`: when a cron expression comes, by the clock on the wall of a time zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from backburner.errors import InvalidOption, NeverFires

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
MAX_EXPRESSION, MAX_ZONE = 200, 100

_ALLOWED = re.compile(r"[0-9A-Za-z*/,#\- ]+")
_ZONE = re.compile(r"[A-Za-z0-9_+\-/]+")
_DAY, _MINUTE, _SECOND = timedelta(days=1), timedelta(minutes=1), timedelta(seconds=1)
_YEARS = 50 * 366 * _DAY
_REMEDY = "Write five fields: minute, hour, day of month, month, day of week; for example '30 2 * * MON-FRI', or @daily"


class CronTimes:
    """The fire times of an expression, as Debian's cron has them.

    An expression whose minute and hour are both said (they do not begin with `*`) is for fixed times: one that
    the clock leaves out comes right after the gap, one that the clock shows twice comes the first time. All
    other expressions follow the clock: they come whenever it shows a time that matches.
    """

    def __init__(self, expression: str, zone: ZoneInfo) -> None:
        self.expression, self.zone = checked_cron(expression), zone
        fields = self.expression.split()
        self._fixed = not fields[0].startswith("*") and not fields[1].startswith("*")

    def after(self, moment: datetime) -> datetime | None:
        """The first fire time later than `moment`, UTC; None when there is none within 50 years."""
        try:
            return self._first_fixed(moment) if self._fixed else self._first_by_clock(moment)
        except (StopIteration, OverflowError):
            return None

    def until(self, moment: datetime) -> datetime | None:
        """The last fire time that is not later than `moment`, UTC; None when there is none within 50 years."""
        back = _MINUTE
        while not self._comes(moment - back, moment):
            back *= 2
            if back > _YEARS:
                return None
        early, late = moment - back, moment
        while late - early > _SECOND:
            middle = early + (late - early) / 2
            early, late = (middle, late) if self._comes(middle, moment) else (early, middle)
        return self.after(early)

    def _comes(self, early: datetime, late: datetime) -> bool:
        """Whether there is a fire time behind `early` that is not later than `late`."""
        found = self.after(early)
        return found is not None and found <= late

    def _first_fixed(self, moment: datetime) -> datetime:
        # Those of an hour that comes twice are over in its second pass, which shows the same times.
        for wall in CronSim(self.expression, _wall(moment.astimezone(self.zone))):
            found = _instant(wall, self.zone)
            if found > moment:
                return found
        raise StopIteration

    def _first_by_clock(self, moment: datetime) -> datetime:
        """Within a stretch of one offset the clock goes evenly: look there, then in the next stretch."""
        # The zones change at whole seconds.
        since = moment.astimezone(UTC).replace(microsecond=0)
        offset = _offset(since, self.zone)
        shown_last = since + offset
        while True:
            wall = next(CronSim(self.expression, _wall(shown_last)))
            found = wall.replace(tzinfo=UTC) - offset
            change = self._first_change(since, found, offset)
            if change is None:
                return found
            since, offset = change, _offset(change, self.zone)
            # What the clock shows at the change itself may match already.
            shown_last = since + offset - _SECOND

    def _first_change(self, low: datetime, end: datetime, offset: timedelta) -> datetime | None:
        """The first moment after `low`, where `offset` holds, up to `end` at which another one does."""
        while low < end:
            high = min(low + _DAY, end)
            if _offset(high, self.zone) != offset:
                while high - low > _SECOND:
                    middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
                    low, high = (middle, high) if _offset(middle, self.zone) == offset else (low, middle)
                return high
            low = high
        return None


def checked_cron(value: object) -> str:
    """The expression without aliases, in five fields.

    Raises `InvalidOption`, of which `NeverFires` is one: for the 30th of February.
    """
    if not isinstance(value, str) or not value.strip():
        raise InvalidOption("cron", value, "is no cron expression", _REMEDY)
    if len(value) > MAX_EXPRESSION:
        raise InvalidOption("cron", value, f"has {len(value)} characters", f"Use at most {MAX_EXPRESSION}")
    text = " ".join(ALIASES.get(value.strip().lower(), value).split())
    if text.startswith("@"):
        raise InvalidOption("cron", value, "is an unknown alias", f"Use one of: {', '.join(ALIASES)}")
    fields = text.split(" ")
    if len(fields) != 5 or not _ALLOWED.fullmatch(text):
        more = ". For less than a minute use every=" if len(fields) == 6 else ""
        raise InvalidOption("cron", value, "does not have five fields of cron", _REMEDY + more)
    return _parsed(text)


def zone_of(name: object) -> ZoneInfo:
    """The time zone of an IANA name. Raises `InvalidOption`."""
    remedy = "Use a name of the IANA database, for example Europe/Prague or UTC"
    if not isinstance(name, str) or len(name) > MAX_ZONE or not _ZONE.fullmatch(name):
        raise InvalidOption("zone", name, "is no time zone", remedy)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise InvalidOption("zone", name, "is an unknown time zone", remedy) from error


@lru_cache(maxsize=1024)
def _parsed(text: str) -> str:
    """The text, if it says something, and something that comes: looking 50 years ahead takes a moment."""
    start = datetime(2000, 1, 1)  # noqa: DTZ001 (the wall of no place in particular)
    try:
        next(CronSim(text, start))
    except StopIteration as error:
        raise NeverFires(text) from error
    except (CronSimError, ValueError, AssertionError) as error:
        if _readable_in_any_month(text, start):
            raise NeverFires(text) from error
        raise InvalidOption("cron", text, f"cannot be read ({error})", _REMEDY) from error
    return text


def _readable_in_any_month(text: str, start: datetime) -> bool:
    minute, hour, day, month, weekday = text.split(" ")
    try:
        CronSim(f"0 0 1 {month} *", start)
        CronSim(f"{minute} {hour} {day} * {weekday}", start)
    except (CronSimError, ValueError, AssertionError):
        return False
    return True


def _wall(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None, fold=0)


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    found = moment.astimezone(zone).utcoffset()
    assert found is not None
    return found


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """When the clock first shows that time, or, when it leaves it out, the end of the gap."""
    local = wall.replace(tzinfo=zone)
    while _wall(local.astimezone(UTC).astimezone(zone)) != _wall(local):
        local += _MINUTE - timedelta(seconds=local.second)
    return local.astimezone(UTC)
