"""What serial groups cost: jobs without a group beside a long line, jobs in many groups, and one long group.

    python -m benchmarks.groups [--database sqlite|postgresql|mariadb] [--jobs N] [--waiting N] [--row N] [--rounds N]

`none` drains plain jobs. `parked` drains the same beside a group whose line is `--waiting` jobs long and does not move;
`arrived` beside as many that no worker has looked at yet. `tenth` has one job of ten in groups of ten. `row` drains one
group of `--row` jobs, one after the other. Rounds alternate; ratios are to `none` of the same round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import update

from backburner.ids import Ids
from backburner.job import NewJob
from backburner.store.store import Store
from benchmarks.drain import new_url, rate

_ROWS = 5000


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
            found: dict[str, list[float]] = {name: [] for name in CASES}
            for _ in range(options.rounds):
                for name in CASES:
                    found[name].append(measured(fresh(), name, amounts))
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


CASES = {"none": _none, "parked": _parked, "arrived": _arrived, "tenth": _tenth, "row": _row}


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
        ratios = [rate / plain for rate, plain in zip(rates, found["none"], strict=True)]
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
