"""Caps on how many jobs run at the same time, of a task or of a queue, across all workers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, Select, func, select

from backburner.contradictions import ALL_QUEUES
from backburner.job import ClaimedJob
from backburner.run_options import Cap
from backburner.store.conditions import queued_alone
from backburner.store.dialects.base import ClaimOrder
from backburner.store.lane import CLAIM
from backburner.store.taking import alive, paused_queues, take

if TYPE_CHECKING:
    from backburner.store.store import Store

LOOKED_AT = 1000
"""How far from the front of a queue capped jobs are looked for."""


class Room:
    """How many jobs may still be taken in one transaction: free slots, short ones `ahead` of them, what the caps leave,
    and how many of those that need a process of their own.

    The row of a capped thing is locked when it is first met; whoever cannot lock it leaves its jobs alone. `full`
    has the names of tasks that were turned away: their jobs are not to keep out what comes behind them; `lonely` the
    groups of jobs that were, for there are enough that need a process of their own.
    """

    def __init__(
        self, store: Store, connection: Connection, free: int, caps: Callable[[str], Cap | None], paused: set[str],
        lone: int = 2**15 - 1, ahead: int = 0, short: Collection[str] = (),
    ) -> None:  # fmt: skip
        self._store, self._connection, self._free, self._caps = store, connection, free, caps
        self._paused, self._lone, self._ahead, self._short = paused, lone, ahead, short
        self.lonely: set[str] = set()
        self._left: dict[str, int] = {}
        self.full: set[str] = set()
        queues = store.schema.queues.c
        most = select(queues.name, queues.most).where(queues.most.is_not(None))
        self._queue_caps = {row.name: row.most for row in connection.execute(most)}

    def admits(self, row: Row[Any]) -> bool:
        """Whether this job may be taken; if so its place is used up."""
        if ALL_QUEUES in self._paused or row.queue in self._paused:
            return False
        lone = row.crashes > 0 or row.losses > 0
        if self._free <= 0 and (self._ahead <= 0 or lone or not self._fits_ahead(row)):
            return False
        if lone and self._lone <= 0:
            self.lonely.update({row.group_name} - {None})
            return False
        capped = []
        of_task, of_queue = self._caps(row.task), self._queue_caps.get(row.queue)
        if of_task is not None:
            capped.append(("task", of_task))
        if of_queue is not None:
            capped.append(("queue", Cap((row.queue,), of_queue)))
        if capped and self._free <= 0:
            return False
        for kind, cap in capped:
            if self._room(kind, cap) <= 0:
                self.full.update(cap.names if kind == "task" else ())
                return False
        for kind, cap in capped:
            self._left[f"{kind}:{cap.names[0]}"] -= 1
        if self._free > 0:
            self._free -= 1
        else:
            self._ahead -= 1
        self._lone -= lone
        return True

    def _fits_ahead(self, row: Row[Any]) -> bool:
        # One that keeps its group between its tries would lose it when it is given back.
        return row.repeatable and row.slot is None and row.task in self._short

    def _room(self, kind: str, cap: Cap) -> int:
        name = f"{kind}:{cap.names[0]}"
        if name not in self._left:
            # Counted under the lock: nobody else takes one meanwhile.
            self._left[name] = self._free_of(kind, cap) if self._lock(name) else 0
        return self._left[name]

    def _free_of(self, kind: str, cap: Cap) -> int:
        return cap.most - _running(self._store, self._connection, kind, cap.names)

    def _lock(self, name: str) -> bool:
        limits = self._store.schema.limits
        query = select(limits.c.name).where(limits.c.name == name).with_for_update(skip_locked=True)
        return self._connection.execute(query).first() is not None


def _running(store: Store, connection: Connection, kind: str, names: Sequence[str]) -> int:
    t = store.schema.jobs.c
    # By the index of owned jobs: they are few.
    query = select(func.count()).where(t.worker.is_not(None), (t.task if kind == "task" else t.queue).in_(names))
    return connection.execute(query).scalar_one()


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

    def running(self, kind: str, names: Sequence[str]) -> int:
        """How many jobs run now of a "queue", or of a "task" under all its names."""
        return self._store.read(lambda c: _running(self._store, c, kind, names))

    def capped_queues(self) -> dict[str, int]:
        """Queues with a cap, and the cap."""
        t = self._store.schema.queues.c
        query = select(t.name, t.most).where(t.most.is_not(None))
        return {row.name: row.most for row in self._store.read(lambda c: c.execute(query).all())}

    def claim(
        self, order: ClaimOrder, tasks: Sequence[str] | None, caps: Callable[[str], Cap | None]
    ) -> list[ClaimedJob]:
        """Take jobs without a group of one queue, at most `order.free`: of these tasks only, of any when None."""
        self.make([f"queue:{order.queue}", *(f"task:{name}" for name in tasks or ())])
        taken: list[ClaimedJob] = []
        while order.free > len(taken) and self.best_priority(order, tasks) is not None:
            some, full = self._step(order.left(taken), tasks, caps)
            taken += some
            if full.issubset(order.refused):
                break
            order = order._replace(refused=[*order.refused, *full])
        return taken

    def _step(
        self, order: ClaimOrder, tasks: Sequence[str] | None, caps: Callable[[str], Cap | None]
    ) -> tuple[list[ClaimedJob], set[str]]:
        """What one transaction takes, and the names of tasks that it found without room."""
        t = self._store.schema.jobs
        best = self._front(order, tasks)

        def work(connection: Connection) -> tuple[list[ClaimedJob], set[str]]:
            if not alive(self._store, connection, order.worker):
                return [], set()
            paused = paused_queues(self._store, connection)
            room = Room(self._store, connection, order.free, caps, paused, order.lone)
            ids = connection.execute(best.limit(max(100, 2 * order.free))).scalars().all()
            locked = select(t).where(t.c.id.in_(ids), queued_alone(t.c)).order_by(t.c.id)
            locked = locked.with_for_update(skip_locked=True)
            rows = sorted(connection.execute(locked).all(), key=lambda row: (row.priority, row.position))
            chosen = [row for row in rows if room.admits(row)]
            return take(self._store, connection, chosen, order.worker) if chosen else [], room.full

        return self._store.run(work, CLAIM)

    def best_priority(self, order: ClaimOrder, tasks: Sequence[str] | None) -> int | None:
        """The priority of the first job that `claim` would look at."""
        query = self._front(order, tasks).limit(1)
        row = self._store.read(lambda c: c.execute(query).first())
        return None if row is None else row.priority

    def _front(self, order: ClaimOrder, tasks: Sequence[str] | None) -> Select[Any]:
        t = self._store.schema.jobs.c
        sound = [] if order.lone > 0 else [t.crashes == 0, t.losses == 0]
        front = (
            select(t.id, t.task, t.priority, t.position)
            .where(queued_alone(t), t.queue == order.queue, t.priority.between(*order.priorities), *sound)
            .order_by(t.priority, t.position)
            .limit(LOOKED_AT)
            .subquery()
        )
        fitting = [front.c.task.not_in(order.refused)] if order.refused else []
        if tasks is not None:
            fitting.append(front.c.task.in_(tasks))
        return select(front.c.id, front.c.priority).where(*fitting).order_by(front.c.priority, front.c.position)
