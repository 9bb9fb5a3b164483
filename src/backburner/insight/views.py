"""`Views`: filters that operators have saved under a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from backburner.checked import MAX_WHO, checked_text
from backburner.errors import InvalidOption
from backburner.ids import Ids, is_id
from backburner.view import View
from backburner.where import Where

if TYPE_CHECKING:
    from backburner.database import Database

MOST = 100
MAX_NAME, MAX_COLUMNS = 100, 30


class Views:
    """Saved views; each belongs to who saved it, and a shared one is seen by all."""

    def __init__(self, database: Database, ids: Ids) -> None:
        self._database, self._ids = database, ids

    def list(self, owner: str) -> Sequence[View]:
        """Somebody's views and those that others share, by name."""
        return self._database.store.views.of(owner, 2 * MOST)

    def save(
        self, owner: str, name: str, query: str, *, columns: Sequence[str] | None = None, shared: bool = False,
        view_id: str | None = None,
    ) -> View:  # fmt: skip
        """Save a filter, or change the view of this id. Raises `InvalidOption` and `FilterError`."""
        from_store = self._database.store.views
        checked_text("name", name, MAX_NAME)
        checked_text("owner", owner, MAX_WHO)
        if columns is not None and len(columns) > MAX_COLUMNS:
            raise InvalidOption("columns", columns, f"has {len(columns)} columns", f"Use at most {MAX_COLUMNS}")
        shown = None if columns is None else tuple(checked_text("columns", one, MAX_NAME) for one in columns)
        if view_id is not None:
            self._own(owner, view_id)
        elif from_store.count(owner) >= MOST:
            raise InvalidOption("name", name, f"would be the {MOST + 1}st view", "Delete one that nobody needs")
        now = self._database.store.clock.now()
        made = View(view_id or self._ids.new(), name, owner, str(Where.of(query)), shown, shared, now)
        from_store.put(made)
        return made

    def remove(self, owner: str, view_id: str) -> View:
        """Forget a view of one's own; what it was. Raises `InvalidOption`."""
        found = self._own(owner, view_id)
        self._database.store.views.remove(view_id)
        return found

    def _own(self, owner: str, view_id: str) -> View:
        found = self._database.store.views.get(view_id) if is_id(view_id) else None
        if found is None or found.owner != owner:
            raise InvalidOption("view_id", view_id, "is no view of yours", "Save it as a new one")
        return found
