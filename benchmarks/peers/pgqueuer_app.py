"""pgqueuer on PostgreSQL."""

from __future__ import annotations

import asyncio
import os

import asyncpg
import uvloop
from counted import note, tick
from pgqueuer import AsyncpgDriver, PgQueuer, Queries
from pgqueuer.models import Job

BATCH = 1000
"""As its own benchmark enqueues in bulk."""


async def consumer() -> PgQueuer:
    """Both entry points; it runs until it is told to stop."""
    made = PgQueuer(AsyncpgDriver(await asyncpg.connect(os.environ["BENCH_URL"])))

    @made.entrypoint("noop")
    async def noop(job: Job) -> None:
        tick()

    @made.entrypoint("stamp")
    async def stamp(job: Job) -> None:
        note(float(job.payload or b"0"))

    return made


class Asking:
    """Its queries, on one connection."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        asyncio.set_event_loop(self._loop)
        connection = self._loop.run_until_complete(asyncpg.connect(os.environ["BENCH_URL"]))
        self._queries = Queries(AsyncpgDriver(connection))

    def setup(self) -> None:
        self._loop.run_until_complete(self._queries.install())

    def one(self, count: int) -> None:
        async def ask() -> None:
            for number in range(count):
                await self._queries.enqueue("noop", b"%d" % number)

        self._loop.run_until_complete(ask())

    def bulk(self, count: int) -> None:
        async def ask() -> None:
            for start in range(0, count, BATCH):
                size = min(BATCH, count - start)
                await self._queries.enqueue(["noop"] * size, [b"%d" % n for n in range(size)], [0] * size)

        self._loop.run_until_complete(ask())

    def stamp(self, sent: float) -> None:
        self._loop.run_until_complete(self._queries.enqueue("stamp", str(sent).encode()))
