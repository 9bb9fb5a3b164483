"""Values of progress: what a running job reports and what a reader sees."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from backburner.link import Link


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job has come, as last stored.

    `done` of `total` in `unit`; `total` is None while it is not known. `failed` counts items that could not
    be done. `share` is between 0 and 1, or None while there is no total.
    """

    done: float = 0
    total: float | None = None
    unit: str | None = None
    stage: str | None = None
    message: str | None = None
    failed: int = 0
    links: tuple[Link, ...] = ()
    began_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def share(self) -> float | None:
        """Part done, clamped to 0..1; None without a total, and when more was done than expected."""
        if not self.total or self.done > self.total:
            return None
        return max(0.0, self.done / self.total)


class LogLine(NamedTuple):
    """A piece of live output: `start` is its offset in characters within the job's whole log."""

    start: int
    text: str
    at: datetime


class Message(NamedTuple):
    """One entry of the list of messages meant for the people who wait; `ordinal` counts within its attempt."""

    level: str
    text: str
    at: datetime
    ordinal: int


class FailedItem(NamedTuple):
    """One item of a mass action that could not be done."""

    key: str
    error: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ProgressWrite:
    """What one job has to report since its last flush; fenced by `(job, attempt)`.

    `anew` says that this attempt began from the start: what failed in an earlier one is done once more.
    """

    job: str
    attempt: int
    progress: Progress | None = None
    checkpoint: str | None = None
    log: tuple[LogLine, ...] = ()
    messages: tuple[Message, ...] = ()
    failed_items: tuple[FailedItem, ...] = ()
    anew: bool = False


def storable(text: str, size: int) -> str:
    """The first `size` characters as every database stores them: NUL and lone surrogates (of undecodable file
    names) are escaped.
    """
    text = text[:size]
    if text.isascii() and "\x00" not in text:
        return text
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")[:size]


def printable(text: str) -> str:
    """The text with everything that could move a cursor or forge a line of a log escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
