"""`Producer`: enqueues jobs of every kind, one at a time, at a steady rate, and writes down what became of each."""

import random
import threading
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError

from backburner import Backburner
from backburner.errors import KeyBusy, StoreUnavailable, TransactionMustRetry
from tests.chaos.history import Recorder

GROUPS = 5
KEYS = (0.041, 0.042, 0.043)
"""Unique jobs are told apart by their arguments: so many keys there are."""
MAY_HAPPEN = (StoreUnavailable, KeyBusy, TransactionMustRetry, DBAPIError)
"""What an enqueue may say instead of storing; then it may have been stored, or not."""


class Producer(threading.Thread):
    """What it does follows from `seed` and `number`; when it does it, from how fast the database is.

    Each has groups of its own, so that the order in which it enqueues is the order in which they stand.
    """

    def __init__(self, jobs: Backburner, recorder: Recorder, number: int, seed: int, rate: float) -> None:
        super().__init__(name=f"producer-{number}", daemon=True)
        self._jobs, self._recorder, self._number = jobs, recorder, number
        self._random = random.Random(f"{seed} {number}")
        self._pause = 1.0 / rate
        self._stopping = threading.Event()
        self._count = 0
        self._engine = create_engine(jobs.store.engine.url)
        self.problem: BaseException | None = None
        self.refused = 0
        self._kinds: Sequence[tuple[float, Callable[[], object]]] = (
            (34, lambda: self._one("plain", "work", self._seconds())),
            (16, lambda: self._one("grouped", "work", self._seconds(), group=self._group())),
            (4, lambda: self._one("transient", "transient", self._seconds(), group=self._group())),
            (8, lambda: self._one("unique", "work", self._random.choice(KEYS), unique="live")),
            (8, lambda: self._one("once", "once", self._seconds())),
            (7, lambda: self._one("delayed", "work", self._seconds(), delay=self._random.uniform(0.1, 2.0))),
            (6, lambda: self._one("async", "asleep", self._seconds())),
            (5, self._chain),
            (5, lambda: self._one("checkpointed", "checkpointed")),
            (4, lambda: self._one("plain", "capped", self._seconds())),
            (3, lambda: self._one("failing", "failing")),
            (3, self._bulk),
            (2, self._in_a_transaction),
            (1, lambda: self._one("isolated", "isolated", self._seconds())),
            (0.3, lambda: self._one("failing", "hungry")),
            (0.3, lambda: self._one("poison", "poison")),
        )

    def run(self) -> None:
        weights, actions = [weight for weight, _ in self._kinds], [action for _, action in self._kinds]
        try:
            while not self._stopping.wait(self._pause):
                try:
                    self._random.choices(actions, weights)[0]()
                except MAY_HAPPEN:
                    self.refused += 1
        except BaseException as error:
            self.problem = error
        finally:
            self._engine.dispose()

    def stop(self) -> None:
        """Enqueue no more."""
        self._stopping.set()
        self.join(60)

    def _one(self, kind: str, task: str, *args: Any, **options: Any) -> str:
        token = self._tried(kind)
        job = self._jobs.registry.require(task).options(title=token, **options).enqueue(*args)
        self._recorder.note("accepted", token=token, job=job.id)
        return job.id

    def _chain(self) -> None:
        first = self._one("plain", "work", self._seconds())
        self._one("after", "work", self._seconds(), after=first)

    def _bulk(self) -> None:
        """Several in one transaction of Backburner's."""
        tokens = [self._tried("bulk") for _ in range(6)]
        work = self._jobs.registry.require("work")
        with self._jobs.bulk() as bulk:
            for token in tokens:
                work.options(title=token, group=self._group()).enqueue(self._seconds())
        for token, job in zip(tokens, bulk.ids, strict=True):
            self._recorder.note("accepted", token=token, job=job)

    def _in_a_transaction(self) -> None:
        """Several in a transaction of the caller's, who may change his mind."""
        tokens = [self._tried("bulk") for _ in range(4)]
        work, group, keeps = self._jobs.registry.require("work"), self._group(), self._random.random() < 0.6
        with self._engine.connect() as connection:
            transaction = connection.begin()
            with self._jobs.transaction(connection):
                made = [work.options(title=token, group=group).enqueue(self._seconds()) for token in tokens]
            if not keeps:
                transaction.rollback()
                for token in tokens:
                    self._recorder.note("rolled back", token=token)
                return
            transaction.commit()
        for token, job in zip(tokens, made, strict=True):
            self._recorder.note("accepted", token=token, job=job.id)

    def _tried(self, kind: str) -> str:
        self._count += 1
        token = f"{kind} {self._number}.{self._count}"
        self._recorder.note("try", token=token)
        return token

    def _group(self) -> str:
        return f"group {self._number}.{self._random.randrange(GROUPS)}"

    def _seconds(self) -> float:
        """Mostly short, now and then long enough to be hit."""
        return round(self._random.choice((0.0, 0.005, 0.02, 0.05, 0.3)), 3)
