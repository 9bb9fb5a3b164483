"""What people type, and what it means."""

import re

import click
import pytest

from backburner.cli.text import as_json, bytes_text, cut, duration, one_line, safe, table
from backburner.cli.values import DURATION, PRIORITIES, SIZE, WEIGHTED_QUEUE


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [
        ("90", 90),
        ("0", 0),
        ("30s", 30),
        ("5min", 300),
        ("5m", 300),
        ("2h", 7_200),
        ("1.5 h", 5_400),
        ("30d", 2_592_000),
    ],
)
def test_durations(typed: str, seconds: float) -> None:
    assert DURATION.convert(typed, None, None) == seconds


@pytest.mark.parametrize("typed", ["", "soon", "-5", "5 years", "1e3", "2h30"])
def test_what_is_no_duration(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="Write it like 90, 30s, 5min, 2h or 30d"):
        DURATION.convert(typed, None, None)


@pytest.mark.parametrize(
    ("typed", "size"), [("512MB", 512_000_000), ("1.5gb", 1_500_000_000), ("256MiB", 268_435_456), ("100 k", 100_000)]
)
def test_sizes(typed: str, size: int) -> None:
    assert SIZE.convert(typed, None, None) == size


@pytest.mark.parametrize("typed", ["512", "MB", "0MB", "5 TB", "-1MB"])
def test_what_is_no_size(typed: str) -> None:
    with pytest.raises(click.BadParameter):
        SIZE.convert(typed, None, None)


def test_control_characters_are_shown_not_sent() -> None:
    assert safe("a\r\nb\x1b[2J\x00%s{}\u202eé漢") == "a\\r\\nb\\x1b[2J\\x00%s{}\\u202eé漢"


def test_messages_are_one_line() -> None:
    assert one_line("no\n  such\tthing\x07") == "no such thing\\x07"
    assert one_line("refused\n(Background on this error at: https://sqlalche.me/e/20/e3q8)") == "refused"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.44, "0.4 s"), (59, "59 s"), (125, "2 min 5 s"), (266_400, "3 d 2 h"), (86_400, "1 d")],
)
def test_durations_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(0, "0 bytes"), (1_500, "1.5 kB"), (52_428_800, "52 MB"), (2e9, "2.0 GB")])
def test_sizes_in_words(size: float, text: str) -> None:
    assert bytes_text(size) == text


def test_wide_characters_take_two_columns() -> None:
    assert cut("漢字漢字", 5) == "漢字…"
    assert cut("short", 5) == "short"


def test_a_table_is_cut_at_the_end_of_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("1", "x" * 100)]
    monkeypatch.delenv("COLUMNS", raising=False)
    assert table(("ID", "TITLE"), rows).splitlines()[1] == "1   " + "x" * 100
    monkeypatch.setenv("COLUMNS", "80")
    assert [len(line) for line in table(("ID", "TITLE"), rows).splitlines()] == [9, 80]


def test_json_refuses_what_it_does_not_know() -> None:
    with pytest.raises(TypeError, match="object has no JSON form"):
        as_json(object())


@pytest.mark.parametrize(
    ("typed", "meant"), [("10", (10, 10)), ("20-40", (20, 40)), ("25-", (25, 32767)), ("-20", (-32768, 20))]
)
def test_ranges_of_priorities(typed: str, meant: tuple[int, int]) -> None:
    assert PRIORITIES.convert(typed, None, None) == meant


@pytest.mark.parametrize("typed", ["", "-", "40-20", "a", "10-x", "40000", "1-2-3"])
def test_ranges_that_select_nothing_are_refused(typed: str) -> None:
    with pytest.raises(click.BadParameter, match=re.escape(repr(typed))):
        PRIORITIES.convert(typed, None, None)


@pytest.mark.parametrize(
    ("typed", "meant"), [("mails", ("mails", None)), ("mails=3", ("mails", 3.0)), ("a=b", ("a=b", None))]
)
def test_queues_with_a_weight(typed: str, meant: tuple[str, float | None]) -> None:
    assert WEIGHTED_QUEUE.convert(typed, None, None) == meant


def test_a_weight_of_nothing_is_refused() -> None:
    with pytest.raises(click.BadParameter, match="no weight of queue 'mails'"):
        WEIGHTED_QUEUE.convert("mails=0", None, None)
