"""The raw loops that fill and drain the two table layouts on PostgreSQL."""

import multiprocessing
import time
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection as Pipe
from multiprocessing.synchronize import Barrier, Event
from typing import Any
from uuid import uuid4

import psutil
import psycopg

from benchmarks.layout_postgresql_sql import (
    COPY_JOBS,
    COPY_LIVE,
    HISTORY,
    INSERT_ONE,
    INSERT_TWO,
    LIST_INDEXES,
    LIVE_INDEXES,
    PRUNE,
    TABLE,
    VACUUM,
    Layout,
)
from benchmarks.layout_rows import ARGS, QUEUE, RESULT, Drain, new_id

HEAD = (-(2**31), -1)
RESCAN_SECONDS = 0.25
PRUNE_ROWS = 10_000


def connect(conninfo: str, database: str) -> psycopg.Connection[Any]:
    """Open an autocommit connection that prepares each statement at its first use."""
    return psycopg.connect(conninfo, dbname=database, autocommit=True, prepare_threshold=0)


def load_history(conninfo: str, rows: int) -> None:
    """Create the database `history`: the `jobs` table of both layouts with `rows` finished jobs, vacuumed."""
    with connect(conninfo, "postgres") as server:
        server.execute("CREATE DATABASE history")
    with connect(conninfo, "history") as database:
        with database.transaction():
            database.execute(TABLE)
            if rows:
                database.execute(HISTORY, {"rows": rows, "args": ARGS, "result": RESULT, "worker": uuid4()})
        for statement in (
            *LIST_INDEXES,
            *LIVE_INDEXES,
            "ALTER TABLE jobs " + VACUUM,
            "VACUUM (ANALYZE, FREEZE) jobs",
        ):
            database.execute(statement)


def copy_history(conninfo: str, layout: Layout, database: str) -> None:
    """Make `database` a copy of `history`, changed to `layout`."""
    with connect(conninfo, "postgres") as server:
        server.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)".encode())
        server.execute(f"CREATE DATABASE {database} TEMPLATE history STRATEGY file_copy".encode())
    with connect(conninfo, database) as changed:
        for statement in layout.changes:
            changed.execute(statement)


def row(number: int) -> tuple[Any, ...]:
    """Return the values of one new job; every tenth has an owner and an identifier."""
    marked = number % 10 == 0
    return (
        new_id(), "queued", QUEUE, f"shop.tasks.import_file_{number % 20}", datetime.now(UTC), ARGS, "json",
        f"import-{number}" if marked else None, f"user-{number % 1000}" if marked else None, "owner",
    )  # fmt: skip


def line(values: tuple[Any, ...]) -> str:
    """Return one line of COPY's text format; no value here needs escaping."""
    return "\t".join("\\N" if value is None else str(value) for value in values) + "\n"


def insert_bulk(conninfo: str, layout: Layout, database: str, jobs: int) -> float:
    """Insert `jobs` rows, 1,000 per transaction, by COPY; return rows per second."""
    start = time.monotonic()
    with connect(conninfo, database) as connection, connection.cursor() as cursor:
        for first in range(0, jobs, 1000):
            rows = [row(number) for number in range(first, min(first + 1000, jobs))]
            with connection.transaction():
                with cursor.copy(COPY_JOBS) as copy:
                    copy.write("".join(line(values) for values in rows))
                if layout.two_tables:
                    with cursor.copy(COPY_LIVE) as copy:
                        copy.write("".join(line((values[0], QUEUE, "queued")) for values in rows))
    return jobs / (time.monotonic() - start)


def insert_single(conninfo: str, layout: Layout, database: str, jobs: int) -> float:
    """Insert `jobs` rows, each in its own commit; return rows per second."""
    statement = INSERT_TWO if layout.two_tables else INSERT_ONE
    with connect(conninfo, database) as connection, connection.cursor() as cursor:
        start = time.monotonic()
        for number in range(jobs):
            cursor.execute(statement, row(number))
        return jobs / (time.monotonic() - start)


def drain_process(conninfo: str, layout: Layout, database: str, batch: int, ready: Barrier, report: Pipe) -> None:
    """Claim and finish until the queue is empty; send [(time, jobs)] and the server's processor seconds."""
    events: list[tuple[float, int]] = []
    me = uuid4()
    with connect(conninfo, database) as connection, connection.cursor(binary=True) as cursor:
        serving = psutil.Process(connection.info.backend_pid)
        ready.wait()
        bound, rescan = HEAD, time.monotonic() + RESCAN_SECONDS
        while True:
            if time.monotonic() >= rescan:
                bound, rescan = HEAD, time.monotonic() + RESCAN_SECONDS
            now = datetime.now(UTC)
            asked = {"worker": me, "now": now, "queue": QUEUE, "limit": batch}
            claimed = cursor.execute(layout.claim, {**asked, "priority": bound[0], "position": bound[1]}).fetchall()
            if not claimed and bound == HEAD:
                break
            short = len(claimed) < batch
            bound = HEAD if short else max((job[2], job[3]) for job in claimed)
            if claimed:
                outcome = {
                    "worker": me, "now": datetime.now(UTC), "started": now, "count": len(claimed),
                    "ids": [job[0] for job in claimed], "attempts": [job[1] for job in claimed],
                    "states": ["succeeded"] * len(claimed), "results": [RESULT] * len(claimed),
                }  # fmt: skip
                cursor.execute(layout.finish, outcome)
                if cursor.rowcount != len(claimed):
                    raise SystemExit(f"{layout.name}: finished {cursor.rowcount} of {len(claimed)} claimed jobs")
                events.append((time.monotonic(), len(claimed)))
        times = serving.cpu_times()
        report.send((events, times.user + times.system))


def prune_process(conninfo: str, database: str, stop: Event) -> None:
    """Delete the oldest finished jobs, at most PRUNE_ROWS each second, until told to stop."""
    bound = datetime(2026, 1, 1, tzinfo=UTC)
    with connect(conninfo, database) as connection:
        while not stop.wait(1.0):
            cut = datetime.now(UTC) - timedelta(hours=1)
            found = connection.execute(PRUNE, {"bound": bound, "cut": cut, "limit": PRUNE_ROWS}).fetchone()
            bound = bound if found is None or found[1] is None else found[1]


def drain(conninfo: str, layout: Layout, database: str, *, batch: int, processes: int, prune: bool) -> Drain:
    """Run `processes` workers over the waiting jobs of `database` until none is left."""
    context = multiprocessing.get_context("spawn")
    with connect(conninfo, database) as before:
        before.execute("VACUUM (ANALYZE) live" if layout.two_tables else "ANALYZE jobs")
        before.execute("CHECKPOINT")
        first = before.execute("SELECT pg_current_wal_lsn()").fetchone()
    ready, stop = context.Barrier(processes + 1), context.Event()
    pipes = [context.Pipe(duplex=False) for _ in range(processes)]
    workers = [
        context.Process(target=drain_process, args=(conninfo, layout, database, batch, ready, writer))
        for _, writer in pipes
    ]
    cleaner = context.Process(target=prune_process, args=(conninfo, database, stop))
    for process in [*workers, *([cleaner] if prune else [])]:
        process.start()
    for _, writer in pipes:
        writer.close()
    ready.wait(timeout=60)
    start = time.monotonic()
    reports = [reader.recv() for reader, _ in pipes]
    events = [event for report, _ in reports for event in report]
    stop.set()
    for process in [*workers, *([cleaner] if prune else [])]:
        process.join()
    with connect(conninfo, database) as after:
        wal = after.execute("SELECT pg_current_wal_lsn() - %s::pg_lsn", first).fetchone()
    return Drain.of(
        start,
        events,
        cpu_seconds=sum(seconds for _, seconds in reports),
        written=0 if wal is None else int(wal[0]),
    )


def explain(conninfo: str, layout: Layout, database: str) -> str:
    """Return the plans of the claim and the finish, as PostgreSQL would run them now."""
    values = {
        "worker": uuid4(), "now": datetime.now(UTC), "started": datetime.now(UTC), "queue": QUEUE,
        "limit": 200, "priority": HEAD[0], "position": HEAD[1], "count": 1, "ids": [uuid4()], "attempts": [1],
        "states": ["succeeded"], "results": [RESULT],
    }  # fmt: skip
    with connect(conninfo, database) as connection:
        plans = [connection.execute("EXPLAIN " + sql, values).fetchall() for sql in (layout.claim, layout.finish)]
    return "\n".join(str(found[0]) for plan in plans for found in plan)
