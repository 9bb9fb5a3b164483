"""An oracle for cron: the clock on the wall, walked minute by minute, and nothing clever."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
ZONES = (
    "Europe/Prague", "America/New_York", "Australia/Lord_Howe", "Pacific/Chatham", "America/Santiago",
    "Antarctica/Troll", "Africa/Casablanca",
)  # fmt: skip


class Fields:
    """Five plain fields: `*`, `*/n`, numbers, ranges and lists of them."""

    def __init__(self, expression: str) -> None:
        minute, hour, day, month, weekday = expression.split()
        self.minutes, self.hours = _numbers(minute, 0, 59), _numbers(hour, 0, 23)
        self.days, self.months = _numbers(day, 1, 31), _numbers(month, 1, 12)
        self.weekdays = {number % 7 for number in _numbers(weekday, 0, 7)}
        self.both_days = day.startswith("*") or weekday.startswith("*")
        self.fixed = not minute.startswith("*") and not hour.startswith("*")

    def match(self, wall: datetime) -> bool:
        return wall.minute in self.minutes and wall.hour in self.hours and self.match_date(wall.date())

    def match_date(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return by_day and by_weekday if self.both_days else by_day or by_weekday


def fires(expression: str, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """Every fire time in (start, end], both UTC and of whole minutes."""
    fields, moment = Fields(expression), start
    # Far enough back to know what the clock has shown before.
    seen = {_wall(start - back * MINUTE, zone) for back in range(26 * 60)}
    last = _wall(start, zone)
    while moment < end:
        moment += MINUTE
        wall = _wall(moment, zone)
        if fields.fixed:
            # What the clock has jumped over, and what it shows for the first time.
            jumped = max(0, (wall - last) // MINUTE - 1)
            left_out = (last + (number + 1) * MINUTE for number in range(jumped))
            if (wall not in seen and fields.match(wall)) or any(
                fields.match(one) for one in left_out if one not in seen
            ):
                yield moment
            seen.add(wall)
        elif fields.match(wall):
            yield moment
        last = wall


def changes(zone: ZoneInfo, first: int, last: int) -> Iterator[datetime]:
    """The moments, to the minute, at which the zone changes its offset in these years."""
    moment, end = datetime(first, 1, 1, tzinfo=UTC), datetime(last + 1, 1, 1, tzinfo=UTC)
    hour = timedelta(hours=1)
    while moment < end:
        if _offset(moment, zone) != _offset(moment + hour, zone):
            minute = moment
            while _offset(minute, zone) == _offset(moment, zone):
                minute += MINUTE
            yield minute
        moment += hour


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    found = moment.astimezone(zone).utcoffset()
    assert found is not None
    return found


def _numbers(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            first, last = low, high
        else:
            first, last = (
                (int(number) for number in (span.split("-") * 2)[:2]) if "-" in span else (int(span), int(span))
            )
        found |= set(range(first, last + 1, int(step or 1)))
    return found
