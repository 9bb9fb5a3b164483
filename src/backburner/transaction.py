"""Enqueueing in a transaction of our own, or inside one of the caller's: rolled back means never enqueued."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from backburner.block import STATEMENT_ROWS, Block
from backburner.coroutines import in_thread, running_loop
from backburner.database import Database
from backburner.errors import InvalidOption, StoreError
from backburner.job import Job, NewJob, ready_counts
from backburner.relations import parents_of_all
from backburner.states import JobState

if TYPE_CHECKING:
    from backburner.store.callers import CallersConnection

T = TypeVar("T")

_CONFIRMED = 500
"""How many ids of one transaction are looked up before ringing: enough to learn which queues."""


class OwnTransaction:
    """Straight into the database, each call a transaction of our own; the bell rings after the commit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, jobs: Sequence[NewJob], size: int = STATEMENT_ROWS) -> Mapping[str, str]:
        database = self._database
        stored = database.store.inserts.put(jobs, size)
        ready = ready_counts(job for job in stored.jobs if job.run_at <= job.created_at and job.blocked_on is None)
        if ready:
            database.bell.ring(ready)
        queues = set(stored.queues)
        if parents := parents_of_all(stored.jobs) | stored.parents:
            # Some may be done already: then nothing else tells that they are.
            queues |= database.store.dependencies.join(parents)
        if queues:
            database.bell.ring(queues)
        return stored.instead


class CallersTransaction:
    """New jobs go on the caller's connection, as plain inserts, and commit or vanish with its transaction.

    `target` is a SQLAlchemy `Connection`, `Session`, `AsyncConnection` or `AsyncSession`, a plain DB-API
    connection, or a `WatchedConnection`. Workers are told after the commit where that can be seen: a Session says
    so by itself, else `settled` has to be called; without either the next poll of a worker finds the jobs.
    """

    def __init__(self, database: Database, target: object) -> None:
        self._database, self._target = database, target
        self._connection: CallersConnection | None = None
        # None while there is nothing to tell; without jobs where others have been moved.
        self._pending: list[NewJob] | None = None
        self._moved = Moved()

    @property
    def is_async(self) -> bool:
        """Whether the caller's connection is one of SQLAlchemy's asyncio extension."""
        return hasattr(self._target, "run_sync")

    async def run(self, work: Callable[[CallersTransaction], T]) -> T:
        """Do `work` where the caller's connection lives; our own connections are waited for in a thread."""
        if not self.is_async:
            return work(self)
        target: Any = self._target
        callers = self._database.store.callers
        if not callers.prepared:
            await target.run_sync(callers.refuse_to_block)
            await in_thread(callers.prepare)

        def on_sync_side(sync_target: object) -> T:
            self._connection = callers.of(sync_target)
            try:
                return work(self)
            finally:
                self._connection = None

        found: T = await target.run_sync(on_sync_side)
        return found

    def put(self, jobs: Sequence[NewJob], size: int = STATEMENT_ROWS) -> Mapping[str, str]:
        """Insert on the caller's connection; the ids of jobs that others stand for, and theirs.

        Raises `ForeignTransaction` when it leads to another database, `TransactionMustRetry` when
        the database has ended the caller's transaction.
        """
        connection = self._connected()
        stored = connection.insert(jobs, size)
        moved = Moved(frozenset(stored.groups), frozenset(stored.queues), frozenset(stored.parents))
        ready = [job for job in stored.jobs if moved or job.run_at <= job.created_at]
        if (ready or moved) and not connection.when_ended(ready, Ring(self._database, moved)):
            self._pending = [*(self._pending or ()), *ready]
            self._moved |= moved
        return stored.instead

    def get(self, job_id: str) -> Job:
        """A job as the caller's transaction sees it. Raises `JobNotFound`."""
        return self._connected().get(job_id)

    def _connected(self) -> CallersConnection:
        if self._connection is not None:
            return self._connection
        if self.is_async:
            raise InvalidOption("connection", self._target, "is asynchronous", "Use `await task.aenqueue(...)` with it")
        return self._database.store.callers.of(self._target)

    def settled(self) -> None:
        """Tell workers of the jobs enqueued so far that one look at the database confirms."""
        jobs, self._pending = self._pending, None
        moved, self._moved = self._moved, Moved()
        if jobs is not None:
            Ring(self._database, moved).now(jobs)


@dataclass(frozen=True, slots=True)
class Moved:
    """What an insert has moved beside its own jobs: groups, queues and parents of jobs that gave way to them."""

    groups: frozenset[str] = frozenset()
    queues: frozenset[str] = frozenset()
    parents: frozenset[str] = frozenset()

    def __or__(self, other: Moved) -> Moved:
        """Both."""
        return Moved(self.groups | other.groups, self.queues | other.queues, self.parents | other.parents)

    def __bool__(self) -> bool:
        """Whether anything was moved."""
        return bool(self.groups or self.queues or self.parents)


@dataclass(frozen=True, slots=True)
class Ring:
    """Tells workers, behind a commit, of those jobs that one look at the database confirms, and of what was moved.

    Rings that are equal can tell together.
    """

    database: Database
    moved: Moved

    def __call__(self, jobs: Sequence[NewJob]) -> None:
        """Tell them; from a thread where an event loop runs."""
        loop = running_loop()
        if loop is None:
            self.now(jobs)
        else:
            # Nobody waits for it: it is a hint, and its errors are caught.
            _ = loop.run_in_executor(None, self.now, jobs)

    def now(self, jobs: Sequence[NewJob]) -> None:
        """Tell them here."""
        # Of what was moved: rolled back or not, a look does no harm.
        freed = set(self.moved.queues)
        asked = {job.id: (job.queue, job.priority) for job in jobs[-_CONFIRMED:]}
        # A hint only: what goes wrong here must not look like a failed commit.
        with suppress(StoreError):
            store, bell = self.database.store, self.database.bell
            states = store.jobs.states(list(asked)) if asked else {}
            ready = {asked[job_id] for job_id, state in states.items() if state is JobState.QUEUED}
            blocked = parents_of_all(job for job in jobs if states.get(job.id) is JobState.BLOCKED)
            if parents := self.moved.parents | blocked:
                freed |= store.dependencies.join(set(parents))
            if self.moved.groups:
                freed |= store.groups.advance(set(self.moved.groups))
            if freed:
                bell.ring(freed)
            if ready:
                bell.ring(ready_counts(job for job in jobs if (job.queue, job.priority) in ready))


class TransactionBlock:
    """`with jobs.transaction(connection):`, or `async with` for SQLAlchemy's asynchronous ones.

    It neither commits nor rolls back: that stays the caller's. When the caller commits inside the block,
    workers are told at its end.
    """

    def __init__(self, current: ContextVar[Block | None], transaction: CallersTransaction) -> None:
        self._current, self._transaction = current, transaction
        self._block = Block(transaction, None, named=True)

    def __enter__(self) -> None:
        self._block.enter(self._current)

    def __exit__(self, *_: object) -> None:
        self._block.leave(self._current)
        self._transaction.settled()

    async def __aenter__(self) -> None:
        self._block.enter(self._current)

    async def __aexit__(self, *_: object) -> None:
        self._block.leave(self._current)
        await in_thread(self._transaction.settled)
