"""What kind of text a file is: a look at every byte once, in pieces, before it is read as CSV."""

from __future__ import annotations

import codecs
import os
from dataclasses import dataclass
from pathlib import Path

from backburner import PermanentError

_CHUNK = 1_048_576
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Spreadsheets, PDF and pictures, as people send them by mistake.
_NO_TEXT = {b"PK\x03\x04": "a spreadsheet or an archive", b"\xd0\xcf\x11\xe0": "a spreadsheet", b"%PDF": "a PDF"}


@dataclass(frozen=True, slots=True)
class Text:
    """A file of lines that end in a line feed. `skip` is the length of its byte-order mark, in bytes."""

    path: Path
    encoding: str
    skip: int
    lines: int


def look_at(path: Path) -> Text:
    """Find out encoding and number of lines; what has no line feeds or two-byte characters is rewritten once.

    Raises `PermanentError` when it is no text.
    """
    with path.open("rb") as file:
        start = file.read(4)
    for mark, kind in _NO_TEXT.items():
        if start.startswith(mark):
            raise PermanentError(f"This file is {kind}, not CSV. Save it as CSV and send that.")
    if start.startswith(_UTF16):
        return look_at(_rewritten(path, "utf-16"))
    skip = len(codecs.BOM_UTF8) if start.startswith(codecs.BOM_UTF8) else 0
    encoding, line_feeds, returns, ended = _survey(path)
    if returns and not line_feeds:
        return look_at(_rewritten(path, encoding))
    return Text(path, encoding, skip, line_feeds + (not ended))


def _survey(path: Path) -> tuple[str, int, int, bool]:
    """Encoding, line feeds, carriage returns, and whether the last line is ended."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    encoding, line_feeds, returns, last = "utf-8", 0, 0, b"\n"
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if b"\0" in chunk:
                raise PermanentError("This file is not text: it holds zero bytes. Save it as CSV and send that.")
            line_feeds += chunk.count(b"\n")
            returns += chunk.count(b"\r")
            last = chunk[-1:]
            if encoding == "utf-8":
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    # What is not UTF-8 is what spreadsheets in western countries write.
                    encoding = "cp1252"
    return encoding, line_feeds, returns, last == b"\n"


def _rewritten(path: Path, encoding: str) -> Path:
    """The file in UTF-8 with line feeds, beside it; made once, also when an earlier attempt was killed."""
    made, part = path.with_suffix(".text"), path.with_suffix(".part")
    if not made.exists():
        try:
            with path.open(encoding=encoding, errors="strict") as source, part.open("w", encoding="utf-8") as target:
                while chunk := source.read(_CHUNK):
                    target.write(chunk)
        except UnicodeError as error:
            raise PermanentError(f"This file says it is {encoding} and is not. Save it as UTF-8.") from error
        os.replace(part, made)
    return made
