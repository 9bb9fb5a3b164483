"""Log lines: one event, one line, and nothing in it that forges another."""

import logging
import sys

from backburner.log_lines import LineFormatter


def line(message: str, *values: object, error: BaseException | None = None) -> str:
    trace = (type(error), error, error.__traceback__) if error is not None else None
    record = logging.LogRecord("backburner", logging.WARNING, __file__, 1, message, values, trace)
    record.created, record.msecs = 1_791_208_981.25, 250.0
    return LineFormatter().format(record)


def test_time_level_and_text() -> None:
    assert line("job %s waits", 7) == "2026-10-05 14:03:01.250Z WARNING job 7 waits"


def test_a_text_cannot_begin_a_line_or_move_the_cursor() -> None:
    said = line("job: %s", "x\r\n2026-10-05 14:03:01.250Z ERROR forged\x1b[1A%s{}")
    assert "\n" not in said
    assert said.endswith("x\\r\\n2026-10-05 14:03:01.250Z ERROR forged\\x1b[1A%s{}")


def test_a_traceback_follows_indented() -> None:
    try:
        raise ValueError("first\nsecond\x1b[2J")
    except ValueError:
        said = line("failed", error=sys.exc_info()[1])
    first, *trace = said.split("\n")
    assert first.endswith("WARNING failed")
    assert trace[0] == "    Traceback (most recent call last):"
    assert all(part.startswith("    ") for part in trace)
    assert trace[-1] == "    second\\x1b[2J"
