"""Named locks with a lease: a command runs once at a time, across hosts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, or_, select, update

if TYPE_CHECKING:
    from backburner.store.store import Store


class Locks:
    """The door to named locks. A holder that dies loses its lock when the lease ends."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._t = store.schema.locks

    def acquire(self, name: str, holder: str, note: str, lease: float) -> str | None:
        """Take or prolong a lock for `lease` seconds; None on success, else the note of who has it."""
        t = self._t

        def work(connection: Connection) -> str | None:
            now = self._store.clock.now()
            mine = {"holder": holder, "note": note, "until": now + timedelta(seconds=lease)}
            while True:
                connection.execute(self._store.dialect.insert_new(t).values(name=name, **mine))
                takeable = or_(t.c.holder == holder, t.c.until < now)
                connection.execute(update(t).where(t.c.name == name, takeable).values(**mine))
                row = connection.execute(select(t).where(t.c.name == name)).first()
                # No row: its holder gave it back between these statements.
                if row is not None:
                    return None if row.holder == holder else str(row.note)

        return self._store.run(work)

    def release(self, name: str, holder: str) -> None:
        """Give a lock back; nothing happens when somebody else has it by now."""
        t = self._t
        self._store.run(lambda c: c.execute(delete(t).where(t.c.name == name, t.c.holder == holder)))
