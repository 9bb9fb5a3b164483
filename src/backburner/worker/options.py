"""What a worker is told when it starts."""

from __future__ import annotations

import json
from dataclasses import dataclass

from backburner.errors import InvalidOption


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How a worker works. Times are seconds, memory is bytes of one process.

    `queues` empty means every queue. They take turns, those with more of `weights` (one per queue, 1 where none is
    said) more often; with `strict` an earlier one always goes first. `priorities` are the lowest and highest
    number it takes, None means all. `concurrency` is the number of jobs one process runs at the same time.
    `max_jobs`, `max_memory` and `max_time` end a process between jobs; its supervisor starts another.
    `burst` ends the worker when nothing is ready any more. `budget` is how many seconds after its start the
    worker, with all processes started again meanwhile, begins no more jobs; those under way may end.
    `only` is the id of the one job that it takes. `shows` draws progress on the terminal.
    """

    queues: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    strict: bool = False
    processes: int = 1
    concurrency: int = 10
    label: str | None = None
    priorities: tuple[int, int] | None = None
    max_jobs: int | None = None
    max_memory: int | None = None
    max_time: float | None = None
    burst: bool = False
    budget: float | None = None
    only: str | None = None
    shows: bool = False
    grace: float = 25.0
    lease: float = 30.0
    beat: float = 5.0
    poll: float = 1.0

    @property
    def queues_text(self) -> str | None:
        """The queues as JSON; None for all."""
        if self.only is not None:
            return "[]"
        return json.dumps(self.queues) if self.queues else None

    @property
    def priority_text(self) -> str | None:
        """The range of priorities as a worker's row keeps it: a JSON list of two; None for all."""
        return None if self.priorities is None else json.dumps(self.priorities)

    def __post_init__(self) -> None:
        positive = ("processes", "concurrency", "max_jobs", "max_memory")
        for name, least in (*((name, 1) for name in positive), ("budget", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InvalidOption(name, value, "is too small", f"Give {least} or more")
        if len(self.weights) > len(self.queues) or any(not 0 < weight < float("inf") for weight in self.weights):
            raise InvalidOption("weights", self.weights, "are no weights of the queues", "One number above 0 for each")
        if self.strict and (self.weights or not self.queues):
            raise InvalidOption(
                "strict", self.strict, "needs an order of queues", "Name the queues, and give no weights"
            )
        if self.priorities is not None and self.priorities[0] > self.priorities[1]:
            raise InvalidOption("priorities", self.priorities, "selects nothing", "The lower number comes first")
        if self.concurrency > 1000:
            raise InvalidOption("concurrency", self.concurrency, "is too large", "Start more processes instead")
        if not 0 < self.beat <= self.lease / 3:
            raise InvalidOption(
                "beat",
                self.beat,
                f"does not fit a lease of {self.lease} s",
                "Give a third of the lease at most",
            )
