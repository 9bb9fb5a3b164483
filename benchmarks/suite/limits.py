"""What the bare driver does on the shipped tables: the limits that enqueueing is held against."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

from sqlalchemy import make_url

from backburner.ids import Ids
from backburner.job import NewJob
from backburner.store.dialects.base import INSERTED, inserted_row
from backburner.store.lane import OTHER
from backburner.store.store import Store

Row = tuple[Any, ...]
_PORTION = 100_000
"""Finished jobs in a statement."""


class Steps(NamedTuple):
    """Which of `all` steps back in time a statement takes."""

    first: int
    last: int
    all: int


def inserts(url: str, count: int) -> float:
    """Rows per second, one INSERT and one commit each."""
    return _measured(url, count, _one_by_one, 1)


def bulk_inserts(url: str, count: int, size: int = 1000) -> float:
    """Rows per second, `size` per commit: COPY on PostgreSQL, `executemany` elsewhere."""
    return _measured(url, count, _copied if url.startswith("postgresql") else _many, size)


def _measured(url: str, count: int, insert: Callable[[Store, Any, Sequence[Row]], None], size: int) -> float:
    store = Store(url, auto_migrate=True)
    with closing(store):
        store.ready()
        rows = _rows(store, count)

        def work(connection: Any) -> float:
            began = time.perf_counter()
            for start in range(0, count, size):
                insert(store, connection, rows[start : start + size])
            return count / (time.perf_counter() - began)

        # It begins and ends its own transactions.
        return store.lane(OTHER).run(work, read_only=True)


def _rows(store: Store, count: int) -> list[Row]:
    now, dialect = store.clock.now(), store.dialect
    return [
        inserted_row(
            NewJob(job_id, "noop", f'{{"number":{number}}}', "json", "default", 50, now, now),
            now, dialect.stored_time, dialect.stored_id,
        )
        for number, job_id in enumerate(Ids().many(count))
    ]  # fmt: skip


def _statement(store: Store) -> str:
    mark = "?" if store.dialect.single_writer else "%s"
    return (
        f"INSERT INTO {store.schema.qualified('jobs')} ({', '.join(INSERTED)}) "
        f"VALUES ({', '.join([mark] * len(INSERTED))})"
    )


def _one_by_one(store: Store, connection: Any, rows: Sequence[Row]) -> None:
    statement = _statement(store)
    if store.dialect.single_writer:
        for row in rows:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(statement, row)
            connection.execute("COMMIT")
        return
    with connection.cursor() as cursor:
        for row in rows:
            cursor.execute(statement, row)


def _many(store: Store, connection: Any, rows: Sequence[Row]) -> None:
    statement = _statement(store)
    if store.dialect.single_writer:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(statement, rows)
        connection.execute("COMMIT")
        return
    with connection.cursor() as cursor:
        cursor.executemany(statement, rows)


def _copied(store: Store, connection: Any, rows: Sequence[Row]) -> None:
    order = f"COPY {store.schema.qualified('jobs')} ({', '.join(INSERTED)}) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(order) as copy:
        for row in rows:
            copy.write_row(row)


def finished(url: str, count: int, templates: Sequence[NewJob] = ()) -> None:
    """Fill a database with so many finished jobs, of the last 20 days, by statements of the database.

    They are alike, or like each of `templates` in turn, whose ids are not kept. Ids begin with the time, as real ones.
    """
    store = Store(url, auto_migrate=True)
    with closing(store):
        store.ready()
        now = store.clock.now()
        plain = NewJob("", "noop", '{"number":0}', "json", "default", 50, now, now, owner="somebody")
        ids = Ids()
        store.jobs.insert([job._replace(id=ids.new()) for job in templates or (plain,)])
        # Each row becomes many of them; each gets an id of its own.
        fill = {"postgresql": _fill_postgresql, "mysql": _fill_mysql, "sqlite": _fill_sqlite}[store.dialect.name]
        jobs, each = store.schema.qualified("jobs"), count // max(1, len(templates))
        # In portions: drivers wait for a statement for a bounded time.
        portion = max(1, _PORTION // max(1, len(templates)))
        with _without_indexes(store):
            for first in range(1, each + 1, portion):
                steps = Steps(first, min(first + portion - 1, each), each)
                store.run(lambda c, steps=steps: c.exec_driver_sql(fill(jobs, steps)))  # type: ignore[misc]
        store.run(lambda c: c.exec_driver_sql(f"DELETE FROM {jobs} WHERE state = 'queued'"))
        if make_url(url).get_backend_name() == "postgresql":
            with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql(f"VACUUM ANALYZE {store.schema.qualified('jobs')}")


@contextmanager
def _without_indexes(store: Store) -> Iterator[None]:
    """On PostgreSQL indexes but that of the key are made when the rows are there: a third of the time."""
    if store.dialect.name != "postgresql":
        yield
        return
    query = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'backburner_jobs' AND indexname NOT LIKE %s"
    indexes = store.read(lambda c: c.exec_driver_sql(query, ("%_pkey",)).all())
    store.run(lambda c: [c.exec_driver_sql(f"DROP INDEX {name}") for name, _ in indexes])
    yield
    store.run(lambda c: [c.exec_driver_sql(made) for _, made in indexes])


_KEPT = "title, queue, priority, max_attempts, repeatable, task, args, codec, owner, visibility, options"


def _fill_postgresql(jobs: str, steps: Steps) -> str:
    return (
        f"INSERT INTO {jobs} (id, state, run_at, created_at, started_at, finished_at, attempt, settled_attempt, "
        f"result, {_KEPT}) SELECT (lpad(to_hex((extract(epoch FROM t) * 1000)::bigint), 12, '0') "
        "|| substr(replace(gen_random_uuid()::text, '-', ''), 13))::uuid, "
        f"'succeeded', t, t, t, t, 1, 1, 'null', {_KEPT} "
        f"FROM {jobs}, LATERAL (SELECT now() - interval '20 days' * n / {steps.all} AS t "
        f"FROM generate_series({steps.first}, {steps.last}) AS n) AS times WHERE state = 'queued'"
    )


def _fill_sqlite(jobs: str, steps: Steps) -> str:
    now, days = int(time.time() * 1e6), int(20 * 86_400e6)
    return (
        f"INSERT INTO {jobs} (id, state, run_at, created_at, started_at, finished_at, attempt, settled_attempt, "
        f"result, {_KEPT}) WITH RECURSIVE steps (n) AS (SELECT {steps.first} "
        f"UNION ALL SELECT n + 1 FROM steps WHERE n < {steps.last}) "
        "SELECT printf('%s-%s-7000-8000-%s', substr(m, 1, 8), substr(m, 9), h), 'succeeded', t, t, t, t, 1, 1, 'null', "
        f"{_KEPT} FROM {jobs} CROSS JOIN (SELECT t, printf('%012x', t / 1000) AS m, lower(hex(randomblob(6))) AS h "
        f"FROM (SELECT {now} - {days} / {steps.all} * n AS t FROM steps)) WHERE state = 'queued'"
    )


def _fill_mysql(jobs: str, steps: Steps) -> str:
    return (
        f"INSERT INTO {jobs} (id, state, run_at, created_at, started_at, finished_at, attempt, settled_attempt, "
        f"result, {_KEPT}) SELECT concat(unhex(lpad(hex(cast(unix_timestamp(t) * 1000 AS UNSIGNED)), 12, '0')), "
        f"random_bytes(10)), 'succeeded', t, t, t, t, 1, 1, 'null', {_KEPT} "
        f"FROM {jobs} CROSS JOIN (SELECT utc_timestamp(6) - INTERVAL 20 * 86400 * seq / {steps.all} SECOND AS t "
        f"FROM seq_{steps.first}_to_{steps.last}) AS times WHERE state = 'queued'"
    )
