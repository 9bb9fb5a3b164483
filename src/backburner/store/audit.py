"""The audit: what operators did, one row for each action, inserted and never changed."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from backburner.action import Action, ActionPage

if TYPE_CHECKING:
    from backburner.store.store import Store


class AuditRows:
    """The door to them."""

    def __init__(self, store: Store) -> None:
        self._store, self._t = store, store.schema.audit

    def add(self, row: Action) -> None:
        """Write one."""
        self._store.run(lambda c: c.execute(insert(self._t), [asdict(row)]))

    def page(
        self, limit: int, *, by: str | None, action: str | None, kind: str | None, target: str | None,
        before: str | None, among: int,
    ) -> ActionPage:  # fmt: skip
        """The newest rows that match; of one target by its index, else among the newest `among`."""
        t = self._t.c
        leading = [t.kind == kind, t.target == target] if kind is not None and target is not None else []
        older = [t.id < before] if before is not None else []
        newest = select(self._t).where(*leading, *older).order_by(t.id.desc()).limit(among).subquery()
        n = newest.c
        wanted = [
            column == value
            for column, value in ((n.by, by), (n.action, action), (n.kind, kind), (n.target, target))
            if value is not None
        ]
        query = select(newest).where(*wanted).order_by(n.id.desc()).limit(limit + 1)
        rows = [Action(**row) for row in self._store.read(lambda c: c.execute(query).mappings().all())]
        if len(rows) > limit:
            return ActionPage(tuple(rows[:limit]), rows[limit - 1].id, complete=True)
        if not wanted:
            return ActionPage(tuple(rows), None, complete=True)
        last = select(n.id).order_by(n.id).limit(1)
        edge = select(t.id).where(*leading, *older).order_by(t.id.desc()).offset(among).limit(1)
        beyond = self._store.read(lambda c: c.execute(edge).scalar())
        end = None if beyond is None else self._store.read(lambda c: c.execute(last).scalar())
        return ActionPage(tuple(rows), end, complete=end is None)

    def prune(self, before: datetime, limit: int) -> int:
        """Forget what was done before then; how many rows, at most `limit`."""
        t = self._t.c
        # Ids are made in order of time: the oldest come first.
        oldest = select(t.id, t.at).order_by(t.id).limit(limit)
        gone = [row.id for row in self._store.read(lambda c: c.execute(oldest).all()) if row.at < before]
        return self._store.run(lambda c: c.execute(delete(self._t).where(t.id.in_(gone))).rowcount) if gone else 0
