"""`CsvFile`: rows of any CSV file a person has, one after the other, from any place on."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from backburner import PermanentError
from examples.shop.csv_text import Text

_DELIMITERS = ",;\t|"
_SAMPLE_BYTES = 65_536
_LONGEST_LINE = 1_048_576
_MOST_COLUMNS = 500
_MOST_LINES_OF_A_ROW = 200
_KEYS = ("id", "sku", "code", "iata", "key", "article", "ean")
_NAMES = ("name", "title", "product", "description")
_PRICES = ("price", "unit price", "unit_price", "cost", "amount")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row begins: bytes from the start of the file, and its line, from 1 on."""

    offset: int
    line: int


@dataclass(frozen=True, slots=True)
class Row:
    """What was found at `line`: fields, or a problem. `next` is where the next row begins."""

    line: int
    fields: tuple[str, ...]
    problem: str | None
    next: Place


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is built. `key`, `name` and `price` are positions of columns."""

    delimiter: str
    columns: tuple[str, ...]
    key: int
    name: int | None
    price: int | None
    rows_at: Place


class CsvFile:
    """An open file. Use it as a context manager."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._file: IO[bytes] = text.path.open("rb")
        self._offset, self._line = 0, 1
        self.layout: Layout = self._find_layout()

    def __enter__(self) -> CsvFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def rows(self, start: Place | None = None) -> Iterator[Row]:
        """Every row from `start` on, empty lines left out. One row is in memory at a time."""
        place = start or self.layout.rows_at
        while True:
            self._go_to(place)
            found = self._fields()
            if found is None:
                return
            fields, problem = found
            if problem is not None:
                # Nobody knows where a broken row ends: it is taken for one line, and the next line is tried.
                self._go_to(place)
                self._skip_line()
            begun, place = place.line, Place(self._offset, self._line)
            if fields or problem:
                yield Row(begun, tuple(fields), problem or self._fault_of(fields), place)

    def _fault_of(self, fields: list[str]) -> str | None:
        columns = self.layout.columns
        if len(fields) != len(columns):
            return f"It has {len(fields)} fields, the first line has {len(columns)}."
        if not fields[self.layout.key].strip():
            return f"Its {columns[self.layout.key]} is empty."
        return None

    def _fields(self) -> tuple[list[str], str | None] | None:
        """The row at the current place, or what is wrong with it; None at the end of the file."""
        # The reader takes just the lines of one row from us, so that we know where it ends.
        try:
            return next(csv.reader(self._lines(), delimiter=self.layout.delimiter, strict=True)), None
        except StopIteration:
            return None
        except csv.Error as error:
            text = str(error)
            if "unexpected end" in text or "field larger" in text:
                text = "a quote is opened and never closed"
            return [], f"It cannot be read: {text}."

    def _lines(self) -> Iterator[str]:
        for number in range(_MOST_LINES_OF_A_ROW + 1):
            if number == _MOST_LINES_OF_A_ROW:
                raise csv.Error(f"a quote is opened and not closed in {_MOST_LINES_OF_A_ROW} lines")
            raw = self._file.readline(_LONGEST_LINE)
            if not raw:
                return
            self._offset += len(raw)
            self._line += 1
            if len(raw) == _LONGEST_LINE and not raw.endswith(b"\n"):
                raise csv.Error("the line is longer than a megabyte")
            yield raw.decode(self._text.encoding, "replace")

    def _skip_line(self) -> None:
        while raw := self._file.readline(_LONGEST_LINE):
            self._offset += len(raw)
            if raw.endswith(b"\n"):
                break
        self._line += 1

    def _go_to(self, place: Place) -> None:
        if place.offset != self._offset:
            self._file.seek(place.offset)
        self._offset, self._line = place.offset, place.line

    def _find_layout(self) -> Layout:
        self._file.seek(self._text.skip)
        sample = self._file.read(_SAMPLE_BYTES).decode(self._text.encoding, "replace")
        if not sample.strip():
            raise PermanentError("The file is empty.")
        # The last line may be cut off by the end of the sample.
        lines = sample.splitlines(keepends=True)
        lines = lines[:-1] if len(lines) > 1 and self._text.lines > len(lines) else lines
        delimiter = max(_DELIMITERS, key=lambda each: _fit(lines, each))
        self.layout = Layout(delimiter, (), 0, None, None, Place(0, 1))
        self._file.seek(self._text.skip)
        self._offset = self._text.skip
        fields, problem = self._fields() or ([], None)
        while not fields and not problem:
            fields, problem = self._fields() or ([], "there is no row")
        if problem is not None:
            raise PermanentError(f"The first line should name the columns. {problem}")
        if len(fields) > _MOST_COLUMNS:
            raise PermanentError(f"The first line names {len(fields)} columns; at most {_MOST_COLUMNS} are read.")
        columns = _distinct(fields)
        key = _position(columns, _KEYS)
        return Layout(
            delimiter,
            columns,
            0 if key is None else key,
            _position(columns, _NAMES),
            _position(columns, _PRICES),
            Place(self._offset, self._line),
        )


def _fit(lines: list[str], delimiter: str) -> tuple[float, int]:
    """How well a delimiter fits: the share of rows as wide as the first one, and that width."""
    rows: list[list[str]] = []
    with suppress(csv.Error):
        rows.extend(row for row in csv.reader(lines[:50], delimiter=delimiter) if row)
    width = len(rows[0]) if rows else 0
    if width < 2:
        return 0.0, 0
    return sum(len(row) == width for row in rows) / len(rows), width


def _distinct(names: list[str]) -> tuple[str, ...]:
    """Names of columns, each once and none empty."""
    found: list[str] = []
    for number, name in enumerate(names, 1):
        name = name.strip() or f"column {number}"
        same, copy = name, 2
        while name in found:
            name, copy = f"{same} ({copy})", copy + 1
        found.append(name)
    return tuple(found)


def _position(columns: tuple[str, ...], wanted: tuple[str, ...]) -> int | None:
    lowered = [column.lower() for column in columns]
    return next((lowered.index(name) for name in wanted if name in lowered), None)
