"""Claim, begin, settle: the life of an attempt, fenced by `(id, attempt)`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select, update

from backburner.errors import StoreUnavailable
from backburner.job import ClaimedJob
from backburner.outcome import Settlement
from backburner.states import JobState
from backburner.store.conditions import queued_alone
from backburner.store.dialects.base import ClaimOrder, DriverConnection, HandOver, Trouble
from backburner.store.lane import Lane

if TYPE_CHECKING:
    from backburner.store.store import Store


class Claims:
    """The door to attempts; the hot path of a worker."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def claim(self, lane: Lane, order: ClaimOrder) -> list[ClaimedJob]:
        """Take jobs of one queue. Raises `StoreUnavailable`; then jobs may be owned without being held."""
        return lane.run(lambda connection: self._store.dialect.claim(connection, order), atomic=False)

    def begin(self, job: ClaimedJob) -> bool:
        """Mark, just before the body, that a job that must not run twice begins; False when it is not ours."""
        store, t = self._store, self._store.schema.jobs
        statement = (
            update(t)
            .where(t.c.id == job.id, t.c.attempt == job.attempt, t.c.state == JobState.RUNNING)
            .values(began_at=store.clock.now())
        )
        return store.run(lambda connection: connection.execute(statement).rowcount == 1)

    def settle(self, lane: Lane, settlements: Sequence[Settlement], by: str) -> set[str]:
        """End attempts; the ids that were accepted. The others were taken over: their lease is lost.

        May be repeated after `StoreUnavailable`: what was written already counts as accepted. Raises
        `ValueError` when a value cannot be stored; then nothing was written.
        """
        if not settlements:
            return set()
        dialect, now = self._store.dialect, self._store.clock.now()
        with self._values_explained():
            if all(s.bare for s in settlements):
                return lane.run(lambda c: dialect.settle(c, settlements, by, now), atomic=False)
            return self._store.run(lambda c: self.settle_on(c, settlements, by))

    def settle_and_take(
        self, lane: Lane, settlements: Sequence[Settlement], by: str, groups: Mapping[str, str], wanted: HandOver
    ) -> tuple[set[str], list[ClaimedJob]]:
        """`settle`, and in the same transaction take the next jobs of the groups of those that were accepted.

        `groups` has the group of each job that has one; `wanted` says which may go on.
        """
        dialect, now = self._store.dialect, self._store.clock.now()

        def follow(driver: DriverConnection, accepted: set[str]) -> list[ClaimedJob]:
            freed = {groups[job_id] for job_id in accepted if job_id in groups}.intersection(wanted.groups)
            return dialect.hand_over(driver, wanted._replace(groups=sorted(freed), now=now)) if freed else []

        def bare(driver: DriverConnection) -> tuple[set[str], list[ClaimedJob]]:
            accepted = dialect.settle(driver, settlements, by, now)
            return accepted, follow(driver, accepted)

        def with_records(connection: Connection) -> tuple[set[str], list[ClaimedJob]]:
            accepted = self.settle_on(connection, settlements, by)
            return accepted, follow(connection.connection.driver_connection, accepted)

        with self._values_explained():
            if all(s.bare for s in settlements):
                return lane.run(bare)
            return self._store.run(with_records)

    @contextmanager
    def _values_explained(self) -> Iterator[None]:
        try:
            yield
        except StoreUnavailable:
            raise
        except Exception as error:
            if self._store.dialect.trouble(error) is Trouble.VALUE:
                raise ValueError(str(error)) from error
            raise

    def settle_on(self, connection: Connection, settlements: Sequence[Settlement], by: str) -> set[str]:
        """`settle` inside a transaction of ours, with attempt records and the last progress."""
        store, now = self._store, self._store.clock.now()
        driver = connection.connection.driver_connection
        settlements = store.waits.admit_on(connection, settlements)
        # The last progress goes first: its fence asks for a running job.
        writes = [s.progress for s in settlements if s.progress is not None]
        if writes:
            store.progress.write_on(connection, writes)
        accepted = store.dialect.settle(driver, settlements, by, now)
        store.waits.write_on(connection, [s for s in settlements if s.id in accepted])
        self._record(connection, [s for s in settlements if s.id in accepted], by)
        store.failures.note_on(connection, [s for s in settlements if s.id in accepted])
        for settlement in settlements:
            if settlement.notice is not None and settlement.id in accepted:
                store.jobs.tell_on(connection, settlement.id, settlement.notice)
        return accepted

    def _record(self, connection: Connection, settlements: Sequence[Settlement], by: str) -> None:
        t = self._store.schema.attempts
        rows = [
            {"job": s.id, "attempt": s.attempt, "worker": by}
            | {name: getattr(s.record, name) for name in s.record.__dataclass_fields__}
            for s in settlements
            if s.record is not None
        ]
        if rows:
            connection.execute(self._store.dialect.insert_new(t), rows)

    def owned(self, worker: str) -> list[tuple[str, int, int]]:
        """(id, position, attempt) of every job this worker owns according to the database."""
        t = self._store.schema.jobs.c
        query = select(t.id, t.position, t.attempt).where(t.worker == worker)
        return [(row.id, row.position, row.attempt) for row in self._store.read(lambda c: c.execute(query).all())]

    def cancelled(self, worker: str) -> set[str]:
        """The ids of this worker's jobs that somebody asked to cancel."""
        t = self._store.schema.jobs.c
        query = select(t.id).where(t.worker == worker, t.cancel_requested)
        return set(self._store.read(lambda c: c.execute(query).scalars().all()))

    def best_priority(self, order: ClaimOrder) -> int | None:
        """The priority of the first plain job that `order` could take; None when there is none."""
        t = self._store.schema.jobs.c
        query = (
            select(t.priority)
            .where(queued_alone(t), t.queue == order.queue, t.priority.between(*order.priorities))
            .order_by(t.priority, t.position)
            .limit(1)
        )
        return self._store.read(lambda c: c.execute(query).scalar())

    def ready_queues(self, lane: Lane) -> list[str]:
        """The names of queues with queued jobs: one index probe per queue, however many jobs wait."""
        jobs, dialect = self._store.schema.qualified("jobs"), self._store.dialect
        ready, arrived = dialect.queued_alone, dialect.queued_in_group
        if not dialect.probes:
            return lane.run(lambda c: self._probed_queues(c, (ready, arrived)), read_only=True)
        query = f"""
            WITH RECURSIVE names(queue) AS (
                SELECT (SELECT min(queue) FROM {jobs} WHERE {ready})
                UNION ALL
                SELECT (SELECT min(queue) FROM {jobs} AS j WHERE {ready} AND j.queue > names.queue)
                FROM names WHERE names.queue IS NOT NULL
            ), more(queue) AS (
                SELECT (SELECT min(queue) FROM {jobs} WHERE {arrived})
                UNION ALL
                SELECT (SELECT min(queue) FROM {jobs} AS j WHERE {arrived} AND j.queue > more.queue)
                FROM more WHERE more.queue IS NOT NULL
            ) SELECT queue FROM names WHERE queue IS NOT NULL
            UNION SELECT queue FROM more WHERE queue IS NOT NULL ORDER BY 1"""
        return lane.run(lambda c: [row[0] for row in dialect.rows(c, query)], read_only=True)

    def _probed_queues(self, connection: DriverConnection, conditions: Sequence[str]) -> list[str]:
        jobs, found = self._store.schema.qualified("jobs"), set[str]()
        for condition in conditions:
            following = f"SELECT queue FROM {jobs} WHERE {condition} AND queue > %s ORDER BY queue LIMIT 1"
            name = ""
            while rows := self._store.dialect.rows(connection, following, (name,)):
                name = rows[0][0]
                found.add(name)
        return sorted(found)
