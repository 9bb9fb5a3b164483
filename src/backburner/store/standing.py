"""How things stand at this moment, of what is few: running jobs, queues that are used."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import and_, func, select

from backburner.states import JobState

if TYPE_CHECKING:
    from backburner.store.store import Store

MOST_RUNNING = 5_000
"""As many running jobs are looked at."""
MOST_BLOCKED = 20_000
"""As many blocked ones."""


class Standing:
    """Looks only at rows that workers own, or that something blocks, each by their index."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def running_by_queue(self) -> dict[str, int]:
        """How many jobs run in each queue."""
        t = self._store.schema.jobs.c
        rows = select(t.queue).where(t.worker.is_not(None)).limit(MOST_RUNNING).subquery().c
        query = select(rows.queue, func.count()).group_by(rows.queue)
        return {queue: int(count) for queue, count in self._store.read(lambda c: c.execute(query).all())}

    def blocked_by_queue(self) -> tuple[dict[str, int], bool]:
        """How many jobs are blocked in each queue; and whether that is all, or there are more than are looked at."""
        t = self._store.schema.jobs.c
        blocked = and_(t.blocked_on.is_not(None), t.state == JobState.BLOCKED)
        rows = select(t.queue).where(blocked).limit(MOST_BLOCKED + 1).subquery().c
        query = select(rows.queue, func.count()).group_by(rows.queue)
        found = {queue: int(count) for queue, count in self._store.read(lambda c: c.execute(query).all())}
        return found, sum(found.values()) <= MOST_BLOCKED

    def longest(self, limit: int) -> list[str]:
        """The ids of jobs that have been running longest."""
        t = self._store.schema.jobs.c
        rows = select(t.id, t.started_at).where(t.worker.is_not(None)).limit(MOST_RUNNING).subquery().c
        query = select(rows.id).order_by(rows.started_at, rows.id).limit(limit)
        return list(self._store.read(lambda c: c.execute(query).scalars().all()))

    def silent(self, before: datetime, limit: int) -> dict[str, datetime]:
        """Running jobs that report progress, and have not since then: when they last did."""
        t, p = self._store.schema.jobs.c, self._store.schema.progress.c
        rows = select(t.id, t.attempt).where(t.worker.is_not(None)).limit(MOST_RUNNING).subquery()
        current = and_(p.job == rows.c.id, p.attempt == rows.c.attempt)
        query = (
            select(p.job, p.updated_at)
            .join_from(rows, self._store.schema.progress, current)
            .where(p.updated_at < before)
            .order_by(p.updated_at)
            .limit(limit)
        )
        return {row.job: row.updated_at for row in self._store.read(lambda c: c.execute(query).all())}
