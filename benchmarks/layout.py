"""One table for jobs, or a wide one and a narrow live one? The measurement behind docs/decisions/0002.

    python -m benchmarks.layout [--rows N] [--jobs N] [--database sqlite|postgresql]
                                [--rounds N] [--compare layouts|variants|forms] [--setting name=value]

Raw drivers, no Backburner code: what each layout allows at best. The layouts take turns, so that whatever
else the machine does meets all of them; the table gives medians, the spread, and the ratio to the first.
"""

import argparse
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import psycopg

from benchmarks import layout_postgresql as postgresql
from benchmarks import layout_postgresql_sql as postgresql_sql
from benchmarks import layout_sqlite as sqlite
from tests.servers import PostgresServer

SINGLE_INSERTS = 3000
# PostgreSQL looks for tables to vacuum once a minute; every 15 s, some rounds fall into a drain of 30 s.
SETTINGS = {
    "shared_buffers": "1GB",
    "max_wal_size": "4GB",
    "maintenance_work_mem": "512MB",
    "autovacuum_naptime": "15s",
}


@dataclass(frozen=True)
class Round:
    """One layout measured once: rates in rows or jobs per second, log in bytes of write-ahead log per job.

    `cpu` is processor time per job, in microseconds: the workers' server processes on PostgreSQL, the worker
    itself on SQLite. Other load on the machine changes it far less than the rates.
    """

    single: float
    bulk: float
    drain: float
    first: float
    last: float
    log: float
    cpu: float


Measure = Callable[[int], Round]


def alternate(measures: Sequence[tuple[str, Measure]], rounds: int) -> dict[str, list[Round]]:
    """Run every layout once per round, in an order that turns round each time; print each as it comes."""
    results: dict[str, list[Round]] = {name: [] for name, _ in measures}
    for number in range(rounds):
        for name, measure in measures if number % 2 == 0 else list(reversed(measures)):
            result = measure(number)
            results[name].append(result)
            figures = " ".join(f"{field.name} {getattr(result, field.name):,.0f}" for field in fields(Round))
            print(f"round {number + 1}, {name}: {figures}", file=sys.stderr, flush=True)
    return results


def table(results: dict[str, list[Round]]) -> str:
    """Return a Markdown table: median (lowest to highest) of each figure, ratio to the first layout."""
    names = [field.name for field in fields(Round)]
    lines = ["| layout | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    base = next(iter(results.values()))
    for layout, rounds in results.items():
        cells = []
        for name in names:
            values = [getattr(each, name) for each in rounds]
            middle = statistics.median(values)
            against = statistics.median(getattr(each, name) for each in base)
            ratio = f" = {middle / against:.2f} x" if rounds is not base and against else ""
            cells.append(f"{middle:,.0f} ({min(values):,.0f} to {max(values):,.0f}){ratio}")
        lines.append(f"| {layout} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def measure_postgresql(
    layouts: Sequence[postgresql_sql.Layout], rows: int, jobs: int, rounds: int, settings: Sequence[str]
) -> str:
    """Measure on a private server: two processes, batches of 200, cleaning on when there is history."""
    chosen = SETTINGS | dict(setting.split("=", 1) for setting in settings)
    with PostgresServer(fsync=True, settings=chosen) as server:
        conninfo = f"host=127.0.0.1 port={server.port} user=postgres"
        postgresql.load_history(conninfo, rows)

        def measured(layout: postgresql_sql.Layout) -> Measure:
            def measure(number: int) -> Round:
                postgresql.copy_history(conninfo, layout, "run")
                bulk = postgresql.insert_bulk(conninfo, layout, "run", jobs)
                drain = postgresql.drain(conninfo, layout, "run", batch=200, processes=2, prune=rows > 0)
                single = postgresql.insert_single(conninfo, layout, "run", SINGLE_INSERTS)
                if number == 0:
                    print(postgresql.explain(conninfo, layout, "run"), file=sys.stderr)
                return Round(single, bulk, drain.rate, drain.first, drain.last, drain.log_bytes, drain.cpu)

            return measure

        return table(alternate([(layout.name, measured(layout)) for layout in layouts], rounds))


def measure_sqlite(layouts: Sequence[sqlite.Layout], rows: int, jobs: int, rounds: int) -> str:
    """Measure the layouts on a file each time new: one process, batches of 100, WAL, synchronous FULL."""

    def measured(layout: sqlite.Layout) -> Measure:
        def measure(_: int) -> Round:
            with tempfile.TemporaryDirectory(prefix="backburner-bench-") as folder:
                path = Path(folder) / "jobs.sqlite"
                sqlite.load_history(path, layout, rows)
                bulk = sqlite.insert(path, layout, jobs, per_commit=1000)
                drain = sqlite.drain(path, layout, batch=100)
                single = sqlite.insert(path, layout, SINGLE_INSERTS, per_commit=1)
                return Round(single, bulk, drain.rate, drain.first, drain.last, drain.log_bytes, drain.cpu)

        return measure

    return table(alternate([(layout.name, measured(layout)) for layout in layouts], rounds))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.layout", description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="postgresql")
    parser.add_argument("--rows", type=int, default=1_000_000, help="finished jobs in the table beforehand")
    parser.add_argument("--jobs", type=int, default=300_000, help="jobs to insert and to drain in each round")
    parser.add_argument("--rounds", type=int, default=3, help="how often each layout has its turn")
    parser.add_argument("--compare", choices=("layouts", "variants", "forms"), default="layouts")
    parser.add_argument("--setting", action="append", default=[], help="a line for postgresql.conf, as name=value")
    return parser.parse_args()


def main() -> None:
    """Measure what the command line asks for and print a Markdown table."""
    asked = arguments()
    version = sqlite3.sqlite_version if asked.database == "sqlite" else f"psycopg {psycopg.__version__}"
    print(
        f"{asked.database} ({version}, Python {platform.python_version()}, {os.cpu_count()} cores): "
        f"{asked.rows:,} finished rows, {asked.jobs:,} jobs, {asked.rounds} rounds, "
        f"comparing {asked.compare}\n"
    )
    if asked.database == "sqlite":
        of_sqlite = {
            "layouts": (sqlite.ONE, sqlite.TWO),
            "variants": (sqlite.ONE, *sqlite.VARIANTS),
            "forms": sqlite.FORMS,
        }
        print(measure_sqlite(of_sqlite[asked.compare], asked.rows, asked.jobs, asked.rounds))
        return
    of_postgresql = {
        "layouts": (postgresql_sql.ONE, postgresql_sql.TWO),
        "variants": (postgresql_sql.ONE, postgresql_sql.TWO, *postgresql_sql.VARIANTS),
        "forms": postgresql_sql.FORMS,
    }
    layouts = of_postgresql[asked.compare]
    print(measure_postgresql(layouts, asked.rows, asked.jobs, asked.rounds, asked.setting))


if __name__ == "__main__":
    main()
