"""Jobs as rows of a file: CSV or JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import IO, Any, Literal, Protocol

from backburner.codec import readable
from backburner.job import Job

Format = Literal["csv", "json"]
COLUMNS = (
    "id", "state", "task", "title", "queue", "priority", "identifier", "owner", "tags", "group", "attempt", "tries",
    "created_at", "run_at", "started_at", "finished_at", "reason", "error", "args", "result",
)  # fmt: skip
PRIVATE = frozenset({"args", "result"})
"""They may hold what only some may see: exported when they are named."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Writer(Protocol):
    """Writes rows to an open file."""

    def write(self, jobs: Iterable[Job]) -> None: ...
    def end(self) -> None: ...


Secrets = Callable[[str], Iterable[str]]
"""The parameters of a task, by its name, whose values are shown to nobody."""


def writer_of(form: Format, file: IO[str], columns: Sequence[str], secrets: Secrets) -> Writer:
    """A writer; the head of the file is written at once."""
    return CsvWriter(file, columns, secrets) if form == "csv" else JsonWriter(file, columns, secrets)


class CsvWriter:
    """RFC 4180. What a spreadsheet would take for a formula begins with an apostrophe."""

    def __init__(self, file: IO[str], columns: Sequence[str], secrets: Secrets) -> None:
        self._rows, self._columns, self._secrets = csv.writer(file), columns, secrets
        self._rows.writerow(columns)

    def write(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._rows.writerow([_harmless(_plain(_value(job, name, self._secrets))) for name in self._columns])

    def end(self) -> None:
        return


class JsonWriter:
    """One list of objects, one on each line."""

    def __init__(self, file: IO[str], columns: Sequence[str], secrets: Secrets) -> None:
        self._file, self._columns, self._secrets, self._first = file, columns, secrets, True
        file.write("[")

    def write(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            row = {name: _value(job, name, self._secrets) for name in self._columns}
            self._file.write(("\n" if self._first else ",\n") + json.dumps(row, ensure_ascii=False))
            self._first = False

    def end(self) -> None:
        self._file.write("\n]\n")


def _value(job: Job, name: str, secrets: Secrets) -> Any:
    value = job.result_text if name == "result" else getattr(job, name)
    if name in PRIVATE and isinstance(value, str):
        # A pickle is no JSON: hidden as a whole.
        return readable(value, secrets(job.task) if name == "args" else ())
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else str(value)


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) and not text.lstrip("-").isdigit() else text
