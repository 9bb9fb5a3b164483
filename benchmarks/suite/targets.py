"""P1 to P14: what is measured for each, and what it must reach.

`TARGETS` are measures of Backburner beside a limit of the machine. `COMPARISONS` are read off the systems that are
measured side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.suite import loads, own
from benchmarks.suite.compare import Figures
from benchmarks.suite.results import Pair, Size, median, percentile


@dataclass(frozen=True)
class Target:
    """One line of the table. `holds` judges the rounds, mostly by the ratio of ours to the baseline.

    Without a baseline `base` is empty.
    """

    id: str
    what: str
    unit: str
    base: str
    run: Callable[[Size], Pair]
    target: str
    holds: Callable[[Pair], bool] | None
    long: bool = False
    digits: int = 0
    why: str = ""
    """The reason, where it is known not to hold."""

    def verdict(self, pair: Pair) -> str:
        """`holds`, or that it does not and why; nothing where nothing was asked for."""
        return "" if self.holds is None else _verdict(self.why, holds=self.holds(pair))


def _least(share: float) -> Callable[[Pair], bool]:
    return lambda pair: median(pair.ratios) >= share


def _most(share: float) -> Callable[[Pair], bool]:
    return lambda pair: median(pair.ratios) <= share


def _below(figure: float) -> Callable[[Pair], bool]:
    return lambda pair: median(pair.ours) <= figure


def _verdict(why: str, *, holds: bool) -> str:
    return "holds" if holds else f"**does not hold**: {why}" if why else "**does not hold**"


@dataclass(frozen=True)
class Comparison:
    """One line that two systems decide: Backburner's figure, and that of another one on the same kind of database.

    Ours must be at least `least` times and at most `most` times theirs, and not above `limit`, where they are said.
    """

    id: str
    what: str
    ours: str
    theirs: str
    figure: Callable[[Figures], float | None]
    target: str
    least: float | None = None
    most: float | None = None
    limit: float | None = None
    why: str = ""

    def verdict(self, ours: float, theirs: float) -> str:
        """As that of a `Target`."""
        return _verdict(self.why, holds=self.holds(ours, theirs))

    def holds(self, ours: float, theirs: float) -> bool:
        """Whether these figures reach the target."""
        return (
            (self.least is None or ours >= self.least * theirs)
            and (self.most is None or ours <= self.most * theirs)
            and (self.limit is None or ours <= self.limit)
        )


def _best(found: Figures) -> float | None:
    return median(found.best) if found.best else None


def _one(found: Figures) -> float | None:
    return median(found.one) if found.one else None


def _bulk(found: Figures) -> float | None:
    return median(found.bulk) if found.bulk else None


def _waited(share: float, found: Figures) -> float | None:
    waited = [figure for figures in found.latencies for figure in figures]
    return percentile(waited, share) if waited else None


def _idle_cpu(found: Figures) -> float | None:
    return None if found.idle is None else found.idle.cpu * 100


def _idle_memory(found: Figures) -> float | None:
    return None if found.idle is None else found.idle.megabytes


_DATABASES = (("postgresql", "PostgreSQL"), ("sqlite", "SQLite"), ("mariadb", "MariaDB"))

TARGETS = (
    Target(
        "P1", "drain, PostgreSQL, 2 processes", "jobs/s", "raw loop",
        partial(own.drain, "postgresql", 2), "at least 0.7 of the raw loop", _least(0.7),
    ),
    Target(
        "P1s", "the same, sustained over 1,000,000", "jobs/s", "first fifth",
        partial(own.sustained, "postgresql"), "last fifth at least 0.8 of the first", _least(0.8), long=True,
    ),
    Target(
        "P2", "drain, SQLite, 1 process", "jobs/s", "raw loop",
        partial(own.drain, "sqlite", 1), "at least 0.5 of the raw loop", _least(0.5),
    ),
    Target(
        "P3", "drain, MariaDB, 2 processes", "jobs/s", "raw loop",
        partial(own.drain, "mariadb", 2), "at least 0.6 of the raw loop", _least(0.6),
    ),
    Target(
        "P4", "drain, PostgreSQL and RabbitMQ", "jobs/s", "without broker",
        own.drain_with_broker, "at least 0.8 of P1", _least(0.8),
    ),
    *(
        Target(
            "P5", f"enqueue one at a time, {name}", "jobs/s", "raw INSERT",
            partial(own.enqueue_one, database), "at least 0.75 of the raw INSERT",
            _least(0.75),
        )
        for database, name in _DATABASES
    ),
    Target(
        "P6", "enqueue 1,000 at a time, PostgreSQL", "jobs/s", "raw COPY",
        partial(own.enqueue_bulk, "postgresql"), "at least 0.6 of the raw COPY", _least(0.6),
    ),
    Target(
        "P6", "enqueue 1,000 at a time, SQLite", "jobs/s", "raw executemany",
        partial(own.enqueue_bulk, "sqlite"), "at least 0.6 of executemany", _least(0.6),
    ),
    *(
        Target(
            "P8", f"drain, {name}, with {finished:,} finished jobs", "jobs/s", "empty table",
            partial(own.flat, database, finished), "at least 0.9 of the empty table", _least(0.9), long=True,
        )
        for database, name in (("postgresql", "PostgreSQL"), ("sqlite", "SQLite"))
        for finished in (1_000_000, 10_000_000)
    ),
    Target(
        "P8", "drain, PostgreSQL, with 1,000,000 jobs that wait for a time", "jobs/s", "empty table",
        loads.beside_scheduled, "", None, long=True,
    ),
    *(
        Target(
            "P1", f"drain, PostgreSQL, {processes} processes", "jobs/s", "2 processes",
            partial(loads.by_processes, processes), "", None, long=True,
        )
        for processes in (8, 32)
    ),
    *(
        Target(
            "P7", f"enqueue to start, PostgreSQL, half of its load, {name}", "ms", "idle",
            partial(loads.waits, share), "", None, digits=1,
        )
        for name, share in (("p50", 0.5), ("p99", 0.99))
    ),
    Target(
        "P7", "10 ms jobs, PostgreSQL, 30 s jobs on half of the places, p99", "ms", "without those",
        loads.among_long, "", None, digits=1,
    ),
    *(
        Target(
            "P9", f"drain, {name}, {what}", "jobs/s", "without groups",
            partial(own.with_groups, case, database), f"at least {share:g} of it", _least(share),
        )
        for database, name in _DATABASES
        for case, what, share in (
            ("parked", "beside a group with 100,000 waiting", 0.8),
            ("arrived", "beside 100,000 of a group that no worker has seen", 0.8),
            ("tenth", "one of ten in groups of ten", 0.6),
        )
    ),
    *(
        Target(
            "P9", f"drain, {name}, all in 10,000 groups", "jobs/s", "without groups",
            partial(own.with_groups, "many", database), "", None,
        )
        for database, name in _DATABASES
    ),
    *(
        Target(
            "P9", f"drain, {name}, one group of 10,000", "jobs/s", "raw, a commit each",
            partial(own.with_groups, "row", database), "at least 1,000/s", lambda pair: median(pair.ours) >= 1_000,
            why="no job of a group begins before the end of the one before it is stored: the bare driver's figure is "
            "the limit",
        )
        for database, name in _DATABASES
    ),
    Target(
        "P10", "`track()` in a job, per item", "ns", "tqdm", own.tracking, "at most 1.5 of tqdm", _most(1.5),
    ),
    *(
        Target(
            "P12", f"slowest page, {name}, 1,000,000 finished jobs, p95", "ms", "`/livez`",
            partial(own.slowest_page, database), "at most 100 ms", _below(100), long=True,
        )
        for database, name in _DATABASES
    ),
    *(
        Target(
            "P13", f"200 viewers of 50 jobs, {name}: {what}", unit, "", partial(own.watching, database, figure),
            f"at most {most:g} {unit}", _below(most), digits=digits,
        )
        for database, name in _DATABASES[:2]
        for what, figure, unit, most, digits in (
            ("queries", "queries_per_second", "1/s", 10, 1),
            ("update to page, p95", "age_p95", "s", 1, 2),
        )
    ),
    Target(
        "P14", "`import backburner`", "ms", "bare Python",
        partial(own.started, ("python", "-c", "import backburner")), "at most 150 ms", _below(150),
    ),
    Target(
        "P14", "`backburner --help`", "ms", "bare Python",
        partial(own.started, ("backburner", "--help")), "at most 250 ms", _below(250),
    ),
)  # fmt: skip

_POSTGRESQL, _SQLITE = "Backburner, postgresql", "Backburner, sqlite"
_BELL = "Backburner, postgresql and rabbitmq"

COMPARISONS = (
    *(
        Comparison(number, "drain, best configuration, jobs/s", ours, theirs, _best, f"at least {times:g} x", times)
        for number, ours, theirs, times in (
            ("P1", _POSTGRESQL, "pgqueuer", 1), ("P1", _POSTGRESQL, "Procrastinate", 30),
            ("P2", _SQLITE, "Huey, sqlite", 8), ("P2", _SQLITE, "Huey, sqlite, not durable", 1),
            ("P4", _BELL, "Dramatiq, rabbitmq", 1), ("P4", _BELL, "Celery, rabbitmq", 1),
        )
    ),
    *(
        Comparison("P5", "enqueue one at a time, jobs/s", _POSTGRESQL, theirs, _one, f"at least {times:g} x", times)
        for theirs, times in (("pgqueuer", 1), ("Procrastinate", 2.5))
    ),
    *(
        Comparison("P6", "enqueue in bulk, jobs/s", ours, theirs, _bulk, f"at least {times:g} x", times)
        for ours, theirs, times in ((_POSTGRESQL, "pgqueuer", 1), (_SQLITE, "Huey, sqlite", 10))
    ),
    Comparison(
        "P7", "enqueue to start, p50, ms", _POSTGRESQL, "pgqueuer", partial(_waited, 0.5),
        "at most 1.8 ms and 0.5 x", most=0.5, limit=1.8,
    ),
    Comparison(
        "P7", "enqueue to start, p99, ms", _POSTGRESQL, "pgqueuer", partial(_waited, 0.99), "at most 6 ms", limit=6
    ),
    Comparison(
        "P7", "enqueue to start, p50, ms", _SQLITE, "Huey, sqlite", partial(_waited, 0.5), "at most 3 ms", limit=3
    ),
    Comparison(
        "P7", "enqueue to start, p99, ms", _SQLITE, "Huey, sqlite", partial(_waited, 0.99), "at most 10 ms", limit=10
    ),
    Comparison("P7", "idle, % of a core", _SQLITE, "Huey, sqlite", _idle_cpu, "at most 2 %", limit=2),
    Comparison("P11", "idle, % of a core", _POSTGRESQL, "pgqueuer", _idle_cpu, "at most 1 %", limit=1),
    Comparison("P11", "idle, MB (PSS), whole tree", _POSTGRESQL, "pgqueuer", _idle_memory, "at most 90 MB", limit=90),
)  # fmt: skip
