"""Measures of Backburner on PostgreSQL under other loads than a backlog of plain jobs."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path

from backburner import Backburner
from backburner.ids import Ids
from backburner.job import NewJob
from backburner.store.store import Store
from benchmarks.drain import backburner_drain, new_url
from benchmarks.peers.counted import noted
from benchmarks.suite.fleet import Stage
from benchmarks.suite.results import Pair, Size, percentile
from benchmarks.suite.systems import SYSTEMS

BLOCK_SECONDS = 0.01
"""How often the load of `waits` is added to."""
LONG, LONG_SECONDS = 5, 30.0
"""Jobs that take half of the ten places of a worker while short ones come."""
SHORT_GAP = 1 / 400
"""Seconds between short jobs: four of ten places are busy with them."""


def waits(share: float, size: Size) -> Pair:
    """P7: milliseconds from the call to the body, idle and under half of the load that it drains; of `share` calls."""
    found = _waits(size)
    return Pair(
        [percentile(waited, share) * 1e3 for waited in found["idle"]],
        [percentile(waited, share) * 1e3 for waited in found["half"]],
    )


@cache
def _waits(size: Size) -> dict[str, list[list[float]]]:
    found: dict[str, list[list[float]]] = {"idle": [], "half": []}
    count = max(20, int(300 * size.share))
    with _stages() as (fresh, stage):
        rate = backburner_drain(fresh(), size.jobs(50_000), 1) / 2
        for _ in range(size.rounds):
            found["idle"].append(stage().latencies(BACKBURNER.default, count, 0.02))
            loaded = stage()
            with _load(loaded.url, rate):
                found["half"].append(loaded.latencies(BACKBURNER.default, count, 0.02))
    return found


def among_long(size: Size) -> Pair:
    """Milliseconds that 99 of 100 short jobs wait, alone and while long ones have half of the places."""
    count = size.jobs(2_000)
    pair = Pair([], [])
    with _stages() as (_, stage):
        for _ in range(size.rounds):
            pair.base.append(_short_ones(stage(), count, 0))
            pair.ours.append(_short_ones(stage(), count, LONG))
    return pair


def _short_ones(stage: Stage, count: int, long_ones: int) -> float:
    with _asking(stage.url) as tasks, stage.working(BACKBURNER.default):
        for _ in range(long_ones):
            tasks.long.enqueue(LONG_SECONDS)
        # Until it is known that they are short, and the worker is up.
        for _ in range(50):
            tasks.short.enqueue(time.monotonic())
        _until(lambda: len(noted(stage.folder)) == 50)
        for _ in range(count):
            tasks.short.enqueue(time.monotonic())
            time.sleep(SHORT_GAP)
        _until(lambda: len(noted(stage.folder)) == count + 50)
    return percentile(noted(stage.folder)[50:], 0.99) * 1e3


def beside_scheduled(size: Size) -> Pair:
    """The drain on an empty table, and on one with jobs that wait for a time."""
    waiting, count = size.jobs(1_000_000), size.jobs(100_000)
    with ExitStack() as stack:
        fresh = new_url("postgresql", stack)
        full = fresh()
        _schedule(full, waiting)
        pair = Pair([], [])
        for _ in range(size.rounds):
            pair.base.append(backburner_drain(fresh(), count, 2))
            pair.ours.append(backburner_drain(full, count, 2))
    return pair


def by_processes(processes: int, size: Size) -> Pair:
    """The drain by two processes, and by so many."""
    count = size.jobs(100_000)
    with ExitStack() as stack:
        fresh = new_url("postgresql", stack)
        pair = Pair([], [])
        for _ in range(size.rounds):
            pair.base.append(backburner_drain(fresh(), count, 2))
            pair.ours.append(backburner_drain(fresh(), count, processes))
    return pair


BACKBURNER = next(system for system in SYSTEMS if system.name == "Backburner, postgresql")


@contextmanager
def _stages() -> Iterator[tuple[Callable[[], str], Callable[[], Stage]]]:
    """Fresh databases of one server, and stages on them."""
    with ExitStack() as stack:
        fresh = new_url("postgresql", stack)

        def stage() -> Stage:
            made = Stage(BACKBURNER, fresh(), Path(stack.enter_context(tempfile.TemporaryDirectory())))
            made.ask("setup")
            return made

        yield fresh, stage


class Asked:
    """The tasks of `benchmarks/peers/backburner_app.py`, for who only enqueues them."""

    def __init__(self, jobs: Backburner) -> None:
        self.jobs = jobs

        @jobs.task(name="noop")
        def noop(number: int) -> None: ...

        @jobs.task(name="short")
        def short(sent: float) -> None: ...

        @jobs.task(name="long")
        def long(seconds: float) -> None: ...

        self.noop, self.short, self.long = noop, short, long


@contextmanager
def _asking(url: str) -> Iterator[Asked]:
    jobs = Backburner(url)
    try:
        yield Asked(jobs)
    finally:
        jobs.close()


@contextmanager
def _load(url: str, rate: float) -> Iterator[None]:
    """So many jobs per second that do nothing, in blocks."""
    over = threading.Event()

    def add() -> None:
        block = [(n,) for n in range(max(1, int(rate * BLOCK_SECONDS)))]
        with _asking(url) as tasks:
            due = time.perf_counter()
            while not over.is_set():
                tasks.jobs.enqueue_many(tasks.noop, block)
                due += BLOCK_SECONDS
                over.wait(max(0.0, due - time.perf_counter()))

    thread = threading.Thread(target=add)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _schedule(url: str, count: int) -> None:
    store, ids = Store(url, auto_migrate=True), Ids()
    store.ready()
    now = store.clock.now()
    later = now + timedelta(days=365)
    for start in range(0, count, 5_000):
        store.jobs.insert(
            [
                NewJob(job_id, "noop", f'{{"number":{number}}}', "json", "default", 50, later, now)
                for number, job_id in enumerate(ids.many(min(5_000, count - start)))
            ]
        )
    store.close()


def _until(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not what():
        if time.monotonic() > until:
            raise RuntimeError("short jobs did not end within 120 s")
        time.sleep(0.01)
