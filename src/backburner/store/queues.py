"""What is said of queues at run time: paused or not, why, until when, and how many of their jobs may run at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select, update

from backburner.contradictions import ALL_QUEUES

if TYPE_CHECKING:
    from backburner.store.store import Store


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One queue that something was said about; the name `*` speaks for all. Times are UTC."""

    name: str
    paused_at: datetime | None = None
    paused_until: datetime | None = None
    paused_by: str | None = None
    reason: str | None = None
    most: int | None = None

    def paused(self, now: datetime) -> bool:
        """Whether it is paused at `now`."""
        return self.paused_at is not None and (self.paused_until is None or self.paused_until > now)


class Queues:
    """The door to what is said of queues. A claim asks it again each time: what is said holds from its commit on."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._t = store.schema.queues

    def all(self) -> list[QueueRow]:
        """Every queue that something was said about, by name."""
        query = select(self._t).order_by(self._t.c.name)
        return [QueueRow(**row) for row in self._store.read(lambda c: c.execute(query).mappings().all())]

    def used(self) -> list[str]:
        """The names of queues that have unfinished jobs ready to be taken."""
        with self._store.borrowed_lane() as lane:
            return self._store.claims.ready_queues(lane)

    def pauses(self, queue: str) -> list[QueueRow]:
        """What keeps a queue paused now: its own pause, that of all queues, or both."""
        now, names = self._store.clock.now(), (ALL_QUEUES, queue)
        query = select(self._t).where(self._t.c.name.in_(names)).order_by(self._t.c.name)
        rows = [QueueRow(**row) for row in self._store.read(lambda c: c.execute(query).mappings().all())]
        return [row for row in rows if row.paused(now)]

    def pause(self, queue: str, by: str | None, reason: str | None, until: datetime | None) -> None:
        """Have nothing of this queue taken until it is resumed, or until a time."""
        said = {"paused_at": self._store.clock.now(), "paused_until": until, "paused_by": by, "reason": reason}
        self._say(queue, said)

    def resume(self, queue: str) -> bool:
        """End a pause; False when there was none."""
        t, now = self._t, self._store.clock.now()
        nothing = {"paused_at": None, "paused_until": None, "paused_by": None, "reason": None}

        def work(connection: Connection) -> bool:
            row = connection.execute(select(t).where(t.c.name == queue).with_for_update()).mappings().first()
            connection.execute(update(t).where(t.c.name == queue).values(**nothing))
            return row is not None and QueueRow(**row).paused(now)

        return self._store.run(work)

    def limit(self, queue: str, most: int | None) -> None:
        """Have at most so many jobs of this queue run at the same time; None takes the limit away."""
        self._store.limits.make([f"queue:{queue}"])
        self._say(queue, {"most": most})

    def _say(self, queue: str, said: dict[str, Any]) -> None:
        t = self._t

        def work(connection: Connection) -> None:
            connection.execute(self._store.dialect.insert_new(t), [{"name": queue}])
            connection.execute(update(t).where(t.c.name == queue).values(**said))

        self._store.run(work)
