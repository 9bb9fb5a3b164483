"""Huey, on SQLite or Redis as the URL says; `BENCH_DURABLE=0` without fsync and without results."""

from __future__ import annotations

import os

from counted import note, tick
from huey import RedisHuey, SqliteHuey

URL = os.environ["BENCH_URL"]
DURABLE = os.environ.get("BENCH_DURABLE", "1") == "1"
huey = (
    RedisHuey("bench", url=URL, results=DURABLE)
    if URL.startswith("redis")
    else SqliteHuey("bench", filename=URL.removeprefix("sqlite:///"), fsync=DURABLE, results=DURABLE)
)


@huey.task()
def noop(number: int) -> None:
    """Count."""
    tick()


@huey.task()
def stamp(sent: float) -> None:
    """Note."""
    note(sent)


class Asking:
    """It has no way to enqueue many at once but a loop."""

    def setup(self) -> None:
        return

    def one(self, count: int) -> None:
        for number in range(count):
            noop(number)

    bulk = one

    def stamp(self, sent: float) -> None:
        stamp(sent)
