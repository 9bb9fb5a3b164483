"""MariaDB and MySQL, through PyMySQL; mysqlclient where the URL says mysql+mysqldb.

A claim is one short transaction of a locking look and an update by key: there is no UPDATE ... RETURNING. An end
of attempts is one statement, whose values travel as JSON: it costs one parse however many there are.
"""

from __future__ import annotations

import json
import os
import socket
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    Row,
    Table,
    case,
    create_engine,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import mysql

from backburner.ids import Ids
from backburner.job import ClaimedJob, NewJob
from backburner.outcome import Settlement
from backburner.store.dialects import mysql_statements as statements
from backburner.store.dialects.base import (
    Change,
    ClaimOrder,
    Dialect,
    Driver,
    DriverConnection,
    HandOver,
    Trouble,
    inserted_row,
)
from backburner.store.dialects.mysql_errors import TextTooLong, trouble_of
from backburner.store.schema import Schema
from backburner.store.types import from_bytes, from_naive, to_bytes, to_naive

_CONNECT_SECONDS = 5
_SILENCE_SECONDS = 30
"""How long a call may be without an answer; a worker gives up on it earlier."""
_LOCK_SECONDS = 10
"""How long a statement waits for a lock of another transaction before it is asked again."""

_MILLISECOND = timedelta(milliseconds=1)
_LONGEST = 15 * 2**20
"""Bytes of a text that is sent; above 16 MiB a server of default settings ends the connection."""

_SET_UP = (
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO', "
    f"time_zone = '+00:00', innodb_lock_wait_timeout = {_LOCK_SECONDS}"
)

_MYSQLCLIENT = Driver("mysql+mysqldb", "MySQLdb", "mysqlclient", "mysqlclient")


class MySQL(Dialect):
    """MariaDB 10.6 and later, MySQL 8.0.17 and later; READ COMMITTED."""

    name = "mysql"
    driver = Driver("mysql+pymysql", "pymysql", "pymysql", "mysql")
    # The conditions of its indexes are columns: see `columns.condition_columns`.
    lock_wait_stays = True
    snapshots = True
    # It begins each time at the front of the index.
    probes = False
    # It reads the whole table and sorts it; the ids alone come from the index.
    orders_rows = False
    queued_alone = "ready = 0"
    queued_in_group = "ready = 1"

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        jobs = schema.qualified("jobs")
        self._insert = statements.insert(schema)
        self._alive = statements.alive(schema)
        self._look, self._above_groups = statements.look(schema)
        self._take = statements.take(schema)
        self._heads, self._fitting = statements.heads(schema), statements.fitting(schema)
        self._take_over = statements.take(schema, ", blocked_on = NULL, slot = group_name")
        self._lives = (
            f"SELECT 1 FROM {schema.qualified('workers')} WHERE id = %s AND dead_at IS NULL LOCK IN SHARE MODE"
        )
        self._settle = statements.settle(schema)
        self._settled = f"SELECT id, settled_attempt FROM {jobs} WHERE id IN %s AND settled_by = %s"
        # Of mysqlclient's connections, which do not tell while one thread waits in them.
        self._sockets: weakref.WeakKeyDictionary[DriverConnection, int] = weakref.WeakKeyDictionary()

    @classmethod
    def driver_of(cls, url: URL) -> Driver:
        return _MYSQLCLIENT if url.drivername.endswith("+mysqldb") else cls.driver

    def engine(self, url: URL, *, pooled: bool = False) -> Engine:
        engine = create_engine(
            url.update_query_dict({"charset": "utf8mb4"}),
            isolation_level="READ COMMITTED",
            # As many as there are threads: a beat must not wait for the transactions of bodies.
            max_overflow=-1,
            # A server ends connections that were idle for wait_timeout, 8 hours unless it says otherwise.
            pool_recycle=3600,
            connect_args={
                "connect_timeout": _CONNECT_SECONDS,
                "read_timeout": _SILENCE_SECONDS,
                "write_timeout": _SILENCE_SECONDS,
                # Before SQLAlchemy looks how the server quotes names.
                "init_command": _SET_UP,
                # Bytes as bytes, not as a text of the connection's characters: PyMySQL does it by itself.
                **({"binary_prefix": True} if url.drivername == _MYSQLCLIENT.scheme else {}),
            },
        )
        if url.drivername == _MYSQLCLIENT.scheme:
            event.listen(engine, "connect", lambda made, _: self._sockets.update({made: made.fileno()}))
        return engine

    def stored_time(self, moment: datetime) -> datetime:
        return to_naive(moment)

    def stored_id(self, job_id: str) -> bytes:
        return to_bytes(job_id)

    def read_id(self, stored: bytes) -> str:
        return from_bytes(stored)

    def held(self, connection: DriverConnection) -> None:
        connection.autocommit(True)  # noqa: FBT003 (both drivers have it so)

    def rows(self, connection: DriverConnection, statement: str, values: Sequence[Any] = ()) -> Sequence[Any]:
        with closing(connection.cursor()) as cursor:
            cursor.execute(statement, values or None)
            found: Sequence[Any] = cursor.fetchall()
            return found

    def read_time(self, connection: DriverConnection) -> datetime:
        return from_naive(self.rows(connection, "SELECT UTC_TIMESTAMP(6)")[0][0])

    @contextmanager
    def transaction(self, connection: DriverConnection) -> Iterator[None]:
        connection.begin()
        try:
            yield
        except BaseException:
            with suppress(Exception):
                connection.rollback()
            raise
        connection.commit()

    def turn(self, urgency: int) -> AbstractContextManager[None]:
        return nullcontext()

    def insert(self, connection: DriverConnection, jobs: Sequence[NewJob], now: datetime) -> None:
        rows = [inserted_row(job, now, to_naive, to_bytes) for job in jobs]
        for job in jobs:
            _refuse_long(job.args, job.meta, job.context, job.options)
        with closing(connection.cursor()) as cursor:
            cursor.executemany(self._insert, rows)

    def claim(self, connection: DriverConnection, order: ClaimOrder) -> list[ClaimedJob]:
        worker, now = to_bytes(order.worker), to_naive(order.now)
        with self.transaction(connection):
            # Locked so that nobody can mark it dead before we are done.
            if not self.rows(connection, self._alive, (worker, order.queue, now)):
                return []
            low = order.bound or (order.priorities[0], 0)
            look = self._look.format(above_groups=self._above_groups if order.yielding else "")
            refused = _any(order.refused)
            values: list[Any] = [order.queue, low[0], order.priorities[1], low[0], low[1], refused, order.lone]
            values += [order.queue, order.priorities[0], refused] if order.yielding else []
            rows = self.rows(connection, look, (*values, order.free + order.ahead))
            chosen = list(statements.chosen(rows, order))
            if chosen:
                self.rows(connection, self._take, (worker, now, [row[1] for row in chosen]))
        return [_claimed(row, now) for row in chosen]

    def settle(
        self, connection: DriverConnection, settlements: Sequence[Settlement], by: str, now: datetime
    ) -> set[str]:
        for s in settlements:
            _refuse_long(s.result, s.reason, s.error)
        # In the order of keys, so that two of these cannot deadlock.
        rows = [statements.settle_row(s) for s in sorted(settlements, key=_by_position)]
        me, stored = to_bytes(by), to_naive(now)
        with closing(connection.cursor()) as cursor:
            cursor.execute(self._settle, (json.dumps(rows, ensure_ascii=False), me, stored))
            if cursor.rowcount == len(rows):
                return {s.id for s in settlements}
        # Some were not ours any more, or were written by an earlier commit whose answer was lost.
        found = self.rows(connection, self._settled, ([to_bytes(s.id) for s in settlements], me))
        settled = {(from_bytes(row[0]), row[1]) for row in found}
        return {s.id for s in settlements if (s.id, s.attempt) in settled}

    def hand_over(self, connection: DriverConnection, wanted: HandOver) -> list[ClaimedJob]:
        worker = to_bytes(wanted.worker)
        if not wanted.tasks or not self.rows(connection, self._lives, (worker,)):
            return []
        heads = [row[0] for row in self.rows(connection, self._heads, (list(wanted.groups),)) if row[0] is not None]
        if not heads or wanted.queues == []:
            return []
        values = [heads, *wanted.priorities, list(wanted.tasks), to_naive(wanted.now)]
        fitting = self._fitting.format(in_queues="" if wanted.queues is None else "AND j.queue IN %s ")
        values += [] if wanted.queues is None else [list(wanted.queues)]
        rows = self.rows(connection, fitting, values)
        if rows:
            positions = [row[1] for row in rows]
            self.rows(connection, self._take_over, (worker, to_naive(wanted.now), positions))
        return [_claimed(row, to_naive(wanted.now)) for row in rows]

    def next_position(self, connection: Connection) -> int:
        """A row that is inserted and taken back leaves its number used: a sequence, where there is none."""
        made, jobs = datetime(2000, 1, 1, tzinfo=UTC), self.schema.jobs
        row = {
            "id": Ids().new(), "state": "skipped", "queue": "", "priority": 0, "run_at": made, "task": "", "args": "",
            "codec": "", "visibility": "", "created_at": made,
        }  # fmt: skip
        aside = connection.begin_nested()
        number: int = connection.execute(insert(jobs), row).lastrowid
        aside.rollback()
        return number

    def upsert(self, table: Table, keys: Sequence[str], changes: Change, where: Change | None = None) -> Any:
        statement = mysql.insert(table)
        new = statement.inserted
        changed = dict(changes(new))
        if where is not None:
            # There is no WHERE: a row that shall stay gets the values it has.
            condition: ColumnElement[bool] = where(new)
            changed = {name: case((condition, value), else_=table.c[name]) for name, value in changed.items()}
        # Each assignment sees those before it: what conditions ask for must not have changed by then.
        return statement.on_duplicate_key_update(list(changed.items()))

    def insert_new(self, table: Table) -> Any:
        return mysql.insert(table).prefix_with("IGNORE")

    def update_returning(
        self,
        connection: Connection,
        table: Table,
        where: ColumnElement[bool],
        values: Mapping[str, Any],
        columns: Sequence[Any],
        *,
        skip_locked: bool,
    ) -> Sequence[Row[Any]]:
        key = columns[0]
        chosen = select(*columns).where(where).order_by(key).with_for_update(skip_locked=skip_locked)
        found = connection.execute(chosen).all()
        if found:
            connection.execute(update(table).where(key.in_([row[0] for row in found])).values(**values))
        return found

    def trouble(self, error: BaseException) -> Trouble:
        return trouble_of(error)

    def limit_lock_wait(self, seconds: float) -> Sequence[str]:
        now = "@@innodb_lock_wait_timeout"
        return f"SELECT {now}", f"SET SESSION innodb_lock_wait_timeout = LEAST({now}, {max(1, round(seconds))})"

    def restore_lock_wait(self, before: object) -> str:
        return f"SET SESSION innodb_lock_wait_timeout = {before}"

    def waited_in_vain(self, error: BaseException) -> bool:
        orig = getattr(error, "orig", None) or error
        return orig.args[:1] == (1205,)

    def abandon(self, connection: DriverConnection) -> None:
        # Shutting the socket down wakes the thread that waits on it, whatever the server does; closing it stays
        # the business of the connection's owner.
        number = self._sockets.get(connection)
        with suppress(Exception):
            if number is None:
                connection._sock.shutdown(socket.SHUT_RDWR)
            elif connection.open:
                with socket.socket(fileno=os.dup(number)) as theirs:
                    theirs.shutdown(socket.SHUT_RDWR)

    def forked(self) -> None:
        # mysqlclient says goodbye to the server wherever a connection is forgotten: not over its parent's socket.
        nowhere = os.open(os.devnull, os.O_RDWR)
        for connection, number in list(self._sockets.items()):
            if connection.open:
                os.dup2(nowhere, number)
        self._sockets.clear()
        os.close(nowhere)


def _any(names: Sequence[str]) -> Sequence[str]:
    """`names`, in a form that NOT IN accepts: an empty list is none in SQL. No task has no name."""
    return list(names) or [""]


def _by_position(settlement: Settlement) -> int:
    return settlement.position


def _refuse_long(*texts: str | None) -> None:
    for one in texts:
        # No character takes more than four bytes: most texts need not be encoded to be measured.
        if one is not None and len(one) * 4 > _LONGEST and (size := len(one.encode())) > _LONGEST:
            raise TextTooLong(f"a text of {size:,} bytes cannot be stored: MariaDB and MySQL take {_LONGEST:,} at most")


def _claimed(row: Sequence[Any], now: datetime) -> ClaimedJob:
    expires, last = row[16], len(ClaimedJob._fields) - 1
    found = (
        from_bytes(row[0]), row[1], row[2] + 1, *row[3:12], bool(row[12]), *row[13:16],
        None if expires is None else from_naive(expires), *row[17:last],
        max(0, (now - row[last]) // _MILLISECOND),
    )  # fmt: skip
    return ClaimedJob._make(found)
