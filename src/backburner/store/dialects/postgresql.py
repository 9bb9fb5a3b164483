"""PostgreSQL through psycopg 3."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import datetime
from typing import Any

from sqlalchemy import URL, ColumnElement, Connection, Engine, Table, create_engine, event, func
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from backburner.job import ClaimedJob, NewJob
from backburner.outcome import Settlement
from backburner.store.dialects import postgresql_statements as statements
from backburner.store.dialects.base import (
    INSERTED,
    Change,
    ClaimOrder,
    Dialect,
    Driver,
    DriverConnection,
    HandOver,
    Trouble,
    inserted_row,
)
from backburner.store.schema import Schema

_COPY_FROM = 20
"""From this many rows on COPY beats one INSERT per row, its extra round trips included."""

_CONNECT_SECONDS = 5
_TCP_SILENCE_MILLISECONDS = 15_000

_BUSY = {"40001", "40P01", "55P03"}
_LOST = {"57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25006", "53100", "53200", "53300"}


class PostgreSQL(Dialect):
    """PostgreSQL 13 and later, READ COMMITTED."""

    name = "postgresql"
    driver = Driver("postgresql+psycopg", "psycopg", "psycopg", "postgresql")
    looks_up = True

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self._insert = statements.insert(schema)
        self._copy = f"COPY {schema.qualified('jobs')} ({', '.join(INSERTED)}) FROM STDIN"
        self._claim = statements.claim(schema)
        self._settle = statements.settle(schema)
        self._succeed = statements.succeed(schema)
        self._hand_over = statements.hand_over(schema)
        self._settled = (
            f"SELECT id::text FROM {schema.qualified('jobs')} AS j "
            "JOIN unnest(%s::uuid[], %s::int[]) AS v(job, try) ON j.id = v.job "
            "AND j.settled_attempt = v.try AND j.settled_by = %s::uuid"
        )

    def engine(self, url: URL, *, pooled: bool = False) -> Engine:
        engine = create_engine(
            url,
            isolation_level="READ COMMITTED",
            pool_pre_ping=False,
            # As many as there are threads: a beat must not wait for the transactions of bodies.
            max_overflow=-1,
            connect_args={
                "connect_timeout": _CONNECT_SECONDS,
                "tcp_user_timeout": _TCP_SILENCE_MILLISECONDS,
                "keepalives_idle": 10,
                "application_name": "backburner",
                # Prepared statements belong to a session: the next transaction may get another one.
                **({"prepare_threshold": None} if pooled else {}),
            },
        )
        if not pooled:
            event.listen(engine, "connect", _set_up)
        return engine

    def held(self, connection: DriverConnection) -> None:
        connection.autocommit = True

    def read_time(self, connection: DriverConnection) -> datetime:
        moment: datetime = connection.execute("SELECT clock_timestamp()").fetchone()[0]
        return moment

    @contextmanager
    def transaction(self, connection: DriverConnection) -> Iterator[None]:
        with connection.transaction():
            yield

    def turn(self, urgency: int) -> AbstractContextManager[None]:
        return nullcontext()

    def insert(self, connection: DriverConnection, jobs: Sequence[NewJob], now: datetime) -> None:
        rows = [inserted_row(job, now, _same, str) for job in jobs]
        if len(rows) == 1:
            connection.execute(self._insert, rows[0])
            return
        with connection.cursor() as cursor:
            if len(rows) < _COPY_FROM:
                cursor.executemany(self._insert, rows)
                return
            with cursor.copy(self._copy) as copy:
                for row in rows:
                    copy.write_row(row)

    def claim(self, connection: DriverConnection, order: ClaimOrder) -> list[ClaimedJob]:
        low = order.bound or (order.priorities[0], 0)
        rows = connection.execute(
            self._claim,
            {
                "worker": order.worker,
                "queue": order.queue,
                "free": order.free,
                "limit": order.free + order.ahead,
                "short": list(order.short),
                "now": order.now,
                "low_priority": low[0],
                "low_position": low[1],
                "high_priority": order.priorities[1],
                "refused": list(order.refused),
                "yielding": order.yielding,
                "lowest": order.priorities[0],
                "lone": order.lone,
            },
        ).fetchall()
        claimed = [ClaimedJob._make(row) for row in rows]
        # RETURNING promises no order.
        claimed.sort(key=_best_first)
        return claimed

    def settle(
        self, connection: DriverConnection, settlements: Sequence[Settlement], by: str, now: datetime
    ) -> set[str]:
        # In the order of ids, so that two of these cannot deadlock.
        columns = list(zip(*sorted(settlements, key=_by_id), strict=True))
        ids, attempts = list(columns[0]), list(columns[2])
        if all(s.plain for s in settlements):
            results = statements.texts(columns[4])
            plain = (statements.array(ids), statements.array(attempts), results, now, by)
            rows = connection.execute(self._succeed, plain).fetchall()
        else:
            values = (ids, attempts, list(columns[3]), *map(list, columns[4:13]), now, by)
            rows = connection.execute(self._settle, values).fetchall()
        accepted = {row[0] for row in rows}
        if len(accepted) < len(ids):
            accepted.update(row[0] for row in connection.execute(self._settled, (ids, attempts, by)))
        return accepted

    def hand_over(self, connection: DriverConnection, wanted: HandOver) -> list[ClaimedJob]:
        rows = connection.execute(
            self._hand_over,
            {
                "groups": list(wanted.groups),
                "any_queue": wanted.queues is None,
                "queues": list(wanted.queues or ()),
                "low": wanted.priorities[0],
                "high": wanted.priorities[1],
                "tasks": list(wanted.tasks),
                "worker": wanted.worker,
                "now": wanted.now,
            },
        ).fetchall()
        return [ClaimedJob._make(row) for row in rows]

    def next_position(self, connection: Connection) -> ColumnElement[int]:
        jobs = self.schema.qualified("jobs")
        return func.nextval(func.pg_get_serial_sequence(jobs, "position"))

    def upsert(self, table: Table, keys: Sequence[str], changes: Change, where: Change | None = None) -> Any:
        statement = postgresql.insert(table)
        new = statement.excluded
        condition = None if where is None else where(new)
        return statement.on_conflict_do_update(index_elements=keys, set_=changes(new), where=condition)

    def insert_new(self, table: Table) -> Any:
        return postgresql.insert(table).on_conflict_do_nothing()

    def trouble(self, error: BaseException) -> Trouble:
        if isinstance(error, DBAPIError) and error.orig is not None:
            if error.connection_invalidated:
                return Trouble.LOST
            error = error.orig
        if isinstance(error, UnicodeError):
            return Trouble.VALUE
        code = getattr(error, "sqlstate", None)
        kinds = {kind.__name__ for kind in type(error).__mro__ if kind.__module__.startswith("psycopg")}
        if code in _BUSY:
            return Trouble.BUSY
        if code in _LOST or (code or "").startswith("08") or (code is None and "OperationalError" in kinds):
            return Trouble.LOST
        if "DataError" in kinds:
            return Trouble.VALUE
        if isinstance(error, OSError) or "InterfaceError" in kinds:
            return Trouble.LOST
        return Trouble.OTHER

    def limit_lock_wait(self, seconds: float) -> Sequence[str]:
        limit = f"{round(seconds * 1000)}ms"
        now = "current_setting('lock_timeout')"
        least = f"CASE WHEN {now} <> '0' AND {now}::interval < '{limit}'::interval THEN {now} ELSE '{limit}' END"
        return (f"SELECT {now}, set_config('lock_timeout', {least}, true)",)

    def restore_lock_wait(self, before: object) -> str:
        return f"SELECT set_config('lock_timeout', '{before}', true)"

    def waited_in_vain(self, error: BaseException) -> bool:
        orig = getattr(error, "orig", None) or error
        # psycopg's and psycopg2's word for it; the connection may be the caller's.
        return "55P03" in (getattr(orig, "sqlstate", None), getattr(orig, "pgcode", None))

    def abandon(self, connection: DriverConnection) -> None:
        # libpq's socket, duplicated: shutting it down wakes the thread that waits on it, whatever the
        # server does; closing it stays the business of the connection's owner.
        with suppress(Exception):
            sock = socket.socket(fileno=os.dup(connection.fileno()))
            with sock:
                sock.shutdown(socket.SHUT_RDWR)


def _same(moment: datetime) -> datetime:
    return moment


def _best_first(job: ClaimedJob) -> tuple[int, int]:
    return job.priority, job.position


def _by_id(settlement: Settlement) -> str:
    return settlement.id


def _set_up(connection: DriverConnection, record: Any) -> None:
    connection.autocommit = True
    row = connection.execute("SELECT current_setting('default_transaction_isolation')").fetchone()
    if row[0] != "read committed":
        connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED")
    connection.autocommit = False
