"""Fire times of cron expressions, against a walk along the clock minute by minute."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backburner.cron import ALIASES, CronTimes, checked_cron, zone_of
from backburner.errors import InvalidOption, NeverFires
from tests.unit.wall_clock import ZONES, changes, fires

EXPRESSIONS = (
    "30 2 * * *", "0 2 * * *", "0,30 1-3 * * *", "15 0 * * *", "0 0 * * *", "45 1 * * 0", "0 3 1,15 * 0",
    "*/5 * * * *", "45 * * * *", "15 * * * *", "0 * * * *", "*/10 2 * * *", "* 0 * * *", "30 */2 * * *", "59 23 * * *",
)  # fmt: skip
UTC_ZONE = ZoneInfo("UTC")


def between(expression: str, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    times = CronTimes(expression, zone)
    moment = times.after(start)
    while moment is not None and moment <= end:
        yield moment
        moment = times.after(moment)


def compare(name: str, first: int, last: int) -> int:
    """Compare around every change of the clock; how many changes there were."""
    zone, count = ZoneInfo(name), 0
    for change in changes(zone, first, last):
        count += 1
        start, end = change - timedelta(hours=30), change + timedelta(hours=30)
        for expression in EXPRESSIONS:
            found, expected = list(between(expression, zone, start, end)), list(fires(expression, zone, start, end))
            assert found == expected, f"{expression} in {name} around {change}"
    return count


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("year", [1987, 2026])
def test_fire_times_are_those_of_a_walk_along_the_clock(name: str, year: int) -> None:
    compare(name, year, year)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ZONES)
def test_fire_times_are_those_of_a_walk_along_the_clock_from_1970_to_2040(name: str) -> None:
    # Troll has its clock since 2005.
    assert compare(name, 1970, 2040) > 40


def test_the_sample_has_both_changes_of_the_clock() -> None:
    assert [sum(1 for _ in changes(ZoneInfo(name), 2024, 2024)) for name in ZONES] == [2] * 7


@settings(deadline=None)
@given(
    expression=st.sampled_from([*EXPRESSIONS, "7 4 29 2 *", "0 12 * 6-8 1-5", "* * 31 12 *"]),
    name=st.sampled_from(ZONES),
    start=st.datetimes(datetime(1971, 1, 1), datetime(2037, 1, 1)),  # noqa: DTZ001
)
def test_a_fire_time_found_from_anywhere_before_it_is_the_same(expression: str, name: str, start: datetime) -> None:
    times, moment = CronTimes(expression, ZoneInfo(name)), start.replace(tzinfo=UTC)
    found = times.after(moment)
    assert found is not None
    assert found > moment
    assert found.second == found.microsecond == 0
    middle = moment + (found - moment) / 2
    assert times.after(middle) == found
    assert times.after(found - timedelta(microseconds=1)) == found
    assert times.until(found) == found
    before = times.until(found - timedelta(microseconds=1))
    assert before is not None
    assert before <= moment
    assert times.after(before) == found


def test_a_time_left_out_comes_right_after_the_gap_and_one_shown_twice_comes_once() -> None:
    prague = ZoneInfo("Europe/Prague")
    spring = list(
        between("30 2 * * *", prague, datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 30, tzinfo=UTC))
    )
    autumn = list(
        between("30 2 * * *", prague, datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 26, tzinfo=UTC))
    )
    assert spring == [datetime(2026, 3, 29, 1, 0, tzinfo=UTC)]
    assert autumn == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]


def test_what_follows_the_clock_comes_in_both_hours_and_in_none_that_is_left_out() -> None:
    prague = ZoneInfo("Europe/Prague")
    start, end = datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 2, 59, tzinfo=UTC)
    assert all(b - a == timedelta(minutes=20) for a, b in pairwise(between("*/20 * * * *", prague, start, end)))
    spring = between(
        "*/30 2 * * *", prague, datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 29, 12, tzinfo=UTC)
    )
    assert list(spring) == []


@pytest.mark.parametrize(("alias", "expression"), ALIASES.items())
def test_an_alias_is_its_expression(alias: str, expression: str) -> None:
    assert checked_cron(alias) == checked_cron(alias.upper()) == expression


def test_names_and_ordinals_are_understood() -> None:
    times = CronTimes("0 9 * JAN,feb mon#1", UTC_ZONE)
    first = times.after(datetime(2026, 1, 1, tzinfo=UTC))
    assert first == datetime(2026, 1, 5, 9, tzinfo=UTC)
    assert times.after(datetime(2026, 2, 28, tzinfo=UTC)) == datetime(2027, 1, 4, 9, tzinfo=UTC)


@pytest.mark.parametrize("expression", ["30 2 30 2 *", "0 0 31 4,6 *", "0 0 31 FEB *"])
def test_a_time_that_never_comes_is_refused(expression: str) -> None:
    with pytest.raises(NeverFires, match="never comes"):
        checked_cron(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "", "  ", "* * * *", "0 * * * * *", "61 * * * *", "* * * * 8", "*/0 * * * *", "@reboot", "a b c d e",
        "5-1 * * * *", "1,,2 * * * *", "* * L/L * *", "* * * * ²L", "-1 * * * *", None, 5, "0," * 120 + "0 * * * *",
        "*" * 1_000_000, "1/1/1/1 * * * *", "9" * 100 + " * * * *", "0 0 30 13 *",
    ],
)  # fmt: skip
def test_what_is_no_expression_is_refused(expression: object) -> None:
    with pytest.raises(InvalidOption) as caught:
        checked_cron(expression)
    assert not isinstance(caught.value, NeverFires)
    assert len(str(caught.value)) < 400


@settings(deadline=None)
@given(st.text(alphabet="0123456789*/,-#LWSUNMON@ ", max_size=60))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        expression = checked_cron(text)
    except InvalidOption:
        return
    assert CronTimes(expression, UTC_ZONE).after(datetime(2026, 1, 1, tzinfo=UTC)) is not None


@pytest.mark.parametrize(
    "name", ["", "Mars/Base", "../../etc/passwd", "/etc/localtime", "x" * 101, None, "Europe", "UTC\0"]
)
def test_what_is_no_zone_is_refused(name: object) -> None:
    with pytest.raises(InvalidOption, match="zone"):
        zone_of(name)
