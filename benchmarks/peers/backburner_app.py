"""Backburner on SQLite, PostgreSQL or MariaDB, with its default settings."""

from __future__ import annotations

import os
import time

from counted import note, tick

from backburner import Backburner

jobs = Backburner(os.environ["BENCH_URL"])
BATCH = 1000


@jobs.task(name="noop")
def noop(number: int) -> None:
    """Count."""
    tick()


@jobs.task(name="stamp")
def stamp(sent: float) -> None:
    """Note."""
    note(sent)


@jobs.task(name="short")
def short(sent: float) -> None:
    """Note, and take 10 ms."""
    note(sent)
    time.sleep(0.01)


@jobs.task(name="long")
def long(seconds: float) -> None:
    """Take as long as said."""
    time.sleep(seconds)


class Asking:
    """As an app does it."""

    def setup(self) -> None:
        jobs.store.migrate()

    def one(self, count: int) -> None:
        for number in range(count):
            noop.enqueue(number)

    def bulk(self, count: int) -> None:
        for start in range(0, count, BATCH):
            jobs.enqueue_many(noop, [(number,) for number in range(min(BATCH, count - start))])

    def stamp(self, sent: float) -> None:
        stamp.enqueue(sent)
