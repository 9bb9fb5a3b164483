"""Caps on how many jobs run at the same time, of a task or of a queue, across all workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, Select, func, select

from backburner.job import ClaimedJob
from backburner.store.conditions import queued_alone
from backburner.store.dialects.base import ClaimOrder
from backburner.store.lane import CLAIM
from backburner.store.taking import ALL_QUEUES, alive, paused_queues, take

if TYPE_CHECKING:
    from backburner.store.store import Store

LOOKED_AT = 1000
"""How far from the front of a queue capped jobs are looked for."""


class Room:
    """How many jobs may still be taken in one transaction: free slots, and what the caps leave.

    The row of a capped thing is locked when it is first met; whoever cannot lock it leaves its jobs alone.
    """

    def __init__(
        self, store: Store, connection: Connection, free: int, caps: Callable[[str], int | None], paused: set[str]
    ) -> None:
        self._store, self._connection, self._free, self._caps = store, connection, free, caps
        self._paused = paused
        self._left: dict[str, int] = {}
        queues = store.schema.queues.c
        most = select(queues.name, queues.most).where(queues.most.is_not(None))
        self._queue_caps = {row.name: row.most for row in connection.execute(most)}

    def admits(self, row: Row[Any]) -> bool:
        """Whether this job may be taken; if so its place is used up."""
        if self._free <= 0 or ALL_QUEUES in self._paused or row.queue in self._paused:
            return False
        capped = []
        for name, cap in ((f"task:{row.task}", self._caps(row.task)), (f"queue:{row.queue}", self._cap(row.queue))):
            if cap is not None:
                if self._room(name, cap) <= 0:
                    return False
                capped.append(name)
        for name in capped:
            self._left[name] -= 1
        self._free -= 1
        return True

    def _cap(self, queue: str) -> int | None:
        return self._queue_caps.get(queue)

    def _room(self, name: str, cap: int) -> int:
        if name not in self._left:
            self._left[name] = cap - self._running(name) if self._lock(name) else 0
        return self._left[name]

    def _lock(self, name: str) -> bool:
        limits = self._store.schema.limits
        query = select(limits.c.name).where(limits.c.name == name).with_for_update(skip_locked=True)
        return self._connection.execute(query).first() is not None

    def _running(self, name: str) -> int:
        t = self._store.schema.jobs.c
        kind, _, value = name.partition(":")
        column = t.task if kind == "task" else t.queue
        # By the index of owned jobs: they are few.
        query = select(func.count()).where(t.worker.is_not(None), column == value)
        return self._connection.execute(query).scalar_one()


class Limits:
    """The door to what is capped."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: set[str] = set()

    def make(self, names: Sequence[str]) -> None:
        """Have a row to lock for each of these capped things: `task:<name>`, `queue:<name>`."""
        new = sorted(set(names) - self._known)
        if new:
            limits = self._store.schema.limits
            rows = [{"name": name} for name in new]
            self._store.run(lambda c: c.execute(self._store.dialect.insert_new(limits), rows), CLAIM)
            self._known.update(new)

    def running(self, name: str) -> int:
        """How many jobs of a capped thing run now."""
        return self._store.read(lambda c: Room(self._store, c, 0, lambda task: None, set())._running(name))

    def capped_queues(self) -> dict[str, int]:
        """Queues with a cap, and the cap."""
        t = self._store.schema.queues.c
        query = select(t.name, t.most).where(t.most.is_not(None))
        return {row.name: row.most for row in self._store.read(lambda c: c.execute(query).all())}

    def claim(
        self, order: ClaimOrder, tasks: Sequence[str] | None, caps: Callable[[str], int | None]
    ) -> list[ClaimedJob]:
        """Take jobs without a group of one queue, at most `order.free`: of these tasks only, of any when None."""
        t = self._store.schema.jobs
        self.make([f"queue:{order.queue}", *(f"task:{name}" for name in tasks or ())])
        best = self._front(order, tasks)

        def work(connection: Connection) -> list[ClaimedJob]:
            if not alive(self._store, connection, order.worker):
                return []
            room = Room(self._store, connection, order.free, caps, paused_queues(self._store, connection))
            ids = connection.execute(best.limit(max(100, 2 * order.free))).scalars().all()
            locked = select(t).where(t.c.id.in_(ids), queued_alone(t.c)).order_by(t.c.id)
            locked = locked.with_for_update(skip_locked=True)
            rows = sorted(connection.execute(locked).all(), key=lambda row: (row.priority, row.position))
            chosen = [row for row in rows if room.admits(row)]
            return take(self._store, connection, chosen, order.worker) if chosen else []

        return [] if self.best_priority(order, tasks) is None else self._store.run(work, CLAIM)

    def best_priority(self, order: ClaimOrder, tasks: Sequence[str] | None) -> int | None:
        """The priority of the first job that `claim` would look at."""
        query = self._front(order, tasks).limit(1)
        row = self._store.read(lambda c: c.execute(query).first())
        return None if row is None else row.priority

    def _front(self, order: ClaimOrder, tasks: Sequence[str] | None) -> Select[Any]:
        t = self._store.schema.jobs.c
        front = (
            select(t.id, t.task, t.priority, t.position)
            .where(queued_alone(t), t.queue == order.queue, t.priority.between(*order.priorities))
            .order_by(t.priority, t.position)
            .limit(LOOKED_AT)
            .subquery()
        )
        fitting = [front.c.task.not_in(order.refused)] if order.refused else []
        if tasks is not None:
            fitting.append(front.c.task.in_(tasks))
        return select(front.c.id, front.c.priority).where(*fitting).order_by(front.c.priority, front.c.position)
