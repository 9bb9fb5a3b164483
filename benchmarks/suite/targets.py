"""P1 to P14: what is measured for each, and what it must reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.suite import own
from benchmarks.suite.results import Pair, Size, median


@dataclass(frozen=True)
class Target:
    """One line of the table. `holds` judges the rounds, mostly by the ratio of ours to the baseline."""

    id: str
    what: str
    unit: str
    base: str
    run: Callable[[Size], Pair]
    target: str
    holds: Callable[[Pair], bool]
    long: bool = False

    def verdict(self, pair: Pair) -> str:
        """`holds`, or that it does not."""
        return "holds" if self.holds(pair) else "**does not hold**"


def _least(share: float) -> Callable[[Pair], bool]:
    return lambda pair: median(pair.ratios) >= share


def _most(share: float) -> Callable[[Pair], bool]:
    return lambda pair: median(pair.ratios) <= share


def _below(figure: float) -> Callable[[Pair], bool]:
    return lambda pair: median(pair.ours) <= figure


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
        for database, name in (("postgresql", "PostgreSQL"), ("sqlite", "SQLite"), ("mariadb", "MariaDB"))
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
            "P8", f"drain, {name}, with 1,000,000 finished jobs", "jobs/s", "empty table",
            partial(own.flat, database),
            "at least 0.9 of the empty table", _least(0.9), long=True,
        )
        for database, name in (("postgresql", "PostgreSQL"), ("sqlite", "SQLite"))
    ),
    Target(
        "P10", "`track()` in a job, per item", "ns", "tqdm", own.tracking, "at most 1.5 of tqdm", _most(1.5),
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
