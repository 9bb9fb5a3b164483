"""`GroupRows`: the rows that are locked to move groups; one is made when somebody wants its lock."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection, or_, select

from backburner.store.conditions import in_line
from backburner.store.lane import CLAIM
from backburner.store.patience import within

if TYPE_CHECKING:
    from backburner.store.store import Store

_REMEMBERED = 10_000


class GroupRows:
    """Made, locked and forgotten by name. Which are there is remembered, to save a look."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._t = store.schema.groups
        self._known: set[str] = set()

    def make(self, names: Collection[str], patience: float | None = None) -> None:
        """Rows to lock, in a transaction of their own: nobody waits for their makers.

        With `patience` it waits so many seconds for who has locked one that was there: MariaDB does. Raises
        `WaitedInVain`.
        """
        new = sorted(set(names) - self._known)
        if not new:
            return
        rows, dialect = [{"name": name} for name in new], self._store.dialect
        self._store.run(within(dialect, patience, lambda c: c.execute(dialect.insert_new(self._t), rows)), CLAIM)
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        self._known.update(new)

    def lock(self, connection: Connection, names: Sequence[str], *, wait: bool) -> list[str]:
        """Those of these rows that are ours until the transaction ends."""
        query = select(self._t.c.name).where(self._t.c.name.in_(names)).order_by(self._t.c.name)
        locked = list(connection.execute(query.with_for_update(skip_locked=not wait)).scalars())
        if len(locked) < len(names):
            # Locked by others, or cleaned away meanwhile.
            self._known.difference_update(set(names) - set(locked))
        return locked

    def gone(self, names: Collection[str]) -> set[str]:
        """After `lock` has waited: those that were not there."""
        return set(names) - self._known

    def made_again(self, names: Collection[str]) -> bool:
        """Make the rows of those that could not be locked; True when any was gone."""
        unlocked = self.gone(names)
        if not unlocked:
            return False
        query = select(self._t.c.name).where(self._t.c.name.in_(unlocked))
        there = set(self._store.read(lambda c: c.execute(query).scalars().all()))
        self._known.update(there)
        self.make(unlocked)
        return unlocked != there

    def prune(self, after: str, limit: int) -> tuple[int, str]:
        """Forget rows of groups without live jobs, among `limit` from the name `after` on; and where to look next."""
        t, jobs = self._t, self._store.schema.jobs.c
        used = or_(
            select(jobs.id).where(jobs.group_name == t.c.name, in_line(jobs)).exists(),
            select(jobs.id).where(jobs.slot == t.c.name).exists(),
        )
        page = select(t.c.name).where(t.c.name > after).order_by(t.c.name).limit(limit)

        def idle(connection: Connection, names: Sequence[str], *, lock: bool) -> Sequence[str]:
            query = select(t.c.name).where(t.c.name.in_(names), ~used)
            return connection.execute(query.with_for_update(skip_locked=True) if lock else query).scalars().all()

        def work(connection: Connection) -> int:
            gone = idle(connection, free, lock=True)
            if gone:
                connection.execute(t.delete().where(t.c.name.in_(gone)))
            return len(gone)

        names = self._store.read(lambda c: c.execute(page).scalars().all())
        free = self._store.read(lambda c: idle(c, names, lock=False)) if names else []
        return self._store.run(work) if free else 0, names[-1] if len(names) == limit else ""
