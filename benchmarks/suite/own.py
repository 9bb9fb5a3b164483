"""Measures of Backburner alone, beside a limit or a baseline of the same run."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from tqdm import tqdm

from backburner import Backburner, Task, track
from backburner.store.store import Store
from backburner.worker import Worker
from benchmarks import groups, pages, viewers
from benchmarks.drain import backburner_drain, new_url, raw_drain
from benchmarks.suite import limits
from benchmarks.suite.results import Pair, Size
from benchmarks.suite.servers import broker

_ITERATIONS = 2_000_000


def drain(database: str, processes: int, size: Size) -> Pair:
    """P1, P2, P3: a backlog beside the raw loop."""
    with ExitStack() as stack:
        fresh = new_url(database, stack)
        count = size.jobs(100_000 if database != "mariadb" else 50_000)
        return _alternately(
            size, lambda: raw_drain(fresh(), count, processes), lambda: backburner_drain(fresh(), count, processes)
        )


def drain_with_broker(size: Size) -> Pair:
    """P4: PostgreSQL without and with RabbitMQ."""
    with ExitStack() as stack:
        fresh, url, count = new_url("postgresql", stack), broker("rabbitmq", stack), size.jobs(100_000)
        return _alternately(
            size, lambda: backburner_drain(fresh(), count, 2), lambda: backburner_drain(fresh(), count, 2, url)
        )


def enqueue_one(database: str, size: Size) -> Pair:
    """P5: one INSERT per commit, and one enqueue each."""
    count = size.jobs(5_000)
    with ExitStack() as stack:
        fresh = new_url(database, stack)
        return _alternately(
            size, lambda: limits.inserts(fresh(), count),
            lambda: _enqueued(fresh(), lambda jobs, task: [task.enqueue(n) for n in range(count)], count),
        )  # fmt: skip


def enqueue_bulk(database: str, size: Size) -> Pair:
    """P6: 1,000 rows per commit, and 1,000 calls per `enqueue_many`."""
    count = size.jobs(100_000)
    calls = [(n,) for n in range(1000)]
    with ExitStack() as stack:
        fresh = new_url(database, stack)
        return _alternately(
            size, lambda: limits.bulk_inserts(fresh(), count),
            lambda: _enqueued(
                fresh(), lambda jobs, task: [jobs.enqueue_many(task, calls) for _ in range(count // 1000)], count
            ),
        )  # fmt: skip


def flat(database: str, finished: int, size: Size) -> Pair:
    """P8: the drain on an empty table, and on one with so many finished jobs and cleaning on."""
    kept = size.jobs(finished)
    processes, count = 1 if database == "sqlite" else 2, size.jobs(100_000)
    with ExitStack() as stack:
        fresh = new_url(database, stack)
        full = fresh()
        limits.finished(full, kept)
        return _alternately(
            size, lambda: backburner_drain(fresh(), count, processes), lambda: backburner_drain(full, count, processes)
        )


def sustained(database: str, size: Size) -> Pair:
    """P1: jobs per second in the first and in the last fifth of one long drain."""
    processes, count = 1 if database == "sqlite" else 2, size.jobs(1_000_000)
    with ExitStack() as stack:
        url = new_url(database, stack)()
        backburner_drain(url, count, processes)
        store = Store(url)
        try:
            return Pair([fifth(store, count, 0)], [fifth(store, count, 4)])
        finally:
            store.close()


def fifth(store: Store, count: int, which: int) -> float:
    """Jobs per second in one fifth of the ends, in their order."""
    t, part = store.schema.qualified("jobs"), count // 5
    query = f"SELECT finished_at FROM {t} WHERE state = 'succeeded' ORDER BY finished_at LIMIT 1 OFFSET "
    places = (which * part, (which + 1) * part - 1)
    first, last = store.read(lambda c: [c.exec_driver_sql(query + str(place)).scalar_one() for place in places])
    seconds = (last - first) / 1e6 if isinstance(first, int) else (last - first).total_seconds()
    return part / float(seconds)


def with_groups(case: str, database: str, size: Size) -> Pair:
    """P9: jobs without a group, and one of the cases of `benchmarks.groups`; one group beside its raw loop."""
    found = _grouped(database, size)
    return Pair(found["raw row" if case == "row" else "none"], found[case])


@cache
def _grouped(database: str, size: Size) -> dict[str, list[float]]:
    amounts = groups.Amounts(size.jobs(50_000), size.jobs(100_000), size.jobs(10_000))
    found: dict[str, list[float]] = {case: [] for case in (*groups.CASES, "raw row")}
    with ExitStack() as stack:
        fresh = new_url(database, stack)
        for _ in range(size.rounds):
            for case in groups.CASES:
                found[case].append(groups.measured(fresh(), case, amounts))
            found["raw row"].append(groups.raw_row(fresh(), amounts))
    return found


def slowest_page(database: str, size: Size) -> Pair:
    """P12: milliseconds of the 95th percentile of the slowest page, beside those of the page that says it lives."""
    with ExitStack() as stack:
        found = pages.measured(new_url(database, stack)(), size.jobs(1_000_000), 2 if size.small else 40)
    return Pair([found[pages.NOTHING]], [max(found.values())])


def watching(database: str, figure: str, size: Size) -> Pair:
    """P13: queries per second, or the age of updates, with 200 viewers of 50 running jobs."""
    return Pair([], [found[figure] for found in _watched(database, size)])


@cache
def _watched(database: str, size: Size) -> list[dict[str, float]]:
    amounts = (12, 4, 2.0) if size.small else (200, 50, 20.0)
    with ExitStack() as stack:
        fresh = new_url(database, stack)
        return [viewers.measured(fresh(), *amounts) for _ in range(size.rounds)]


def tracking(size: Size) -> Pair:
    """P10: nanoseconds per item of `tqdm`, and of `track` in a job that reports its progress."""
    count = size.jobs(_ITERATIONS)
    found: list[float] = []

    def theirs() -> float:
        began = time.perf_counter()
        for _ in tqdm(range(count), file=io.StringIO()):
            pass
        return (time.perf_counter() - began) / count * 1e9

    with tempfile.TemporaryDirectory() as folder:
        jobs = Backburner(f"sqlite:///{folder}/jobs.db")

        @jobs.task(name="tracked")
        def tracked() -> None:
            began = time.perf_counter()
            for _ in track(range(count)):
                pass
            found.append((time.perf_counter() - began) / count * 1e9)

        def ours() -> float:
            with Worker(jobs):
                assert tracked.enqueue().wait(120)
            return found[-1]

        try:
            return _alternately(size, theirs, ours)
        finally:
            jobs.close()


def started(command: Sequence[str], size: Size) -> Pair:
    """P14: milliseconds of a bare Python, and of this command."""
    python = [sys.executable, "-c", "pass"]

    # Modules are compiled once, as where it is installed.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def timed(words: list[str]) -> float:
        began = time.perf_counter()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env=environ)
        return (time.perf_counter() - began) * 1e3

    words = [str(Path(sys.executable).parent / command[0]), *command[1:]]
    timed(words)
    rounds = range(3 if size.small else 9)
    pairs = [(timed(python), timed(words)) for _ in rounds]
    return Pair([a for a, _ in pairs], [b for _, b in pairs])


def _enqueued(url: str, ask: Callable[[Backburner, Task[[int], None]], object], count: int) -> float:
    """Calls per second of an app on a fresh database; what the first call opens is not measured."""
    jobs = Backburner(url, auto_migrate=True)

    @jobs.task(name="noop")
    def noop(number: int) -> None:
        """Do nothing."""

    try:
        noop.enqueue(0)
        began = time.perf_counter()
        ask(jobs, noop)
        return count / (time.perf_counter() - began)
    finally:
        jobs.close()


def _alternately(size: Size, theirs: Callable[[], float], ours: Callable[[], float]) -> Pair:
    pair = Pair([], [])
    for _ in range(size.rounds):
        pair.base.append(theirs())
        pair.ours.append(ours())
    return pair
