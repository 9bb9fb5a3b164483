"""`Store`: the engine, transactions with retry, lanes, and the doors to everything that is stored."""

from __future__ import annotations

import importlib.util
import os
import re
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import sqlalchemy
from sqlalchemy import URL, Connection, RootTransaction

from backburner.clock import DatabaseClock, boot_seconds
from backburner.errors import InvalidUrl, MissingExtra, SchemaMissing, SchemaTooNew, StoreUnavailable
from backburner.store import dialects, versions
from backburner.store.attachments import Attachments
from backburner.store.callers import Callers
from backburner.store.claims import Claims
from backburner.store.dialects.base import DriverConnection
from backburner.store.dialects.sqlite import READ_ONLY, CommitWatch
from backburner.store.gate import Gate
from backburner.store.inserts import Inserts
from backburner.store.jobs import Jobs
from backburner.store.lane import OTHER, Lane, Roll
from backburner.store.locks import Locks
from backburner.store.progress import ProgressRows
from backburner.store.repeat import repeated
from backburner.store.reports import Reports
from backburner.store.schema import Schema
from backburner.store.upkeep import Upkeep
from backburner.store.workers import Workers

if TYPE_CHECKING:
    from backburner.settings import Settings

T = TypeVar("T")

FORK_SECONDS = 2.0
"""How long a fork waits for database calls of other threads to end, where it must not happen among them."""


class Store:
    """One database with Backburner's tables.

    `clock` is the database's time; it is read when the first own connection is made and at each beat.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str | None = None,
        prefix: str = "backburner_",
        auto_migrate: bool | None = None,
        pooled: bool = False,
    ) -> None:
        self.url = _parse(url)
        kind = dialects.of(self.url)
        _require(kind.package, kind.extra, self.url)
        self.schema = Schema(kind.name, schema, prefix)
        self.dialect = kind(self.schema)
        self.pooled = pooled
        self.engine = self.dialect.engine(self.url.set(drivername=kind.driver), pooled=pooled)
        self.clock = DatabaseClock()
        self._auto_migrate = self.dialect.single_writer if auto_migrate is None else auto_migrate
        self._ready = False
        self._ready_lock = threading.Lock()
        self._lanes: Roll[Lane] = Roll()
        self._watches: Roll[CommitWatch] = Roll()
        self._gate = Gate() if self.dialect.single_writer else None
        self._idle: list[Lane] = []
        self._under_way: dict[int, tuple[float, DriverConnection]] = {}
        self.jobs = Jobs(self)
        self.claims = Claims(self)
        self.progress = ProgressRows(self)
        self.workers = Workers(self)
        self.upkeep = Upkeep(self)
        self.locks = Locks(self)
        self.attachments = Attachments(self)
        self.inserts = Inserts(self)
        self.callers = Callers(self)
        self.reports = Reports(self)
        _forget_after_fork(self)

    @classmethod
    def of(cls, settings: Settings) -> Store:
        """The store that the settings name."""
        return cls(
            settings.url,
            schema=settings.schema,
            prefix=settings.table_prefix,
            auto_migrate=settings.auto_migrate,
            pooled=settings.pooled,
        )

    @cached_property
    def shown_url(self) -> str:
        """The URL without its password."""
        return self.url.render_as_string(hide_password=True)

    def ready(self) -> None:
        """Make sure that the tables are there, once per process.

        Migrates where that is allowed, in a transaction of its own. Raises `SchemaMissing`, `SchemaTooNew`
        and `StoreUnavailable`.
        """
        if not self._ready:
            with self._ready_lock:
                self._make_ready()

    def version(self) -> str | None:
        """The version of the tables that are there; None when there are none."""
        return self._retried(lambda connection: versions.found(connection, self.schema), read_only=True)

    def migrate(self) -> None:
        """Bring the tables up to this version, in one transaction, one process at a time."""
        self._retried(lambda connection: versions.upgrade(connection, self.schema))

    def migration_sql(self) -> str:
        """The statements that `migrate` would run, for someone else to run them."""
        return versions.as_sql(self.engine, self.schema, self.version())

    def run(self, work: Callable[[Connection], T], urgency: int = OTHER) -> T:
        """Run `work` in a write transaction of our own; repeated when another one was in the way."""
        self.ready()
        return self._retried(work, urgency=urgency)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction that only reads."""
        self.ready()
        return self._retried(work, read_only=True)

    def lane(self, urgency: int) -> Lane:
        """A connection of its own for a role that keeps it. Close it in the end."""
        self.ready()
        lane = Lane(self.engine, self.dialect, urgency, self.used)
        self._lanes.add(lane)
        return lane

    def watch_commits(self) -> CommitWatch:
        """For SQLite: a way to notice what other processes commit."""
        self.ready()
        watch = CommitWatch(self.engine, self.used)
        self._watches.add(watch)
        return watch

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
                self._close_connections()
            yield alone
        finally:
            # The child has a gate of its own; the lock of this one may be held by a thread it does not have.
            if os.getpid() == parent:
                gate.open()

    @contextmanager
    def borrowed_lane(self) -> Iterator[Lane]:
        """A lane for one short piece of work of an application thread."""
        try:
            lane = self._idle.pop()
        except IndexError:
            lane = self.lane(OTHER)
        try:
            yield lane
        finally:
            if len(self._idle) < 8:
                self._idle.append(lane)
            else:
                lane.close()

    def abandon_overdue(self, seconds: float) -> None:
        """Make calls fail that have been waiting for the database for longer than that."""
        for lane in self._lanes:
            if lane.overdue(seconds):
                lane.abandon()
        for since, connection in list(self._under_way.values()):
            if boot_seconds() - since > seconds:
                self.dialect.abandon(connection)

    def read_clock(self, lane: Lane) -> None:
        """Read the database's time over a lane."""
        self._take_time(lane.run(self._timed, read_only=True))

    def close(self) -> None:
        """Close every connection."""
        self._idle.clear()
        self._close_connections()

    def forget(self) -> None:
        """In a forked child: leave the parent's connections alone and start with none."""
        for lane in self._lanes:
            lane.forget()
        self._idle.clear()
        self._under_way.clear()
        self._gate = Gate() if self.dialect.single_writer else None
        self._ready_lock = threading.Lock()
        self.dialect.forked()
        self.engine.dispose(close=False)

    def _close_connections(self) -> None:
        for lane in self._lanes:
            lane.close()
        for watch in list(self._watches):
            watch.close()
        self.engine.dispose()

    def _make_ready(self) -> None:
        if self._ready:
            return
        self._read_clock()
        found = self.version()
        if found != versions.NEEDED and self._auto_migrate and not versions.is_newer(found):
            self.migrate()
            found = self.version()
        if found is not None and versions.is_newer(found):
            if not versions.can_work_with(found):
                raise SchemaTooNew(self.shown_url, found, versions.NEEDED)
        elif found != versions.NEEDED:
            raise SchemaMissing(self.shown_url, found, versions.NEEDED)
        self._ready = True

    def _timed(self, connection: DriverConnection) -> tuple[float, object, float]:
        asked = boot_seconds()
        moment = self.dialect.read_time(connection)
        return asked, moment, boot_seconds()

    def _take_time(self, reading: tuple[float, object, float]) -> None:
        asked, moment, answered = reading
        self.clock.read(moment, asked, answered)  # type: ignore[arg-type]

    def _read_clock(self) -> None:
        lane = Lane(self.engine, self.dialect, OTHER, self.used)
        try:
            self._take_time(lane.run(self._timed, read_only=True))
        finally:
            lane.close()

    def begin(self) -> RootTransaction:
        """A write transaction that lasts as long as the caller likes, who closes its connection and is `used`
        meanwhile; only its beginning is repeated. Raises `StoreUnavailable`.
        """
        try:
            return self._repeated(self._begun)
        except StoreUnavailable:
            # A connection of the pool may have died while it was idle: now there are new ones.
            return self._repeated(self._begun)

    def _begun(self) -> RootTransaction:
        connection = self.engine.connect()
        try:
            with self.dialect.turn(OTHER):
                begun = connection.begin()
                connection.exec_driver_sql("SELECT 1")
                return begun
        except BaseException:
            connection.close()
            raise

    def _retried(self, work: Callable[[Connection], T], *, read_only: bool = False, urgency: int = OTHER) -> T:
        return self._repeated(lambda: self._once(work, read_only, urgency))

    def _repeated(self, ask: Callable[[], T]) -> T:
        return repeated(ask, self.dialect, self.engine.dispose, f"the database {self.shown_url}")

    def _once(self, work: Callable[[Connection], T], read_only: bool, urgency: int) -> T:
        turn = nullcontext() if read_only else self.dialect.turn(urgency)
        with self.used(), turn, self.engine.connect() as connection:
            if read_only:
                connection = connection.execution_options(**{READ_ONLY: True})
            ticket = id(connection)
            self._under_way[ticket] = (boot_seconds(), connection.connection.driver_connection)
            try:
                with connection.begin():
                    return work(connection)
            finally:
                del self._under_way[ticket]


def _parse(url: str) -> URL:
    try:
        return sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        # What cannot be parsed may hold a password anywhere before an @.
        shown = re.sub(r":[^:@/]*@", ":***@", url)
        raise InvalidUrl(
            shown, "is no database URL", "Write it like sqlite:///jobs.db or postgresql://user@host/database"
        ) from error


def _require(package: str, extra: str | None, url: URL) -> None:
    if extra is not None and importlib.util.find_spec(package) is None:
        raise MissingExtra(package, extra, f"a {url.get_backend_name()} database")


def _forget_after_fork(store: Store) -> None:
    # A weak reference: the hook itself can never be taken back.
    reference = weakref.ref(store)

    closed: list[AbstractContextManager[bool]] = []

    def before() -> None:
        found = reference()
        if found is not None:
            closed.append(found.apart(FORK_SECONDS))
            closed[-1].__enter__()

    def after() -> None:
        while closed:
            closed.pop().__exit__(None, None, None)

    def in_child() -> None:
        after()
        found = reference()
        if found is not None:
            found.forget()

    os.register_at_fork(before=before, after_in_parent=after, after_in_child=in_child)
