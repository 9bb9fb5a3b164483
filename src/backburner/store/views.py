"""Saved views: a filter with a name, and the columns to show."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, or_, select, update

from backburner.view import View

if TYPE_CHECKING:
    from backburner.store.store import Store


class Views:
    """The door to them."""

    def __init__(self, store: Store) -> None:
        self._store, self._t = store, store.schema.views

    def of(self, owner: str, limit: int) -> list[View]:
        """What somebody saved, and what others share, by name."""
        t = self._t.c
        query = select(self._t).where(or_(t.owner == owner, t.shared)).order_by(t.name, t.id).limit(limit)
        rows = self._store.read(lambda c: c.execute(query).mappings().all())
        return [View(**{**row, "columns": _columns(row["columns"])}) for row in rows]

    def get(self, view_id: str) -> View | None:
        """One of them."""
        row = self._store.read(lambda c: c.execute(select(self._t).where(self._t.c.id == view_id)).mappings().first())
        return None if row is None else View(**{**row, "columns": _columns(row["columns"])})

    def count(self, owner: str) -> int:
        """How many somebody saved."""
        mine = select(func.count()).select_from(self._t).where(self._t.c.owner == owner)
        return self._store.read(lambda c: c.execute(mine).scalar_one())

    def put(self, view: View) -> None:
        """Save one, or change the one of its id."""
        row = asdict(view) | {"columns": None if view.columns is None else json.dumps(view.columns)}
        self._store.run(
            lambda c: (
                c.execute(update(self._t).where(self._t.c.id == view.id).values(**row)).rowcount
                or c.execute(insert(self._t), [row])
            )
        )

    def remove(self, view_id: str) -> bool:
        """Forget one; False when it is gone already."""
        return self._store.run(lambda c: c.execute(delete(self._t).where(self._t.c.id == view_id)).rowcount == 1)


def _columns(stored: str | None) -> tuple[str, ...] | None:
    return None if stored is None else tuple(json.loads(stored))
