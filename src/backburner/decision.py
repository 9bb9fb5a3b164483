"""`Decision`: whether a call ran at once or was enqueued, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from backburner.job import Job

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Decision(Generic[R]):
    """What `task.enqueue_if` did: `job` when it was enqueued, else what the task returned, in `value`."""

    job: Job | None = None
    value: R | None = None

    @property
    def enqueued(self) -> bool:
        """Whether a worker does it; else it is done."""
        return self.job is not None
