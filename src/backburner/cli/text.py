"""Text for terminals: safe to print, in columns, in words."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from backburner.codec import readable
from backburner.job import Job
from backburner.progress import printable

# SQLAlchemy adds an address to its messages that explains SQLAlchemy.
_BACKGROUND = re.compile(r"\s*\(Background on this error at: \S+\)")
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
_STORED = frozenset({"result_text", "meta"})
"""JSON text: shown without what is secret by its key."""
_HIDDEN = frozenset({"control", "args", "codec", "context", "options", "position", "uncommitted"})


def safe(text: str) -> str:
    """The text with everything that could move the cursor or forge a line escaped."""
    return printable(text)


def safe_lines(text: str) -> str:
    """As `safe`, but its own ends of lines stay."""
    return "\n".join(safe(line) for line in text.split("\n"))


def one_line(text: str) -> str:
    """A message as one printable line."""
    return safe(" ".join(_BACKGROUND.sub("", text).split()))


def moment(value: datetime | None) -> str:
    """A time in UTC, to the second."""
    return "-" if value is None else f"{value:%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float) -> str:
    """A duration in its two largest units: 3 d 4 h, 2 min 5 s, 0.4 s."""
    if seconds == 0:
        return "0 s"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    left, parts = round(seconds), []
    for size, unit in (*_UNITS, (1, "s")):
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2])


def bytes_text(size: float) -> str:
    """A size in bytes with the fitting unit."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def columns() -> int | None:
    """How wide a line may be; None when nobody looks at it, and nothing should be cut off."""
    # Python has none when it was closed by who called us.
    if (sys.stdout is not None and sys.stdout.isatty()) or "COLUMNS" in os.environ:
        return shutil.get_terminal_size((80, 24)).columns
    return None


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows in columns; the last column is cut where the terminal ends."""
    lines = [list(head), *([safe(cell) for cell in row] for row in rows)]
    widths = [max(cells_of(line[place]) for line in lines) for place in range(len(head) - 1)]
    most, shown = columns(), []
    for line in lines:
        start = "".join(fill(cell, width) + "  " for cell, width in zip(line, widths, strict=False))
        last = line[-1]
        room = None if most is None else max(10, most - cells_of(start))
        shown.append((start + (last if room is None else cut(last, room))).rstrip())
    return "\n".join(shown)


def cells_of(text: str) -> int:
    """How many columns of a terminal a printable text takes."""
    return sum(_cells(character) for character in text)


def fill(text: str, width: int) -> str:
    """The text with spaces up to `width` columns."""
    return text + " " * (width - cells_of(text))


def cut(text: str, width: int) -> str:
    """The beginning of the text that fits into `width` columns."""
    if cells_of(text) <= width:
        return text
    kept, used = "", 1
    for character in text:
        used += _cells(character)
        if used > width:
            break
        kept += character
    return kept + "…"


def as_json(value: Any) -> str:
    """Indented JSON; times as ISO 8601 in UTC."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=_plain)


def job_record(job: Job) -> dict[str, Any]:
    """A job as lists show it in JSON: no arguments, they may be long or secret."""
    found = {name: getattr(job, name) for name in Job.__dataclass_fields__ if name not in _HIDDEN}
    for name in _STORED & found.keys():
        found[name] = readable(found[name]) if found[name] is not None else None
    found["progress"] = None if job.progress is None else {**asdict(job.progress), "share": job.progress.share}
    return found


def say(text: str) -> None:
    """Print a result."""
    click.echo(text)


def note(text: str) -> None:
    """Print what is no result, such as how to go on: to stderr."""
    click.echo(text, err=True)


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, frozenset | set | tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
