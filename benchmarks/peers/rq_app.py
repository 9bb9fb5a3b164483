"""RQ on Redis."""

from __future__ import annotations

import os
import sys

from redis import Redis
from rq import Queue

BATCH = 1000


class Asking:
    """By name, as its documentation advises, so that the worker imports the functions."""

    def __init__(self) -> None:
        sys.path.insert(0, os.path.dirname(__file__))
        self._queue = Queue("default", connection=Redis.from_url(os.environ["BENCH_URL"]))

    def setup(self) -> None:
        return

    def one(self, count: int) -> None:
        for number in range(count):
            self._queue.enqueue("rq_tasks.noop", number)

    def bulk(self, count: int) -> None:
        for start in range(0, count, BATCH):
            size = min(BATCH, count - start)
            self._queue.enqueue_many([Queue.prepare_data("rq_tasks.noop", (number,)) for number in range(size)])

    def stamp(self, sent: float) -> None:
        self._queue.enqueue("rq_tasks.stamp", sent)
