"""How fast a backlog is worked off: Backburner beside the bare driver on the same tables.

The raw loop claims and finishes in batches, with the two shortest statements that are still fenced, and
runs nothing: what the machine, the database and the driver allow on the shipped schema. Backburner runs as
shipped: supervisor, leases, typed arguments, contexts, results kept, full durability; with `--broker`, its workers
listen to one. Rounds alternate.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backburner.job import NewJob
from backburner.store.dialects.postgresql_statements import array, texts
from backburner.store.store import Store
from backburner.store.types import to_bytes
from benchmarks.noop import jobs_at
from tests.servers import MariaDBServer, PostgresServer, RabbitServer, RedisServer

RAW_BATCH = {"sqlite": 100, "postgresql": 200, "mysql": 200}


def main() -> None:
    """Measure and print one table per database."""
    options = _options()
    for database in options.database or ("postgresql", "mariadb", "sqlite"):
        processes = options.processes or (1 if database == "sqlite" else 2)
        with ExitStack() as stack:
            raw, ours = [], []
            fresh, broker = new_url(database, stack), _broker(options.broker, stack)
            for _ in range(options.rounds):
                raw.append(raw_drain(fresh(), options.jobs, processes))
                ours.append(backburner_drain(fresh(), options.jobs, processes, broker))
        print(_report(database, options.broker, processes, options.jobs, raw, ours))


def raw_drain(url: str, jobs: int, processes: int) -> float:
    """Jobs per second of the raw loop."""
    store = _filled(url, jobs)
    store.close()
    barrier = multiprocessing.get_context("spawn").Barrier(processes + 1)
    loops = [
        multiprocessing.get_context("spawn").Process(target=_raw_loop, args=(url, barrier)) for _ in range(processes)
    ]
    for loop in loops:
        loop.start()
    barrier.wait()
    for loop in loops:
        loop.join()
    store = Store(url)
    try:
        return rate(store, jobs)
    finally:
        store.close()


def backburner_drain(url: str, jobs: int, processes: int, broker: str | None = None) -> float:
    """Jobs per second of a worker as shipped, from the first start to the last end in the database.

    `broker` is the URL of one that the worker is to listen to. What the database holds already does not count.
    """
    there = _last_position(url)
    store = _filled(url, jobs)
    worker = subprocess.run(
        [sys.executable, "-m", "benchmarks.noop", url, str(processes)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | ({"BACKBURNER_BROKER": broker} if broker else {}),
    )
    if worker.returncode != 0:
        raise RuntimeError(f"the worker ended with {worker.returncode}: {worker.stderr[-2000:]}")
    try:
        return rate(store, jobs, after=there)
    finally:
        store.close()


def rate(store: Store, jobs: int, *, after: int = 0) -> float:
    """Jobs per second, from the first start to the last end as the rows say: the same for whoever ran them.

    Of jobs whose position is above `after`.
    """
    t = store.schema.qualified("jobs")
    query = (
        f"SELECT count(*), min(started_at), max(finished_at) FROM {t} WHERE state = 'succeeded' AND position > {after}"
    )
    done, first, last = store.read(lambda c: c.exec_driver_sql(query).one())
    if done != jobs:
        raise RuntimeError(f"{done} of {jobs} jobs succeeded")
    seconds = (last - first) / 1e6 if isinstance(first, int) else (last - first).total_seconds()
    return jobs / float(seconds)


def _last_position(url: str) -> int:
    store = Store(url, auto_migrate=True)
    store.ready()
    query = f"SELECT max(position) FROM {store.schema.qualified('jobs')}"
    try:
        return store.read(lambda c: c.exec_driver_sql(query).scalar()) or 0
    finally:
        store.close()


def _filled(url: str, jobs: int) -> Store:
    store = Store(url, auto_migrate=True)
    store.ready()
    backburner = jobs_at(url)
    now = store.clock.now()
    ids = backburner.ids.many(jobs)
    for start in range(0, jobs, 5000):
        store.jobs.insert(
            [
                NewJob(job_id, "benchmarks.noop.noop", f'{{"n":{start + i}}}', "json", "default", 50, now, now)
                for i, job_id in enumerate(ids[start : start + 5000])
            ]
        )
    if store.dialect.name == "postgresql":
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"VACUUM ANALYZE {store.schema.qualified('jobs')}")
    backburner.close()
    return store


def _raw_loop(url: str, barrier: Any) -> None:
    store = Store(url)
    store.ready()
    lane = store.lane(0)
    name = store.schema.qualified("jobs")
    step = {"postgresql": _raw_postgresql, "mysql": _raw_mariadb, "sqlite": _raw_sqlite}[store.dialect.name](name)
    barrier.wait()
    # On PostgreSQL each statement is a transaction; SQLite's lane begins one, and the step ends it.
    while lane.run(step, atomic=False):
        pass


def _raw_postgresql(jobs: str) -> Callable[[Any], int]:
    me = "018f0000-0000-7000-8000-000000000001"
    claim = (
        f"UPDATE {jobs} SET state = 'running', attempt = attempt + 1, worker = %s, started_at = %s "
        f"WHERE id = ANY(ARRAY(SELECT id FROM {jobs} WHERE state = 'queued' AND group_name IS NULL "
        "AND queue = 'default' "
        "AND (priority, position) >= (%s::smallint, %s::bigint) "
        "ORDER BY priority, position LIMIT %s FOR UPDATE SKIP LOCKED)) "
        "RETURNING id::text, position, attempt, task, args, priority"
    )
    finish = (
        f"UPDATE {jobs} AS j SET state = 'succeeded', worker = NULL, settled_attempt = v.try, "
        "settled_by = %s, finished_at = %s, result = v.result "
        "FROM unnest(%s::uuid[], %s::int[], %s::text[]) AS v(job, try, result) "
        "WHERE j.id = v.job AND j.attempt = v.try AND j.state = 'running'"
    )
    bound = [(-32768, 0)]

    def step(connection: Any) -> int:
        now = datetime.now(UTC)
        rows = connection.execute(claim, (me, now, *bound[0], RAW_BATCH["postgresql"])).fetchall()
        if not rows and bound[0][1]:
            bound[0] = (-32768, 0)
            return 1
        if rows:
            bound[0] = max((row[5], row[1]) for row in rows)
            ids, attempts = array(row[0] for row in rows), array(row[2] for row in rows)
            connection.execute(finish, (me, now, ids, attempts, texts(["null"] * len(rows))))
        return len(rows)

    return step


def _raw_mariadb(jobs: str) -> Callable[[Any], int]:
    me = to_bytes("018f0000-0000-7000-8000-000000000001")
    look = (
        f"SELECT position, id, attempt, task, args FROM {jobs} WHERE ready = 0 AND queue = 'default' "
        "ORDER BY priority, position LIMIT %s FOR UPDATE SKIP LOCKED"
    )
    claim = (
        f"UPDATE {jobs} SET state = 'running', attempt = attempt + 1, worker = %s, started_at = %s WHERE position IN %s"
    )
    # One result for all, so that the batch needs no values of its own.
    finish = (
        f"UPDATE {jobs} SET state = 'succeeded', worker = NULL, settled_attempt = attempt, settled_by = %s, "
        "finished_at = %s, result = 'null' WHERE (position, attempt) IN %s AND position IN %s AND state = 'running'"
    )

    def step(connection: Any) -> int:
        now = datetime.now(UTC).replace(tzinfo=None)
        with connection.cursor() as cursor:
            connection.begin()
            positions = []
            cursor.execute(look, (RAW_BATCH["mysql"],))
            rows = cursor.fetchall()
            if rows:
                positions = [row[0] for row in rows]
                cursor.execute(claim, (me, now, positions))
            connection.commit()
            if rows:
                cursor.execute(finish, (me, now, [(row[0], row[2] + 1) for row in rows], positions))
        return len(rows)

    return step


def _raw_sqlite(jobs: str) -> Callable[[Any], int]:
    claim = (
        f"UPDATE {jobs} SET state = 'running', attempt = attempt + 1, worker = 'me', started_at = ? "
        f"WHERE position IN (SELECT position FROM {jobs} WHERE state = 'queued' AND group_name IS NULL "
        "AND queue = 'default' "
        "ORDER BY priority, position LIMIT ?) "
        "RETURNING position, id, attempt, task, args"
    )
    finish = (
        f"UPDATE {jobs} SET state = 'succeeded', worker = NULL, settled_attempt = attempt, "
        "settled_by = 'me', finished_at = ?, result = 'null' "
        "WHERE position = ? AND id = ? AND attempt = ? AND state = 'running'"
    )

    def step(connection: Any) -> int:
        now = int(time.time() * 1e6)
        rows = connection.execute(claim, (now, RAW_BATCH["sqlite"])).fetchall()
        # `lane.run` is one transaction: the claim is committed before its jobs could run, as in a worker.
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(finish, [(now, row[0], row[1], row[2]) for row in rows])
        return len(rows)

    return step


def new_url(database: str, stack: ExitStack) -> Callable[[], str]:
    """URLs of fresh databases, one per call; PostgreSQL with fsync on."""
    if database == "postgresql":
        server = stack.enter_context(PostgresServer(fsync=True))
        return lambda: server.create_database()
    if database == "mariadb":
        mariadb = stack.enter_context(MariaDBServer(fsync=True))
        return lambda: mariadb.create_database()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    count = iter(range(1_000_000))
    return lambda: f"sqlite:///{folder / f'{next(count)}.db'}"


def _broker(name: str | None, stack: ExitStack) -> str | None:
    """URL of a fresh broker."""
    if name is None:
        return None
    server: RabbitServer | RedisServer = RabbitServer() if name == "rabbitmq" else RedisServer()
    stack.enter_context(server)
    return server.url


def _report(database: str, broker: str | None, processes: int, jobs: int, raw: list[float], ours: list[float]) -> str:
    ratios = [b / a for a, b in zip(raw, ours, strict=True)]
    result = {
        "database": database,
        "broker": broker,
        "processes": processes,
        "jobs": jobs,
        "raw": round(statistics.median(raw)),
        "raw_spread": [round(min(raw)), round(max(raw))],
        "backburner": round(statistics.median(ours)),
        "backburner_spread": [round(min(ours)), round(max(ours))],
        "ratio": round(statistics.median(ratios), 2),
        "ratio_spread": [round(min(ratios), 2), round(max(ratios), 2)],
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
    }
    return json.dumps(result)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Drain a backlog: Backburner beside the bare driver")
    parser.add_argument("--database", action="append", choices=["sqlite", "postgresql", "mariadb"])
    parser.add_argument("--broker", choices=["rabbitmq", "redis"], help="the workers listen to this one")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--processes", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="2,000 jobs, one round: does it work at all")
    found = parser.parse_args()
    if found.small:
        found.jobs, found.rounds = 2_000, 1
    return found


if __name__ == "__main__":
    main()
