"""Procrastinate on PostgreSQL."""

from __future__ import annotations

import os

from counted import note, tick
from procrastinate import App, PsycopgConnector

app = App(connector=PsycopgConnector(conninfo=os.environ["BENCH_URL"]))
BATCH = 1000


@app.task(name="noop")
async def noop(number: int) -> None:
    """Count."""
    tick()


@app.task(name="stamp")
async def stamp(sent: float) -> None:
    """Note."""
    note(sent)


class Asking:
    """By its plain calls."""

    def __init__(self) -> None:
        app.open()

    def setup(self) -> None:
        app.schema_manager.apply_schema()

    def one(self, count: int) -> None:
        for number in range(count):
            noop.defer(number=number)

    def bulk(self, count: int) -> None:
        for start in range(0, count, BATCH):
            noop.batch_defer(*({"number": number} for number in range(min(BATCH, count - start))))

    def stamp(self, sent: float) -> None:
        stamp.defer(sent=sent)
