"""Chores that any worker may do at any time: each is bounded and guarded by its own WHERE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Connection, Select, delete, func, select, update

from backburner.states import WAITING, JobState
from backburner.store.conditions import due_time, ended, expired, waits_for_time

if TYPE_CHECKING:
    from backburner.store.store import Store

BATCH = 500
"""Rows per transaction: locks are held for milliseconds."""

EXPIRED = "It was not started before it expired."
UNKNOWN_TASK = "unknown task"
DAMAGED = "damaged row"
SIGNATURE = "changed signature"
CHANGED = "changed row"


@dataclass(frozen=True, slots=True)
class Expired:
    """How many jobs came too late, and the queues that got work by that."""

    count: int
    queues: set[str]


class Upkeep:
    """Promote what is due, expire what came too late, prune what is old."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._t = store.schema.jobs

    def promote(self) -> dict[str, dict[int, int]]:
        """Queue jobs whose time has come, up to `BATCH`; how many by queue and priority."""
        t, now = self._t.c, self._store.clock.now()
        due = (
            select(t.id, t.queue, t.priority)
            .where(waits_for_time(t), due_time(t) <= now)
            .order_by(due_time(t))
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        )
        counts: dict[str, dict[int, int]] = {}

        def work(connection: Connection) -> None:
            # In two steps: as one statement PostgreSQL may walk the whole index to join the two.
            rows = connection.execute(due).all()
            if rows:
                ids = [row.id for row in rows]
                connection.execute(update(self._t).where(t.id.in_(ids)).values(state=JobState.QUEUED))
            counts.clear()
            for row in rows:
                of_queue = counts.setdefault(row.queue, {})
                of_queue[row.priority] = of_queue.get(row.priority, 0) + 1

        self._store.run(work)
        return counts

    def next_due(self) -> datetime | None:
        """When the next scheduled or retrying job is due; None when there is none."""
        t = self._t.c
        query = select(func.min(due_time(t))).where(waits_for_time(t))
        return self._store.read(lambda c: c.execute(query).scalar())

    def expire(self) -> Expired:
        """Skip waiting jobs whose `expires` has passed, and let go on what waited for them."""
        t, now = self._t.c, self._store.clock.now()
        late = select(t.id).where(expired(t, now), t.state.in_(WAITING)).limit(BATCH).with_for_update(skip_locked=True)
        change = update(self._t).values(
            state=JobState.SKIPPED, finished_at=now, reason=EXPIRED, blocked_on=None, slot=None
        )

        def work(connection: Connection) -> Sequence[str]:
            ids = connection.execute(late).scalars().all()
            if ids:
                in_groups = select(t.group_name).where(t.id.in_(ids), t.group_name.is_not(None))
                groups.update(connection.execute(in_groups).scalars())
                connection.execute(change.where(t.id.in_(ids)))
            return ids

        groups: set[str] = set()
        ids = self._store.run(work)
        queues = self._store.groups.advance(groups) | self._store.dependencies.follow(ids)
        return Expired(len(ids), queues)

    def unhold(self, tasks: Sequence[str], reason: str = UNKNOWN_TASK) -> int:
        """Queue jobs of these tasks that were held for this reason, up to `BATCH`; how many."""
        t = self._t.c
        held = select(t.id).where(t.blocked_on == reason, t.state == JobState.BLOCKED, t.task.in_(tasks))
        change = update(self._t).values(state=JobState.QUEUED, blocked_on=None, reason=None)

        def work(connection: Connection) -> int:
            ids = connection.execute(held.limit(BATCH).with_for_update(skip_locked=True)).scalars().all()
            if ids:
                connection.execute(change.where(t.id.in_(ids)))
            return len(ids)

        return self._store.run(work)

    def prune(self, state: JobState, keep: float) -> int:
        """Delete jobs that ended in `state` longer ago than `keep` seconds, up to `BATCH`; how many.

        Jobs that say themselves how long they are kept are left to `prune_kept`.
        """
        old = self._old(state, keep).order_by(self._t.c.finished_at).limit(BATCH)
        return self._delete(old)

    def prune_kept(self, at: datetime | None = None) -> int:
        """Delete jobs that said themselves until when they are kept, up to `BATCH`; how many.

        Those whose time was over at `at`, now unless said.
        """
        t = self._t.c
        return self._delete(
            select(t.id)
            .where(
                t.keep_until.is_not(None),
                t.keep_until <= (at or self._store.clock.now()),
                t.slot.is_(None),
                t.finished_at.is_not(None),
                self._unawaited,
            )
            .limit(BATCH)
        )

    def prunable(self, state: JobState, keep: float, limit: int) -> int:
        """How many jobs `prune` would delete by and by, counting no further than `limit`."""
        old = self._old(state, keep).limit(limit).subquery()
        return self._store.read(lambda c: c.execute(select(func.count()).select_from(old)).scalar_one())

    def _old(self, state: JobState, keep: float) -> Select[str]:
        t = self._t.c
        before = self._store.clock.now() - timedelta(seconds=keep)
        return select(t.id).where(
            ended(t, state),
            t.finished_at < before,
            t.keep_until.is_(None),
            # A failed job that holds its group is waited for: a person decides.
            t.slot.is_(None),
            self._unawaited,
        )

    @property
    def _unawaited(self) -> ColumnElement[bool]:
        """Nothing waits for it: the end of a parent must be there for its children."""
        d = self._store.schema.dependencies.c
        return ~select(d.child).where(d.parent == self._t.c.id, d.met_at.is_(None)).exists()

    def _delete(self, which: Select[str]) -> int:
        def work(connection: Connection) -> int:
            # Looked up again under locks: a job that is retried in between must live.
            ids = [row[0] for row in connection.execute(which.with_for_update(skip_locked=True))]
            return self._store.jobs.delete_rows(connection, ids)

        found = self._store.read(lambda c: c.execute(which.limit(1)).first())
        return 0 if found is None else self._store.run(work)

    def expired_files(self) -> list[tuple[str, str]]:
        """(id, place) of files past their life, up to `BATCH`."""
        t = self._store.schema.files.c
        query = select(t.id, t.place).where(t.expires_at <= self._store.clock.now()).limit(BATCH)
        return [(row.id, row.place) for row in self._store.read(lambda c: c.execute(query).all())]

    def forget_files(self, ids: Sequence[str]) -> None:
        """Remove the rows of files whose bytes are gone."""
        t = self._store.schema.files
        self._store.run(lambda c: c.execute(delete(t).where(t.c.id.in_(ids))))
