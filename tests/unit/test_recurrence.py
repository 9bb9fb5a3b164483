"""Intervals, missed times, and schedules in words."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backburner.errors import InvalidOption
from backburner.recurrence import LATE, Interval, Missed, between, checked_every, described, due, latest, times_of

ANCHOR = datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)
HOURLY = times_of("cron", "0 * * * *", "UTC", ANCHOR)


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 1, 2, hour, minute, second, tzinfo=UTC)


@settings(deadline=None)
@given(seconds=st.integers(1, 10**6), offset=st.integers(-(10**6), 10**9), micro=st.integers(0, 999_999))
def test_an_interval_counts_from_its_anchor(seconds: int, offset: int, micro: int) -> None:
    moment = ANCHOR + timedelta(seconds=offset, microseconds=micro)
    found = Interval(seconds, ANCHOR).after(moment)
    assert found is not None
    assert found > max(moment, ANCHOR)
    assert (found - ANCHOR) % timedelta(seconds=seconds) == timedelta(0)
    assert found - timedelta(seconds=seconds) <= max(moment, ANCHOR)


def test_an_interval_ends_with_the_calendar() -> None:
    assert Interval(86_400, ANCHOR).after(datetime.max.replace(tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("missed", "now", "expected"),
    [
        ("skip", at(5, 30), []),
        ("skip", at(5, 0, 30), [at(5)]),
        ("once", at(5, 30), [at(5)]),
        ("once", at(5, 0, 30), [at(5)]),
        ("all", at(5, 30), [at(3), at(4), at(5)]),
        ("all", at(5, 0, 30), [at(2), at(3), at(4), at(5)]),
        ("skip", at(1, 1), [at(1)]),
        ("skip", at(1, 1, 1), []),
        ("all", at(2), [at(1), at(2)]),
    ],
)
def test_what_is_made_up_for(missed: Missed, now: datetime, expected: list[datetime]) -> None:
    assert due(HOURLY, at(1), now, missed, 3) == expected


@settings(deadline=None)
@given(
    gap=st.integers(0, 20_000),
    every=st.integers(1, 5000),
    bound=st.integers(1, 50),
    missed=st.sampled_from(["skip", "once", "all"]),
)
def test_what_is_due_agrees_with_walking_through_all_of_it(gap: int, every: int, bound: int, missed: Missed) -> None:
    times = Interval(every, ANCHOR)
    first = ANCHOR + timedelta(seconds=every)
    now = first + timedelta(seconds=gap)
    everything = list(between(times, ANCHOR, now))
    recent = [one for one in everything if one >= now - LATE]
    old = [one for one in everything if one < now - LATE]
    kept = {"skip": [], "once": [] if recent else old[-1:], "all": old[-bound:]}[missed]
    assert due(times, first, now, missed, bound) == kept + recent


def test_years_of_seconds_are_not_walked_through() -> None:
    asked = 0

    class Counted(Interval):
        def after(self, moment: datetime) -> datetime | None:
            nonlocal asked
            asked += 1
            return super().after(moment)

    end = ANCHOR + timedelta(days=3650)
    assert latest(Counted(1, ANCHOR), ANCHOR, end, 2) == [end - timedelta(seconds=1), end]
    assert asked < 1000


@pytest.mark.parametrize("every", [0, -1, 0.5, 1.5, timedelta(milliseconds=10), 10**10, True, "60", None, float("nan")])
def test_what_is_no_interval_is_refused(every: object) -> None:
    with pytest.raises(InvalidOption, match="every"):
        checked_every(every)


@pytest.mark.parametrize(
    ("kind", "spec", "words"),
    [
        ("cron", "30 2 * * *", "every day at 02:30, Europe/Prague"),
        ("cron", "* * * * *", "every minute, Europe/Prague"),
        ("cron", "*/5 * * * *", "every 5 minutes, Europe/Prague"),
        ("cron", "7 * * * *", "every hour at minute 7, Europe/Prague"),
        ("cron", "0 9 * * 1", "every Monday at 09:00, Europe/Prague"),
        ("cron", "0 9 * * 7", "every Sunday at 09:00, Europe/Prague"),
        ("cron", "0 9 * * mon-fri", "every weekday at 09:00, Europe/Prague"),
        ("cron", "0 9 3 * *", "on day 3 of every month at 09:00, Europe/Prague"),
        ("cron", "0 0 1 1 *", "at 00:00 on January 1, Europe/Prague"),
        ("cron", "*/7 * * * *", "every seventh minute of every hour, Europe/Prague"),
        ("every", "300", "every 5 minutes"),
        ("every", "1", "every second"),
        ("every", "90", "every 90 seconds"),
        ("every", "86400", "every day"),
    ],
)
def test_a_schedule_in_plain_words(kind: str, spec: str, words: str) -> None:
    assert described(kind, spec, "Europe/Prague") == words
