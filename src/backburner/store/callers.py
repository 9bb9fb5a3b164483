"""Transactions of the caller's: any connection to the jobs' database, and the proof that it leads there."""

from __future__ import annotations

import inspect
import os
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import UnboundExecutionError

from backburner.errors import ForeignTransaction, InvalidOption, SchemaMissing, TransactionMustRetry
from backburner.job import Job, NewJob
from backburner.store import versions
from backburner.store.channel import CoreChannel, DriverChannel
from backburner.store.dependencies import DEPENDENCY, dependency_rows
from backburner.store.dialects.base import INSERTED, DriverConnection, Trouble, inserted_row
from backburner.store.keys import Stored
from backburner.store.session_ends import Ended, SessionEnds
from backburner.store.sessions import is_scoped, is_session
from backburner.store.types import MYSQL
from backburner.watched import WatchedConnection

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backburner.store.store import Store

_ACCEPTED = (
    "Pass a SQLAlchemy Connection, Session, AsyncConnection or AsyncSession, or a DB-API connection such as "
    "that of sqlite3, psycopg or PyMySQL"
)
_MUST_RETRY = {"40001", "40P01", "55P03"}
_WHICH_DATABASE = {
    "postgresql": "SELECT oid::text, extract(epoch FROM pg_postmaster_start_time())::text "
    "FROM pg_database WHERE datname = current_database()",
    "mysql": "SELECT @@hostname, @@port, @@datadir, DATABASE()",
}
_WHICH_FILE = "PRAGMA database_list"


class CallersConnection(Protocol):
    """A connection of the caller's that leads to the jobs' database."""

    def insert(self, jobs: Sequence[NewJob], size: int) -> Stored:
        """Insert jobs in its transaction, up to `size` per statement. Raises `TransactionMustRetry`.

        For jobs with keys also `DuplicateJob`, `IdempotencyMismatch` and `KeyBusy`: then the transaction goes on.
        """
        ...

    def get(self, job_id: str) -> Job:
        """A job as its transaction sees it. Raises `JobNotFound`."""
        ...

    def when_ended(self, jobs: Sequence[NewJob], tell: Ended) -> bool:
        """Have `tell(jobs)` called when the transaction is over; False when nobody can know when that is."""
        ...


class Callers:
    """The door for connections of others."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._prepared = False
        self._ours: tuple[str, ...] | None = None
        # Engines and connections known to lead here: asked once each.
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()
        self._ends = SessionEnds()

    def of(self, target: object) -> CallersConnection:
        """The caller's connection, ready to insert.

        Raises `ForeignTransaction` when it leads to another database, `InvalidOption` when it is none.
        """
        session = target() if is_scoped(target) else target  # type: ignore[operator]
        if is_session(session):
            connection = _of_session(session)
            self._admit(connection.engine, connection.dialect.name, _fetch_core(connection))
            return OnSession(self._store, connection, session, self._ends)
        if isinstance(session, Connection):
            self._admit(session.engine, session.dialect.name, _fetch_core(session))
            return OnConnection(self._store, session)
        watched = target if isinstance(target, WatchedConnection) else None
        driver = _dbapi(target if watched is None else watched.connection)
        self._admit(driver, None, _fetch_dbapi(driver))
        return OnDriver(self._store, driver, watched)

    @property
    def prepared(self) -> bool:
        """Whether `prepare` has been done."""
        return self._prepared

    def prepare(self) -> None:
        """Make sure that the tables are there, over a connection of our own."""
        self._store.ready()
        self._prepared = True

    def refuse_to_block(self, target: object) -> None:
        """Raise `SchemaMissing` when tables must be made and the caller's transaction is in the way.

        On SQLite it holds the only write lock: waiting for it would never end. So it is asked itself.
        """
        if is_session(target):
            target = _of_session(target)
        if isinstance(target, Connection):
            self._refuse_to_block(_fetch_core(target), target.connection.driver_connection)
        else:
            self._refuse_to_block(_fetch_dbapi(target), target)

    def _refuse_to_block(self, fetch: Fetch, driver: DriverConnection) -> None:
        store = self._store
        if self._prepared or not store.dialect.single_writer or getattr(driver, "in_transaction", False) is not True:
            return
        self._same_file(fetch)
        table = store.schema.version_table
        there = fetch(f"SELECT 1 FROM sqlite_master WHERE name = '{table}'")
        found = fetch(f"SELECT version_num FROM {table}") if there else []
        if not found or (found[0][0] != versions.NEEDED and not versions.is_newer(found[0][0])):
            raise SchemaMissing(store.shown_url, found[0][0] if found else None, versions.NEEDED)

    def _admit(self, key: object, dialect: str | None, fetch: Fetch) -> None:
        """Let pass what leads to our own database."""
        if not self._prepared:
            self._refuse_to_block(fetch, fetch.driver)
            self.prepare()
        if self._knows(key):
            return
        wanted = self._store.dialect.name
        if dialect is not None and ("mysql" if dialect in MYSQL else dialect) != wanted:
            raise self._foreign(f"is a {dialect} connection")
        if wanted == "sqlite":
            self._same_file(fetch)
        else:
            self._same_server(fetch)
        try:
            self._known.add(key)
        except TypeError:
            return  # sqlite3 connections cannot be referred to weakly: they are asked each time, at no cost

    def _knows(self, key: object) -> bool:
        try:
            return key in self._known
        except TypeError:
            return False

    def _same_file(self, fetch: Fetch) -> None:
        theirs = next((row[2] for row in fetch(_WHICH_FILE) if row[1] == "main"), "")
        ours = Path(self._store.url.database or "").absolute()
        same = bool(theirs) and os.path.exists(theirs) and ours.exists() and os.path.samefile(theirs, ours)
        if not same:
            raise self._foreign(f"leads to {theirs or 'a database in memory'}")

    def _same_server(self, fetch: Fetch) -> None:
        query = _WHICH_DATABASE[self._store.dialect.name]
        theirs = tuple(map(str, next(iter(fetch(query)), ())))
        if theirs == self._ours:
            return
        # The server may have been restarted since we asked.
        self._ours = self._store.read(lambda c: tuple(map(str, c.exec_driver_sql(query).one())))
        if theirs != self._ours:
            raise self._foreign("leads to another database or server")

    def _foreign(self, problem: str) -> ForeignTransaction:
        return ForeignTransaction(
            f"the connection handed over {problem}, the jobs are in {self._store.shown_url}. "
            "Enqueue without it, or keep the jobs in the database of that connection: Backburner(its URL)"
        )


class Fetch:
    """A way to ask the caller's connection one question; `driver` is the connection of its driver."""

    def __init__(self, driver: DriverConnection, ask: Callable[..., list[tuple[Any, ...]]]) -> None:
        self.driver: DriverConnection = driver
        self._ask = ask

    def __call__(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of the answer."""
        try:
            return self._ask(query, *values)
        except Exception as error:
            raise ForeignTransaction(
                f"the connection handed over cannot tell which database it leads to: {error}"
            ) from error


class OnConnection:
    """A SQLAlchemy connection: Core builds the statement, so that its own transaction begins as it should."""

    def __init__(self, store: Store, connection: Connection) -> None:
        self._store, self._connection = store, connection

    def insert(self, jobs: Sequence[NewJob], size: int) -> Stored:
        def insert_all(new: Sequence[NewJob]) -> None:
            for start in range(0, len(new), size):
                self._store.jobs.insert_on(self._connection, new[start : start + size])

        with _explained(self._store):
            return self._store.keys.insert_on(CoreChannel(self._connection), jobs, insert_all)

    def get(self, job_id: str) -> Job:
        return self._store.jobs.get_on(CoreChannel(self._connection), job_id)

    def when_ended(self, jobs: Sequence[NewJob], tell: Ended) -> bool:
        # The engine's commit event fires before COMMIT.
        return False


class OnSession(OnConnection):
    """A SQLAlchemy session, which says when its transaction is over."""

    def __init__(self, store: Store, connection: Connection, session: Session, ends: SessionEnds) -> None:
        super().__init__(store, connection)
        self._session, self._ends = session, ends

    def when_ended(self, jobs: Sequence[NewJob], tell: Ended) -> bool:
        self._ends.expect(self._session, jobs, tell)
        return True


class OnDriver:
    """A plain DB-API connection: the statement is written in its module's style."""

    def __init__(self, store: Store, connection: DriverConnection, watched: WatchedConnection | None) -> None:
        self._store, self._connection, self._watched = store, connection, watched
        self._style = _paramstyle(connection)
        self._channel = DriverChannel(store, connection, self._style)

    def insert(self, jobs: Sequence[NewJob], size: int) -> Stored:
        def insert_all(new: Sequence[NewJob]) -> None:
            for start in range(0, len(new), size):
                self._insert_jobs(new[start : start + size])

        with _explained(self._store):
            return self._store.keys.insert_on(self._channel, jobs, insert_all)

    def get(self, job_id: str) -> Job:
        return self._store.jobs.get_on(self._channel, job_id)

    def _insert_jobs(self, jobs: Sequence[NewJob]) -> None:
        store, now = self._store, self._store.clock.now()
        dialect, after = store.dialect, dependency_rows(jobs)
        if after:
            store.dependencies.check(jobs, self._owners)
        self._insert("jobs", INSERTED, [inserted_row(job, now, dialect.stored_time, dialect.stored_id) for job in jobs])
        if after:
            rows = [(dialect.stored_id(child), dialect.stored_id(parent), *rest) for child, parent, *rest in after]
            self._insert("dependencies", DEPENDENCY, rows)
            store.dependencies.expect()
        store.jobs.write_more(self._channel, jobs)

    def _insert(self, table: str, columns: Sequence[str], rows: Sequence[Any]) -> None:
        if self._style == "named":
            rows = [dict(zip(columns, row, strict=True)) for row in rows]
        marks = ", ".join(_mark(self._style, i, name) for i, name in enumerate(columns))
        statement = f"INSERT INTO {self._store.schema.qualified(table)} ({', '.join(columns)}) VALUES ({marks})"
        with closing(self._connection.cursor()) as cursor:
            if len(rows) == 1:
                cursor.execute(statement, rows[0])
            else:
                cursor.executemany(statement, rows)

    def _owners(self, ids: Sequence[str]) -> dict[str, str | None]:
        dialect, names = self._store.dialect, [f"id{place}" for place in range(len(ids))]
        marks = ", ".join(_mark(self._style, place, name) for place, name in enumerate(names))
        query = f"SELECT id, owner FROM {self._store.schema.qualified('jobs')} WHERE id IN ({marks})"
        values: Any = [dialect.stored_id(job_id) for job_id in ids]
        if self._style == "named":
            values = dict(zip(names, values, strict=True))
        rows = _fetch_dbapi(self._connection)(query, values) if ids else []
        return {dialect.read_id(job_id): owner for job_id, owner in rows}

    def when_ended(self, jobs: Sequence[NewJob], tell: Ended) -> bool:
        return self._watched is not None and self._watched.when_ended(jobs, tell)


@contextmanager
def _explained(store: Store) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        orig = getattr(error, "orig", None) or error
        code = getattr(orig, "sqlstate", None) or getattr(orig, "pgcode", None)
        if code in _MUST_RETRY or store.dialect.trouble(error) is Trouble.BUSY:
            raise TransactionMustRetry(
                f"the database could not go on with your transaction ({orig}). Roll it back and run all of it again"
            ) from error
        raise


def _of_session(session: Session) -> Connection:
    try:
        return session.connection()
    except UnboundExecutionError as error:
        raise InvalidOption(
            "connection",
            session,
            "has several databases",
            "Pass session.connection(...) of the one with the jobs",
        ) from error


def _dbapi(target: object) -> Any:
    if is_scoped(target) or not all(callable(getattr(target, name, None)) for name in ("cursor", "commit", "rollback")):
        raise InvalidOption("connection", target, "is no connection", _ACCEPTED)
    if inspect.iscoroutinefunction(target.commit):  # type: ignore[attr-defined]
        raise InvalidOption("connection", target, "is an asynchronous driver's", _ACCEPTED)
    # SQLAlchemy's raw_connection() wraps the driver's own.
    return getattr(target, "driver_connection", None) or target


def _fetch_core(connection: Connection) -> Fetch:
    def ask(query: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in connection.exec_driver_sql(query)]

    return Fetch(connection.connection.driver_connection, ask)


def _fetch_dbapi(connection: DriverConnection) -> Fetch:
    def ask(query: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(connection.cursor()) as cursor:
            cursor.execute(query, *values)
            return [tuple(row.values()) if isinstance(row, Mapping) else tuple(row) for row in cursor.fetchall()]

    return Fetch(connection, ask)


def _paramstyle(connection: DriverConnection) -> str:
    for kind in type(connection).__mro__:
        parts = kind.__module__.split(".")
        for end in range(len(parts), 0, -1):
            style = getattr(sys.modules.get(".".join(parts[:end])), "paramstyle", None)
            if isinstance(style, str):
                return style
    raise InvalidOption("connection", connection, "its module names no paramstyle", _ACCEPTED)


def _mark(style: str, index: int, name: str) -> str:
    marks = {"qmark": "?", "numeric": f":{index + 1}", "numeric_dollar": f"${index + 1}", "named": f":{name}"}
    return marks.get(style, "%s")
