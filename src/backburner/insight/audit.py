"""`Audit`: who did what, on what, and what that changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from backburner.action import Action, ActionPage
from backburner.checked import MAX_REASON, MAX_WHO, checked_text
from backburner.errors import InvalidOption
from backburner.ids import Ids, is_id
from backburner.selection import checked_limit

if TYPE_CHECKING:
    from backburner.database import Database

VIAS = ("dashboard", "http", "cli", "code")
KINDS = ("job", "jobs", "queue", "schedule", "worker", "setting", "failure", "view", "chart")
AMONG = 20_000
MAX_TARGET = 420


class Audit:
    """Insert only: nobody changes it, and workers forget what is older than the setting `keep_audit`."""

    def __init__(self, database: Database, ids: Ids) -> None:
        self._database, self._ids = database, ids

    def write(
        self, by: str, via: str, action: str, kind: str, target: str, *, count: int | None = None,
        reason: str | None = None, before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Write down one action. Raises `InvalidOption`."""
        checked_text("by", by, MAX_WHO)
        if via not in VIAS:
            raise InvalidOption("via", via, "is no way to act", f"Use {', '.join(VIAS)}")
        # On what anything was done is text of others: it is cut, not refused.
        self._database.store.audit.add(
            Action(
                id=self._ids.new(), at=self._database.store.clock.now(), by=by, via=via, action=action, kind=kind,
                target=target[:MAX_TARGET], count=count, reason=reason[:MAX_REASON] if reason else None,
                before=_json(before), after=_json(after),
            )
        )  # fmt: skip

    def page(
        self, *, by: str | None = None, action: str | None = None, kind: str | None = None, target: str | None = None,
        before: str | None = None, limit: int = 50,
    ) -> ActionPage:  # fmt: skip
        """The newest actions that match; the next page is `before=page.next`. Raises `InvalidOption`."""
        if before is not None and not is_id(before):
            raise InvalidOption("before", before, "is no id of an action", "Use the `next` of the page before")
        return self._database.store.audit.page(
            checked_limit(limit), by=by, action=action, kind=kind, target=target, before=before, among=AMONG
        )


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, default=str)
