"""Dramatiq on RabbitMQ; its publisher asks for no confirms unless told, so neither does this."""

from __future__ import annotations

import os

import dramatiq
from counted import note, tick
from dramatiq.brokers.rabbitmq import RabbitmqBroker

broker = RabbitmqBroker(url=os.environ["BENCH_URL"].rstrip("/"))
dramatiq.set_broker(broker)


@dramatiq.actor(actor_name="noop")
def noop(number: int) -> None:
    """Count."""
    tick()


@dramatiq.actor(actor_name="stamp")
def stamp(sent: float) -> None:
    """Note."""
    note(sent)


class Asking:
    """Message by message."""

    def setup(self) -> None:
        return

    def one(self, count: int) -> None:
        for number in range(count):
            noop.send(number)

    bulk = one

    def stamp(self, sent: float) -> None:
        stamp.send(sent)
