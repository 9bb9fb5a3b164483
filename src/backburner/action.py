"""`Action`: one thing that an operator did, as the audit keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Action:
    """One action: who (`by`, `via` dashboard, http, cli or code) did what to what, and what that changed.

    `before` and `after` are JSON objects, None where there is nothing to say. `count` is for actions on many.
    """

    id: str
    at: datetime
    by: str
    via: str
    action: str
    kind: str
    target: str
    count: int | None = None
    reason: str | None = None
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class ActionPage:
    """Rows, the newest first; `next` is the `before` of the next page, None when there is none.

    Not `complete`: only so many of the newest were looked at, and older ones may match.
    """

    rows: tuple[Action, ...]
    next: str | None
    complete: bool
