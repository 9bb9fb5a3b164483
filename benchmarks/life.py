"""Where the time of one job goes: what each part of a worker and of the server uses of a core, per job.

    python -m benchmarks.life [--database NAME] [--jobs N]

A worker in this process works off jobs that do nothing; what its threads and the server's connections have used of a
core meanwhile is read from the kernel's books. Printed, a table per database. The parts run side by side: their sum is
work, not time.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import ExitStack, closing
from pathlib import Path

from sqlalchemy import text

from backburner import Backburner
from backburner.store.store import Store
from backburner.worker import Worker, WorkerOptions
from benchmarks.drain import new_url
from benchmarks.noop import jobs_at

PARTS = {
    "backburner-claimer": "claimer: statements that take jobs, rows into jobs",
    "backburner-job": "bodies: arguments, context, call, outcome",
    "backburner-finisher": "finisher: statements that write ends",
}
STATEMENTS = {"names(queue)": "server: claims", "settled_attempt = v.try": "server: ends"}


def measured(url: str, count: int) -> tuple[float, dict[str, float]]:
    """Jobs per second, and microseconds of a core per job of each part."""
    jobs = jobs_at(url)
    with closing(jobs):
        jobs.store.migrate()
        task = jobs.registry.get("benchmarks.noop.noop")
        assert task is not None
        for start in range(0, count, 1_000):
            jobs.enqueue_many(task, [(number,) for number in range(start, start + 1_000)])
        began = time.perf_counter()
        with Worker(jobs, WorkerOptions()):
            while _left(jobs):
                time.sleep(0.05)
            took = time.perf_counter() - began
            used = _threads() | _connections(jobs.store)
    return count / took, {part: seconds / count * 1e6 for part, seconds in used.items()}


def _left(jobs: Backburner) -> bool:
    return bool(jobs.find(state="queued", limit=1) or jobs.find(state="running", limit=1))


def _threads() -> dict[str, float]:
    """Seconds of this process's threads; those of the main thread are the measure's own."""
    found: dict[str, float] = defaultdict(float)
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and thread.native_id is not None:
            part = next((words for name, words in PARTS.items() if thread.name.startswith(name)), "all others")
            found[part] += _core_seconds(Path(f"/proc/self/task/{thread.native_id}/stat"))
    return dict(found)


def _connections(store: Store) -> dict[str, float]:
    """Seconds of the processes that serve PostgreSQL's connections, by their last statement: claims end with a look."""
    if store.dialect.name != "postgresql":
        return {}
    found: dict[str, float] = defaultdict(float)
    query = text(
        "SELECT pid, query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with store.engine.connect() as connection:
        rows = connection.execute(query).all()
    for pid, said in rows:
        part = next((words for name, words in STATEMENTS.items() if name in said), "server: all others")
        found[part] += _core_seconds(Path(f"/proc/{pid}/stat"))
    return dict(found)


def _core_seconds(stat: Path) -> float:
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _table(database: str, rate: float, used: Iterable[tuple[str, float]]) -> str:
    lines = [
        f"{database}: {rate:,.0f} jobs/s in one process",
        "",
        "| part | microseconds of a core per job |",
        "|---|---|",
    ]
    return "\n".join([*lines, *(f"| {part} | {micros:.1f} |" for part, micros in used)])


def main() -> None:
    """Measure and print one table per database."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.life")
    parser.add_argument("--database", action="append", choices=("sqlite", "postgresql", "mariadb"))
    parser.add_argument("--jobs", type=int, default=100_000)
    options = parser.parse_args()
    for database in options.database or ("postgresql", "sqlite"):
        with ExitStack() as stack:
            rate, used = measured(new_url(database, stack)(), options.jobs)
        print(_table(database, rate, sorted(used.items(), key=lambda one: -one[1])), end="\n\n")


if __name__ == "__main__":
    main()
