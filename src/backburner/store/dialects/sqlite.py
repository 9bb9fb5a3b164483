"""SQLite through the standard library: the embedded default."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, ColumnElement, Connection, Engine, Table, create_engine, event, func, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

from backburner.errors import InvalidUrl
from backburner.job import ClaimedJob, NewJob
from backburner.outcome import Settlement
from backburner.store.dialects import sqlite_statements as statements
from backburner.store.dialects.base import (
    Change,
    ClaimOrder,
    Dialect,
    Driver,
    DriverConnection,
    HandOver,
    Life,
    Trouble,
    inserted_row,
)
from backburner.store.dialects.turn import Turn
from backburner.store.schema import Schema
from backburner.store.types import from_microseconds, to_microseconds

_POSITION, _PRIORITY, _REPEATABLE, _EXPIRES = map(
    ClaimedJob._fields.index, ("position", "priority", "repeatable", "expires_at")
)

_BUSY_SECONDS = 10.0
"""How long a statement waits for another process's write before it is asked again."""

READ_ONLY = "backburner_read_only"
"""Execution option of a connection that will not write: its transaction does not take the write lock."""

PATIENCE = "backburner_patience"
"""Execution option of a connection: for how many seconds its transactions wait for another writer."""


class SQLite(Dialect):
    """SQLite 3.35 and later, in WAL mode with synchronous FULL."""

    name = "sqlite"
    driver = Driver("sqlite+pysqlite", "sqlite3", "sqlite3")
    single_writer = True

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self._turn = Turn()
        self._file: Path | None = None
        self._lives: dict[object, int] = {}
        self._insert = statements.insert(schema)
        self._claim = statements.claim(schema)
        self._settle, self._succeed = statements.settle(schema), statements.succeed(schema)
        self._hand_over = statements.hand_over(schema)
        jobs = schema.qualified("jobs")
        self._settled = f"SELECT 1 FROM {jobs} WHERE id = ? AND settled_attempt = ? AND settled_by = ?"

    def engine(self, url: URL, *, pooled: bool = False) -> Engine:
        if not url.database or url.database == ":memory:":
            raise InvalidUrl(
                url.render_as_string(),
                "a database in memory is gone with its connection and workers could not see it",
                "Name a file: sqlite:///jobs.db",
            )
        self._file = Path(url.database).absolute()
        if not self._file.parent.is_dir():
            raise InvalidUrl(
                url.render_as_string(), f"the folder {self._file.parent} does not exist", "Create it first"
            )
        # As many connections as there are threads: a beat must not wait for the transactions of bodies.
        engine = create_engine(
            url.set(database=str(self._file)), connect_args={"timeout": _BUSY_SECONDS}, max_overflow=-1
        )
        event.listen(engine, "connect", _set_up)
        event.listen(engine, "begin", _begin)
        return engine

    def stored_time(self, moment: datetime) -> int:
        return to_microseconds(moment)

    def read_time(self, connection: DriverConnection) -> datetime:
        # All processes of one SQLite file share this machine's clock.
        return datetime.now(UTC)

    @contextmanager
    def transaction(self, connection: DriverConnection) -> Iterator[None]:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            # SQLite rolls back by itself on some errors (disk full): then there is nothing left to roll back.
            with suppress(sqlite3.OperationalError):
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    @contextmanager
    def turn(self, urgency: int) -> Iterator[None]:
        self._turn.acquire(urgency)
        try:
            yield
        finally:
            self._turn.release()

    def insert(self, connection: DriverConnection, jobs: Sequence[NewJob], now: datetime) -> None:
        connection.executemany(self._insert, [inserted_row(job, now, to_microseconds, str) for job in jobs])

    def claim(self, connection: DriverConnection, order: ClaimOrder) -> list[ClaimedJob]:
        now, refused = to_microseconds(order.now), json.dumps(list(order.refused))
        values = (
            order.worker, now, order.queue, *order.priorities, refused, order.lone,
            order.yielding, order.queue, order.priorities[0], refused, order.free + order.ahead,
            order.free, order.lone, json.dumps(list(order.short)), order.worker, order.queue, now,
        )  # fmt: skip
        rows = connection.execute(self._claim, values).fetchall()
        rows.sort(key=_best_first)
        return [_claimed(row) for row in rows]

    def settle(
        self, connection: DriverConnection, settlements: Sequence[Settlement], by: str, now: datetime
    ) -> set[str]:
        stored = to_microseconds(now)
        plain = [statements.succeed_row(s) for s in settlements if s.plain]
        written = self._succeed.run(connection, (by, stored), plain)
        if written < len(settlements):
            # All again, where a plain one holds a group or is not ours any more: what is written does not run.
            rest = settlements if written < len(plain) else [s for s in settlements if not s.plain]
            written += self._settle.run(connection, (by, stored), [statements.settle_row(s, stored) for s in rest])
        if written == len(settlements):
            return {settlement.id for settlement in settlements}
        # Some were not ours any more, or were written by an earlier commit whose answer was lost.
        return {s.id for s in settlements if connection.execute(self._settled, (s.id, s.attempt, by)).fetchone()}

    def hand_over(self, connection: DriverConnection, wanted: HandOver) -> list[ClaimedJob]:
        now = to_microseconds(wanted.now)
        values = {
            "groups": json.dumps(list(wanted.groups)),
            "queues": None if wanted.queues is None else json.dumps(list(wanted.queues)),
            "low": wanted.priorities[0],
            "high": wanted.priorities[1],
            "tasks": json.dumps(list(wanted.tasks)),
            "worker": wanted.worker,
            "now": now,
        }
        return [_claimed(row) for row in connection.execute(self._hand_over, values).fetchall()]

    def forked(self) -> None:
        self._turn = Turn()
        # A lock belongs to all who have the file open: a child that a task forks would keep it alive.
        while self._lives:
            os.close(self._lives.popitem()[1])

    def next_position(self, connection: Connection) -> ColumnElement[int]:
        jobs = self.schema.jobs.alias()
        return select(func.max(jobs.c.position) + 1).scalar_subquery()

    def upsert(self, table: Table, keys: Sequence[str], changes: Change, where: Change | None = None) -> Any:
        statement = sqlite.insert(table)
        new = statement.excluded
        condition = None if where is None else where(new)
        return statement.on_conflict_do_update(index_elements=keys, set_=changes(new), where=condition)

    def insert_new(self, table: Table) -> Any:
        return sqlite.insert(table).on_conflict_do_nothing()

    def trouble(self, error: BaseException) -> Trouble:
        if isinstance(error, DBAPIError) and error.orig is not None:
            error = error.orig
        if isinstance(error, UnicodeError | OverflowError):
            return Trouble.VALUE
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return Trouble.BUSY
        if code in {
            sqlite3.SQLITE_FULL,
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_PROTOCOL,
        }:
            return Trouble.LOST
        if isinstance(error, sqlite3.DataError) or code == sqlite3.SQLITE_TOOBIG:
            return Trouble.VALUE
        return Trouble.OTHER

    def proof_of_death(self, worker: str) -> bool | None:
        path = self._life(worker)
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(file)
        return True

    def hold_life(self, worker: str) -> Life:
        path = self._life(worker)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        # Shared by the supervisor and its child: the lock can be had alone only when both are gone.
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(file, fcntl.LOCK_SH)
        # Not by its number: that is given again as soon as the file is closed.
        held = object()
        self._lives[held] = file

        def forget() -> None:
            if (kept := self._lives.pop(held, None)) is not None:
                os.close(kept)

        def end() -> None:
            path.unlink(missing_ok=True)
            forget()

        return Life(end, forget)

    def bury(self, worker: str) -> None:
        """Remove what a dead worker left of its sign of life."""
        self._life(worker).unlink(missing_ok=True)

    def _life(self, worker: str) -> Path:
        if self._file is None:
            raise RuntimeError("the engine was not made yet")
        return self._file.with_name(self._file.name + "-workers") / worker


def _best_first(row: Sequence[Any]) -> tuple[int, int]:
    return row[_PRIORITY], row[_POSITION]


def _claimed(row: Sequence[Any]) -> ClaimedJob:
    values = list(row)
    values[_REPEATABLE] = values[_REPEATABLE] == 1
    if values[_EXPIRES] is not None:
        values[_EXPIRES] = from_microseconds(values[_EXPIRES])
    return ClaimedJob._make(values)


def _set_up(connection: DriverConnection, record: Any) -> None:
    # Transactions are begun by our own words, see `_begin`.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("PRAGMA temp_store = MEMORY")


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once when another writer came between
    # (SQLITE_BUSY_SNAPSHOT, no waiting): so writers say so at the beginning.
    options = connection.get_execution_options()
    begin = "BEGIN" if options.get(READ_ONLY, False) else "BEGIN IMMEDIATE"
    patience: float | None = options.get(PATIENCE)
    if patience is None:
        connection.exec_driver_sql(begin)
        return
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {round(patience * 1000)}")
    try:
        connection.exec_driver_sql(begin)
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {round(_BUSY_SECONDS * 1000)}")
