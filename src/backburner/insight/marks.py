"""`Marks`: what people said happened, releases and notes, for the charts. They are in the audit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from backburner.insight.audit import Audit

KIND, TARGET = "chart", "overview"
"""Where the audit keeps them: found by its index."""
RELEASE, NOTE = "release", "note"
MAX_MARK = 120
"""Characters of one."""
MOST = 50


@dataclass(frozen=True, slots=True)
class Mark:
    """What happened at a time, UTC, as somebody said: a release of the app by its name, or a note."""

    at: datetime
    by: str
    text: str
    release: bool


class Marks:
    """Said by `Operator.note` and `Operator.release`."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def since(self, moment: datetime) -> tuple[Mark, ...]:
        """Those from a time on, the oldest first; the latest 50 where there are more."""
        rows = self._audit.page(kind=KIND, target=TARGET, limit=MOST).rows
        return tuple(
            Mark(row.at, row.by, row.reason or "", row.action == RELEASE) for row in reversed(rows) if row.at >= moment
        )
