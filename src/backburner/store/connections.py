"""The connections of one process to the database: opened, looked after, and out of the way of a fork."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, RootTransaction

from backburner.clock import boot_seconds
from backburner.errors import StoreUnavailable
from backburner.store.commit_watch import CommitWatch
from backburner.store.dialects.base import Dialect, DriverConnection
from backburner.store.dialects.sqlite import PATIENCE, READ_ONLY
from backburner.store.gate import Gate
from backburner.store.lane import CLAIM, FINISH, OTHER, Lane, Line, Roll
from backburner.store.repeat import BUSY_TRIES, repeated

T = TypeVar("T")

_IDLE_LANES = 8


class Connections:
    """The pool's, those that roles keep, and those that watch. `database` is how errors name where they lead."""

    def __init__(self, engine: Engine, dialect: Dialect, database: str) -> None:
        self._engine, self._dialect, self._database = engine, dialect, database
        self._lanes: Roll[Lane] = Roll()
        self._idle: list[Lane] = []
        self._under_way: dict[int, tuple[float, DriverConnection]] = {}
        self._gate = Gate() if dialect.single_writer else None
        # SQLite drops all pages it holds when another connection has written: who writes by turns, on one, keeps them.
        self._hot = Line(engine, dialect) if dialect.single_writer else None

    def run(
        self,
        work: Callable[[Connection], T],
        *,
        read_only: bool = False,
        urgency: int = OTHER,
        patience: float | None = None,
    ) -> T:
        """Run `work` in a transaction, again when another one was in the way. Raises `StoreUnavailable`.

        With `patience` it waits so many seconds for another writer, once, where there is one at a time.
        """
        options: dict[str, Any] = {READ_ONLY: True} if read_only else {}
        if patience is None or not self._dialect.single_writer:
            return self._repeated(lambda: self._once(work, read_only, urgency, options))
        options[PATIENCE] = patience
        return self._repeated(lambda: self._once(work, read_only, urgency, options), tries=1)

    def begin(self) -> RootTransaction:
        """A write transaction that lasts as long as the caller likes; only its beginning is repeated."""
        try:
            return self._repeated(self._begun)
        except StoreUnavailable:
            # A connection of the pool may have died while it was idle: now there are new ones.
            return self._repeated(self._begun)

    def lane(self, urgency: int) -> Lane:
        """A connection for a role that keeps it: its own, but for claims and ends where one writes at a time."""
        writes = self._hot if urgency in {CLAIM, FINISH} else None
        lane = Lane(self._engine, self._dialect, urgency, self.used, writes)
        self._lanes.add(lane)
        return lane

    @contextmanager
    def borrowed_lane(self) -> Iterator[Lane]:
        """A lane that goes from one short piece of work to the next."""
        try:
            lane = self._idle.pop()
        except IndexError:
            lane = self.lane(OTHER)
        try:
            yield lane
        finally:
            if len(self._idle) < _IDLE_LANES:
                self._idle.append(lane)
            else:
                lane.close()

    def watch_commits(self) -> CommitWatch:
        """For SQLite: a way to notice what other processes commit."""
        return CommitWatch(self.lane(OTHER))

    def used(self) -> AbstractContextManager[None]:
        """To be entered by whoever uses a connection: a fork waits for its end, on databases that need it."""
        return nullcontext() if self._gate is None else self._gate.use()

    @contextmanager
    def apart(self, seconds: float) -> Iterator[bool]:
        """Fork inside: no connection is open, nor opened, meanwhile, where that would harm the child.

        False when calls under way did not end within `seconds`: then it is no moment to fork.
        """
        gate, parent = self._gate, os.getpid()
        if gate is None:
            yield True
            return
        alone = gate.close(seconds)
        try:
            if alone:
                self._close_all()
            yield alone
        finally:
            # The child has a gate of its own; the lock of this one may be held by a thread it does not have.
            if os.getpid() == parent:
                gate.open()

    def abandon_overdue(self, seconds: float) -> None:
        """Make calls fail that have been waiting for the database for longer than that."""
        for lane in self._lanes:
            if lane.overdue(seconds):
                lane.abandon()
        for since, connection in list(self._under_way.values()):
            if boot_seconds() - since > seconds:
                self._dialect.abandon(connection)

    def close(self) -> None:
        """Close every connection; one that is in use when that use ends."""
        self._idle.clear()
        self._close_all()

    def forget(self) -> None:
        """In a forked child: leave the parent's connections alone and start with none."""
        # Before any of them is forgotten, and with that closed.
        self._dialect.forked()
        for lane in self._lanes:
            lane.forget()
        if self._hot is not None:
            self._hot.forget()
        self._idle.clear()
        self._under_way.clear()
        self._gate = Gate() if self._dialect.single_writer else None
        self._engine.dispose(close=False)

    def _close_all(self) -> None:
        for lane in self._lanes:
            lane.close()
        # Its lanes may be gone without a word.
        if self._hot is not None:
            self._hot.close()
        self._engine.dispose()

    def _repeated(self, ask: Callable[[], T], tries: int = BUSY_TRIES) -> T:
        return repeated(ask, self._dialect, self._engine.dispose, f"the database {self._database}", tries)

    def _once(self, work: Callable[[Connection], T], read_only: bool, urgency: int, options: Mapping[str, Any]) -> T:
        turn = nullcontext() if read_only else self._dialect.turn(urgency)
        with self.used(), turn, self._engine.connect() as connection:
            if options:
                connection = connection.execution_options(**options)
            ticket = id(connection)
            self._under_way[ticket] = (boot_seconds(), connection.connection.driver_connection)
            try:
                with connection.begin():
                    return work(connection)
            finally:
                del self._under_way[ticket]

    def _begun(self) -> RootTransaction:
        connection = self._engine.connect()
        try:
            with self._dialect.turn(OTHER):
                begun = connection.begin()
                connection.exec_driver_sql("SELECT 1")
                return begun
        except BaseException:
            connection.close()
            raise
