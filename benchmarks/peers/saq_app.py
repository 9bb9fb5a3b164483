"""SAQ on PostgreSQL or Redis, as the URL says."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any

from counted import note, tick
from saq import Queue

BATCH = 1000


async def noop(context: dict[str, Any], *, number: int) -> None:
    """Count."""
    tick()


async def stamp(context: dict[str, Any], *, sent: float) -> None:
    """Note."""
    note(sent)


queue = Queue.from_url(os.environ["BENCH_URL"])
settings = {
    "queue": queue,
    "functions": [noop, stamp],
    "concurrency": int(os.environ.get("BENCH_CONCURRENCY", "10")),
}


class Asking:
    """On one loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._run(queue.connect())

    def setup(self) -> None:
        return

    def one(self, count: int) -> None:
        async def ask() -> None:
            for number in range(count):
                await queue.enqueue("noop", number=number)

        self._run(ask())

    def bulk(self, count: int) -> None:
        async def ask() -> None:
            for start in range(0, count, BATCH):
                size = min(BATCH, count - start)
                await asyncio.gather(*(queue.enqueue("noop", number=number) for number in range(size)))

        self._run(ask())

    def stamp(self, sent: float) -> None:
        self._run(queue.enqueue("stamp", sent=sent))

    def _run(self, work: Coroutine[Any, Any, Any]) -> None:
        self._loop.run_until_complete(work)
