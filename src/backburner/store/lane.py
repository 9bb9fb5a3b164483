"""Connections of the driver that roles keep: the hot path pays no checkout, and no BEGIN it does not need."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Generic, TypeVar

from sqlalchemy import Engine

from backburner.clock import boot_seconds
from backburner.store.dialects.base import Dialect, DriverConnection
from backburner.store.repeat import repeated

T = TypeVar("T")

BEAT, FINISH, CLAIM, PROGRESS, OTHER = range(5)
"""How urgent a role's writes are where there is one writer at a time, the most urgent first."""


class Roll(Generic[T]):
    """Who is there, while somebody else keeps them. Any thread may add and look: a `WeakSet` that is added to
    while it is looked through raises an error.
    """

    def __init__(self) -> None:
        self._there: dict[int, weakref.ref[T]] = {}

    def add(self, one: T) -> None:
        """Remember `one` for as long as it lives."""
        key, there = id(one), self._there
        there[key] = weakref.ref(one, lambda _: there.pop(key, None))

    def __iter__(self) -> Iterator[T]:
        """Those that live."""
        # The list is made in one step of the interpreter.
        return iter([one for reference in list(self._there.values()) if (one := reference()) is not None])


class Line:
    """One connection of the driver, made at its first use and again after it was lost; one call at a time."""

    def __init__(self, engine: Engine, dialect: Dialect) -> None:
        self._engine, self._dialect = engine, dialect
        self._connection: DriverConnection | None = None
        self._left: list[DriverConnection] = []
        self._in_call = False
        self._lock = threading.Lock()

    @contextmanager
    def call(self) -> Iterator[DriverConnection]:
        """The connection, for one call."""
        with self._lock:
            self._in_call = True
        try:
            connection = self._connection
            yield self._connect() if connection is None else connection
        finally:
            with self._lock:
                self._in_call = False
            while self._left:
                _close(self._left.pop())

    def _connect(self) -> DriverConnection:
        pooled = self._engine.raw_connection()
        connection = pooled.driver_connection
        pooled.detach()
        self._dialect.held(connection)
        with self._lock:
            self._connection = connection
        return connection

    def abandon(self) -> None:
        """Make the call that hangs in another thread fail."""
        with self._lock:
            if self._connection is not None:
                self._dialect.abandon(self._connection)

    def close(self) -> None:
        """Close the connection; the next use opens another.

        A call that is under way in another thread closes it when it ends: SQLite's, closed under a call, takes the
        whole process along.
        """
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None and self._in_call:
                self._left.append(connection)
                return
        if connection is not None:
            _close(connection)

    def forget(self) -> None:
        """In a forked child: drop the parent's connection without a word to the server."""
        self._connection = None
        self._left, self._in_call = [], False
        self._lock = threading.Lock()


class Lane:
    """One role, one thread at a time; it reconnects by itself at the next use.

    `writes` is a line that it writes on together with others that never write at the same time.
    """

    def __init__(
        self,
        engine: Engine,
        dialect: Dialect,
        urgency: int = OTHER,
        used: Callable[[], AbstractContextManager[None]] = nullcontext,
        writes: Line | None = None,
    ) -> None:
        self._dialect, self._urgency, self._used = dialect, urgency, used
        self._reads = Line(engine, dialect)
        self._writes = writes or self._reads
        self._since: float | None = None

    def run(
        self,
        work: Callable[[DriverConnection], T],
        *,
        atomic: bool = True,
        hurried: bool = True,
        read_only: bool = False,
    ) -> T:
        """Run `work(connection)`; `atomic=False` leaves out BEGIN and COMMIT where one statement needs none.

        `hurried=False` says that the work waits on purpose and is never overdue. `read_only=True` says that it
        writes nothing: it waits for no writer, not even for the caller's own open transaction.
        Is asked again when another transaction was in the way (8 times, with jitter). Raises
        `StoreUnavailable` when the database is away: the work may or may not have been committed.
        """
        # SQLite writes are always in a transaction of their own words.
        begin = not read_only and (atomic or self._dialect.single_writer)

        def ask() -> T:
            with self._used(), nullcontext() if read_only else self._dialect.turn(self._urgency):
                return self._once(work, begin, hurried, self._reads if read_only else self._writes)

        return repeated(ask, self._dialect, self.close, "the database")

    def _once(self, work: Callable[[DriverConnection], T], begin: bool, hurried: bool, line: Line) -> T:
        self._since = boot_seconds() if hurried else None
        try:
            with line.call() as connection, self._dialect.transaction(connection) if begin else nullcontext():
                return work(connection)
        finally:
            self._since = None

    def overdue(self, seconds: float) -> bool:
        """True when a call has been under way for longer than that."""
        since = self._since
        return since is not None and boot_seconds() - since > seconds

    def abandon(self) -> None:
        """Make the call that hangs in another thread fail."""
        for line in {self._reads, self._writes}:
            line.abandon()

    def close(self) -> None:
        """Close the connections, each when no call is under way; the next use opens others."""
        for line in {self._reads, self._writes}:
            line.close()

    def forget(self) -> None:
        """In a forked child: drop the parent's connections without a word to the server."""
        for line in {self._reads, self._writes}:
            line.forget()


def _close(connection: DriverConnection) -> None:
    with suppress(Exception):
        connection.close()
