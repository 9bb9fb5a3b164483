"""What serial groups cost: jobs without a group beside a long line, jobs in many groups, and one long group.

    python -m benchmarks.groups [--database sqlite|postgresql|mariadb] [--jobs N] [--waiting N] [--row N] [--rounds N]

`none` drains plain jobs. `parked` drains the same beside a group whose line is `--waiting` jobs long and does not move;
`arrived` beside as many that no worker has looked at yet. `tenth` has one job of ten in groups of ten, `many` has each
in one of 10,000 groups. Their ratios are to `none` of the same round. `row` drains one group of `--row` jobs, one after
the other, beside `raw row`: the bare driver ends a job and begins the next by their keys, one commit for both, as no
body of a group may begin before the end of the one before it is stored. Rounds alternate.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import select, update

from backburner.ids import Ids
from backburner.job import NewJob
from backburner.store.lane import FINISH
from backburner.store.store import Store
from benchmarks.drain import new_url, rate

_ROWS = 5000
_GROUPS = 10_000


class Amounts(NamedTuple):
    """How many jobs are drained, wait in the long line, and are drained as one group."""

    jobs: int
    waiting: int
    row: int


def main() -> None:
    """Measure and print one line per database."""
    options = _options()
    amounts = Amounts(options.jobs, options.waiting, options.row)
    for database in options.database or ("postgresql", "mariadb", "sqlite"):
        with ExitStack() as stack:
            fresh = new_url(database, stack)
            found: dict[str, list[float]] = {name: [] for name in (*CASES, "raw row")}
            for _ in range(options.rounds):
                for name in CASES:
                    found[name].append(measured(fresh(), name, amounts))
                found["raw row"].append(raw_row(fresh(), amounts))
        print(_report(database, found))


def measured(url: str, case: str, amounts: Amounts) -> float:
    """Jobs per second, from the first start to the last end, of those that should run in one of the `CASES`."""
    store = Store(url, auto_migrate=True)
    store.ready()
    expected = CASES[case](store, amounts)
    processes = 1 if store.dialect.single_writer else 2
    if store.dialect.name == "postgresql":
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"VACUUM ANALYZE {store.schema.qualified('jobs')}")
    worker = subprocess.run(
        [sys.executable, "-m", "benchmarks.noop", url, str(processes)], check=False, capture_output=True, text=True
    )
    if worker.returncode != 0:
        raise RuntimeError(f"the worker ended with {worker.returncode}: {worker.stderr[-2000:]}")
    try:
        return rate(store, expected)
    finally:
        store.close()


def raw_row(url: str, amounts: Amounts) -> float:
    """Jobs per second of a group by two statements and a commit each, that ask for nothing but the fence."""
    with closing(Store(url, auto_migrate=True)) as store:
        store.ready()
        _row(store, amounts)
        t, dialect = store.schema.jobs, store.dialect
        store.run(lambda c: c.execute(update(t).values(state="blocked", blocked_on="group")))
        line = store.read(lambda c: c.execute(select(t.c.id).order_by(t.c.position)).scalars().all())
        ids = [dialect.stored_id(job_id) for job_id in line]
        me, jobs = dialect.stored_id(Ids().new()), store.schema.qualified("jobs")
        mark = "?" if dialect.single_writer else "%s"
        end = (
            f"UPDATE {jobs} SET state = 'succeeded', worker = NULL, slot = NULL, settled_attempt = attempt, "
            f"settled_by = {mark}, finished_at = {mark}, result = 'null' "
            f"WHERE id = {mark} AND attempt = 1 AND state = 'running'"
        )
        begin = (
            f"UPDATE {jobs} SET state = 'running', attempt = attempt + 1, worker = {mark}, started_at = {mark}, "
            f"blocked_on = NULL, slot = group_name WHERE id = {mark}"
        )
        look = f"SELECT attempt, task, args FROM {jobs} WHERE id = {mark}"

        def step(connection: Any, ended: Any, begun: Any) -> None:
            now = dialect.stored_time(store.clock.now())
            with closing(connection.cursor()) as cursor:
                cursor.execute(end, (me, now, ended))
                cursor.execute(begin, (me, now, begun))
                cursor.execute(look, (begun,))
                cursor.fetchall()

        lane = store.lane(FINISH)
        began = time.perf_counter()
        for ended, begun in pairwise(ids):
            lane.run(partial(step, ended=ended, begun=begun))
        return (len(ids) - 1) / (time.perf_counter() - began)


def _none(store: Store, amounts: Amounts) -> int:
    _insert(store, (None for _ in range(amounts.jobs)))
    return amounts.jobs


def _parked(store: Store, amounts: Amounts) -> int:
    _hold(store)
    _insert(store, ("long" for _ in range(amounts.waiting)), blocked_on="group")
    return _none(store, amounts)


def _arrived(store: Store, amounts: Amounts) -> int:
    _hold(store)
    _insert(store, ("long" for _ in range(amounts.waiting)))
    return _none(store, amounts)


def _tenth(store: Store, amounts: Amounts) -> int:
    _insert(store, (f"g{n // 100}" if n % 10 == 0 else None for n in range(amounts.jobs)))
    return amounts.jobs


def _row(store: Store, amounts: Amounts) -> int:
    _insert(store, ("row" for _ in range(amounts.row)))
    return amounts.row


def _many(store: Store, amounts: Amounts) -> int:
    _insert(store, (f"g{n % _GROUPS}" for n in range(amounts.jobs)))
    return amounts.jobs


CASES = {"none": _none, "parked": _parked, "arrived": _arrived, "tenth": _tenth, "many": _many, "row": _row}


def _hold(store: Store) -> None:
    """A job that holds the group `long` for a year: it waits for another try."""
    _insert(store, iter(["long"]))
    t = store.schema.jobs
    later = store.clock.now() + timedelta(days=365)
    change = update(t).values(state="retrying", run_at=later, slot="long", group_policy="block")
    store.run(lambda c: c.execute(change))


def _insert(store: Store, groups: Iterator[str | None], blocked_on: str | None = None) -> None:
    now, ids = store.clock.now(), Ids()
    batch: list[NewJob] = []
    for number, group in enumerate(groups):
        batch.append(
            NewJob(
                ids.new(), "benchmarks.noop.noop", f'{{"n":{number}}}', "json", "default", 50, now, now,
                group_name=group, blocked_on=blocked_on,
            )
        )  # fmt: skip
        if len(batch) == _ROWS:
            store.jobs.insert(batch)
            batch = []
    if batch:
        store.jobs.insert(batch)


def _report(database: str, found: dict[str, list[float]]) -> str:
    result: dict[str, object] = {"database": database}
    for name, rates in found.items():
        beside = found["raw row" if name == "row" else "none"]
        ratios = [rate / other for rate, other in zip(rates, beside, strict=True)]
        result[name] = {"per_second": round(statistics.median(rates)), "ratio": round(statistics.median(ratios), 2)}
    return json.dumps(result)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What serial groups cost")
    parser.add_argument("--database", action="append", choices=["sqlite", "postgresql", "mariadb"])
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--row", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="some jobs, one round: does it work at all")
    found = parser.parse_args()
    if found.small:
        found.jobs, found.waiting, found.row, found.rounds = 1_000, 600, 50, 1
    return found


if __name__ == "__main__":
    main()
