"""Claiming one job by its id: for a process that was started for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, or_, select, update

from backburner.job import ClaimedJob
from backburner.relations import LAUNCH, LAUNCH_ALONE
from backburner.run_options import Cap
from backburner.states import JobState
from backburner.store.conditions import state_in
from backburner.store.lane import CLAIM
from backburner.store.limits import Room
from backburner.store.taking import alive, paused_queues, take

if TYPE_CHECKING:
    from backburner.store.store import Store

LAUNCH_SECONDS = 60.0
"""How long it waits for that process; then any worker may take it."""
BATCH = 500
"""How many are let go at a time."""
SECRETS_GONE = "The process that had its secrets did not come."


class Single:
    """The door to single jobs. Jobs of a group are left alone: they have their turn."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._t = store.schema.jobs

    def row(self, job_id: str) -> Any:
        """What decides when it may run; None when it is gone."""
        t = self._t.c
        query = select(t.state, t.attempt, t.queue, t.task, t.run_at, t.blocked_on, t.group_name).where(t.id == job_id)
        return self._store.read(lambda c: c.execute(query).first())

    def make_ready(self, job_id: str) -> bool:
        """Queue a job that waits for its time alone: somebody wants it now."""
        t = self._t.c
        statement = (
            update(self._t)
            .where(t.id == job_id, state_in(t, "scheduled", "retrying"), t.group_name.is_(None))
            .values(state=JobState.QUEUED)
        )
        return self._store.run(lambda c: c.execute(statement).rowcount == 1)

    def claim(self, job_id: str, worker: str, caps: Callable[[str], Cap | None]) -> ClaimedJob | None:
        """Take it, if it waits for nothing else, and its queue and task have room."""
        t, known = self._t.c, self.row(job_id)
        if known is None or known.group_name is not None or known.state not in (JobState.QUEUED, JobState.BLOCKED):
            return None
        cap = caps(known.task)
        self._store.limits.make([f"queue:{known.queue}", *([f"task:{cap.names[0]}"] if cap is not None else ())])
        launched = and_(t.state == JobState.BLOCKED, t.blocked_on.in_((LAUNCH, LAUNCH_ALONE)))
        free = or_(t.state == JobState.QUEUED, launched)

        def work(connection: Connection) -> ClaimedJob | None:
            if not alive(self._store, connection, worker):
                return None
            room = Room(self._store, connection, 1, caps, paused_queues(self._store, connection))
            query = select(self._t).where(t.id == job_id, free, t.group_name.is_(None))
            row = connection.execute(query.with_for_update(skip_locked=True)).first()
            return take(self._store, connection, [row], worker)[0] if row is not None and room.admits(row) else None

        return self._store.run(work, CLAIM)

    def release_launches(self) -> int:
        """Queue jobs whose own process has not come: it died before it could take them. How many were queued.

        Those whose secrets it had are cancelled: nobody has them any more.
        """
        t, now = self._t.c, self._store.clock.now()
        late = and_(t.state == JobState.BLOCKED, t.created_at < now - timedelta(seconds=LAUNCH_SECONDS))
        queued = {"state": JobState.QUEUED, "blocked_on": None}
        gone = {"state": JobState.CANCELLED, "finished_at": now, "reason": SECRETS_GONE, "blocked_on": None}

        def change(connection: Connection, blocked_on: str, values: dict[str, Any]) -> int:
            which = select(t.id).where(late, t.blocked_on == blocked_on).limit(BATCH)
            ids = connection.execute(which.with_for_update(skip_locked=True)).scalars().all()
            return connection.execute(update(self._t).where(t.id.in_(ids)).values(**values)).rowcount if ids else 0

        def work(connection: Connection) -> int:
            change(connection, LAUNCH_ALONE, gone)
            return change(connection, LAUNCH, queued)

        return self._store.run(work)
