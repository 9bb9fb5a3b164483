"""Celery on RabbitMQ or Redis; `BENCH_DURABLE=0` with messages that RabbitMQ keeps in memory only."""

from __future__ import annotations

import os

from celery import Celery
from counted import note, tick

DURABLE = os.environ.get("BENCH_DURABLE", "1") == "1"
app = Celery("bench", broker=os.environ["BENCH_URL"])
app.conf.task_ignore_result = True
app.conf.broker_connection_retry_on_startup = True
app.conf.worker_prefetch_multiplier = int(os.environ.get("BENCH_PREFETCH", "4"))
app.conf.task_default_delivery_mode = "persistent" if DURABLE else "transient"


@app.task(name="noop")
def noop(number: int) -> None:
    """Count."""
    tick()


@app.task(name="stamp")
def stamp(sent: float) -> None:
    """Note."""
    note(sent)


class Asking:
    """On one producer, as its documentation advises for many."""

    def __init__(self) -> None:
        self._producer = app.amqp.Producer(app.connection_for_write())

    def setup(self) -> None:
        return

    def one(self, count: int) -> None:
        for number in range(count):
            noop.delay(number)

    def bulk(self, count: int) -> None:
        for number in range(count):
            noop.apply_async((number,), producer=self._producer)

    def stamp(self, sent: float) -> None:
        stamp.delay(sent)
