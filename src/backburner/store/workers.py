"""Workers: registered, beating, marked dead, and their jobs taken from the dead ones."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, and_, func, insert, or_, select, update

from backburner.blame import Orphan
from backburner.outcome import Settlement
from backburner.rollup import Rollup, minute_of
from backburner.states import JobState
from backburner.store.failures import Seen
from backburner.store.lane import BEAT
from backburner.store.patience import WaitedInVain, within

if TYPE_CHECKING:
    from backburner.store.store import Store

_RESCUE_BATCH = 500
_RESCUE_WAIT = 1.0
"""Seconds that a rescue waits for a lock: the jobs of many wait behind it."""


class Order(StrEnum):
    """What may be asked of a worker from elsewhere; what comes later here goes before what comes first."""

    QUIET = "quiet"
    RELOAD = "reload"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """One incarnation of a worker process."""

    id: str
    supervisor: str
    host: str
    pid: int
    label: str | None
    queues: str | None
    concurrency: int
    version: str
    started_at: datetime
    beat_at: datetime
    lease_until: datetime
    dead_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    priorities: str | None = None
    told: str | None = None
    tasks: str | None = None


class Workers:
    """The door to the table of workers."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._t = store.schema.workers

    def register(self, worker: WorkerRow) -> None:
        """Add a worker; from now on it must beat."""
        self._store.run(lambda c: c.execute(insert(self._t), asdict(worker)))

    def beat(self, ids: Sequence[str], lease: float, patience: float | None = None) -> dict[str, str | None]:
        """Prolong the leases of these workers by `lease` seconds from now; those whose lease is prolonged.

        With each comes what it was told, see `tell`. A lapsed lease revives, as long as nobody has noticed. Who is
        missing is dead, `dead` can tell, or its row was locked, such as by a claim. With `patience` it waits so many
        seconds for such a row, in vain for all of them.
        """
        t, now, dialect = self._t, self._store.clock.now(), self._store.dialect
        mine = and_(t.c.id.in_(sorted(ids)), t.c.dead_at.is_(None))
        beat = {"beat_at": now, "lease_until": now + timedelta(seconds=lease)}

        def work(connection: Connection) -> dict[str, str | None]:
            free = patience is None
            rows = dialect.update_returning(connection, t, mine, beat, (t.c.id, t.c.told), skip_locked=free)
            return {row.id: row.told for row in rows}

        try:
            return self._store.run(within(dialect, patience, work), BEAT)
        except WaitedInVain:
            return {}

    def tell(self, ids: Sequence[str], word: str) -> list[str]:
        """Ask something of living workers, which hear it with their next beat; those who were not told before.

        What was said before stands, unless this goes before it.
        """
        t, order = self._t.c, list(Order)
        open_to_it = or_(t.told.is_(None), t.told.in_(order[: order.index(Order(word))]))
        chosen = select(t.id).where(t.id.in_(ids), t.dead_at.is_(None), open_to_it).order_by(t.id).with_for_update()

        def work(connection: Connection) -> list[str]:
            found = list(connection.execute(chosen).scalars())
            if found:
                connection.execute(update(self._t).where(t.id.in_(found)).values(told=word))
            return found

        return self._store.run(work)

    def running(self) -> dict[str, int]:
        """How many jobs each worker owns, of those that own any."""
        t = self._store.schema.jobs.c
        query = select(t.worker, func.count()).where(t.worker.is_not(None)).group_by(t.worker)
        return {str(worker): count for worker, count in self._store.read(lambda c: c.execute(query).all())}

    def dead(self, ids: Sequence[str]) -> set[str]:
        """Which of these workers have ended, or are forgotten already."""
        query = select(self._t.c.id).where(self._t.c.id.in_(ids), self._t.c.dead_at.is_(None))
        return set(ids) - set(self._store.read(lambda c: c.execute(query).scalars().all()))

    def end(self, worker: str, reason: str) -> None:
        """Say that a worker ended in good order. It must own nothing any more."""
        t, now = self._t, self._store.clock.now()
        statement = (
            update(t).where(t.c.id == worker, t.c.dead_at.is_(None)).values(dead_at=now, ended_at=now, reason=reason)
        )
        self._store.run(lambda c: c.execute(statement))

    def introduce(self, worker: str, tasks: Sequence[str]) -> None:
        """Say which tasks a worker knows: jobs of others are left to whoever knows them."""
        statement = update(self._t).where(self._t.c.id == worker).values(tasks=json.dumps(list(tasks)))
        self._store.run(lambda c: c.execute(statement))

    def others_know(self, worker: str, task: str, queue: str) -> bool:
        """Whether a live worker beside this one serves the queue and knows the task, or has not said yet."""
        now = self._store.clock.now()
        return any(
            (one.tasks is None or task in json.loads(one.tasks))
            and (one.queues is None or queue in json.loads(one.queues))
            for one in self.live()
            if one.id != worker and one.lease_until >= now
        )

    def live(self) -> list[WorkerRow]:
        """The workers nobody has marked dead, the oldest first."""
        query = select(self._t).where(self._t.c.dead_at.is_(None)).order_by(self._t.c.id)
        return [WorkerRow(**row) for row in self._store.read(lambda c: c.execute(query).mappings().all())]

    def get(self, worker: str) -> WorkerRow | None:
        """One worker, dead or alive."""
        query = select(self._t).where(self._t.c.id == worker)
        row = self._store.read(lambda c: c.execute(query).mappings().first())
        return None if row is None else WorkerRow(**row)

    def suspects(self) -> list[WorkerRow]:
        """Workers that seem dead: this machine knows it, or, where it cannot know, the lease is over.

        Also those marked dead that still own jobs, because somebody had those locked: until the lease is over their
        supervisor comes back for them, which knows more of how they died.
        """
        now, known = self._store.clock.now(), self._store.dialect.proof_of_death
        found = []
        for worker in self.live():
            dead = known(worker.id)
            if dead or (dead is None and worker.lease_until < now):
                found.append(worker)
        t = self._t.c
        query = select(self._t).where(t.dead_at.is_not(None), t.lease_until < now, t.id.in_(self._owners()))
        return found + [WorkerRow(**row) for row in self._store.read(lambda c: c.execute(query).mappings().all())]

    def rescue(
        self,
        worker: str,
        judge: Callable[[Orphan], Settlement],
        by: str,
        reason: str,
        *,
        certain: bool,
    ) -> list[Settlement] | None:
        """Mark a worker dead and end the attempts it leaves behind, in one locked step, by anybody.

        Without certainty nothing happens while its lease holds: None. The lock on the worker's row waits for
        a claim of its under way, and makes any later one come back empty; when that or another row of ours is not
        to be had in time, None as well. Jobs that somebody has locked, such as an app's open transaction, are left
        to the next call: see `Claims.owned`.
        """
        store, t = self._store, self._t
        proven = certain or bool(store.dialect.proof_of_death(worker))

        def work(connection: Connection) -> list[Settlement] | None:
            now = store.clock.now()
            row = connection.execute(select(t).where(t.c.id == worker).with_for_update()).mappings().first()
            if row is None:
                return []
            if row["dead_at"] is None:
                if not proven and row["lease_until"] >= now:
                    return None
                connection.execute(update(t).where(t.c.id == worker).values(dead_at=now, reason=reason))
            jobs = store.schema.jobs.c
            slots = connection.execute(select(jobs.slot).where(jobs.worker == worker)).scalars()
            groups.update(name for name in slots if name is not None)
            taken = self._take_jobs(connection, worker, judge, by)
            self._count(connection, taken)
            return taken

        groups: set[str] = set()
        try:
            settled = store.run(within(store.dialect, _RESCUE_WAIT, work))
        except WaitedInVain:
            return None
        store.groups.advance(groups, patience=_RESCUE_WAIT)
        if settled is not None:
            store.dialect.bury(worker)
        return settled

    def _count(self, connection: Connection, settled: Sequence[Settlement]) -> None:
        """Count what failed with its worker: no living one has it in its ledger."""
        now = self._store.clock.now()
        faults = [(end.fault, end.id) for end in settled if end.fault is not None]
        failed = Counter((fault.queue, fault.task) for fault, _ in faults)
        rows = [Rollup(minute_of(now), *key, (0, count, 0, 0, 0, 0)) for key, count in failed.items()]
        self._store.rollups.write_on(connection, rows, None)
        self._store.failures.count_on(connection, [Seen(fault, 1, now, job) for fault, job in faults])

    def _take_jobs(
        self, connection: Connection, worker: str, judge: Callable[[Orphan], Settlement], by: str
    ) -> list[Settlement]:
        t = self._store.schema.jobs.c
        columns = [getattr(t, name) for name in Orphan._fields]
        mine = select(*columns).where(t.worker == worker, t.state == JobState.RUNNING)
        query = mine.order_by(t.id).limit(_RESCUE_BATCH).with_for_update(skip_locked=True)
        settled: list[Settlement] = []
        while rows := connection.execute(query).all():
            batch = [judge(Orphan(*row)) for row in rows]
            self._store.claims.settle_on(connection, batch, by)
            settled += batch
        return settled

    def prune(self, before: datetime, limit: int) -> int:
        """Forget workers that ended before a time and own nothing."""
        t: Any = self._t
        old = select(t.c.id).where(t.c.dead_at < before, t.c.id.not_in(self._owners())).limit(limit)
        ids = self._store.read(lambda c: c.execute(old).scalars().all())
        return self._store.run(lambda c: c.execute(t.delete().where(t.c.id.in_(ids))).rowcount) if ids else 0

    def _owners(self) -> Select[tuple[str]]:
        jobs = self._store.schema.jobs.c
        return select(jobs.worker).where(jobs.worker.is_not(None)).distinct()
