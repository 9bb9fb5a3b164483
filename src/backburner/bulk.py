"""`Bulk`: many jobs, stored together."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from types import MappingProxyType

from backburner.block import STATEMENT_ROWS, Block, Destination
from backburner.job import NewJob

_NONE: Mapping[str, str] = MappingProxyType({})


class Bulk:
    """A `with` block whose jobs are stored together when it ends, and not at all when it raises.

    They go to `outer`. `connection` is the transaction that is open around it, if there is one: what is enqueued in
    another one that begins inside goes with that. `named` says that `outer` is one which a block has named.
    """

    def __init__(
        self, current: ContextVar[Block | None], outer: Destination, size: int, connection: object | None, *,
        named: bool,
    ) -> None:  # fmt: skip
        self._current, self._outer, self._size = current, outer, size
        self._block = Block(self, connection, named=named)
        self._lock, self._closed = threading.Lock(), False
        self._jobs: list[NewJob] = []
        self._instead: Mapping[str, str] = _NONE

    def put(self, jobs: Sequence[NewJob], size: int = STATEMENT_ROWS) -> Mapping[str, str]:
        with self._lock:
            if not self._closed:
                self._jobs.extend(jobs)
                # Who has a key is known when the block ends.
                return _NONE
        # It ended since the other thread looked.
        return self._outer.put(jobs, size)

    def __enter__(self) -> Bulk:
        """Collect what is enqueued from here on, in this thread or asyncio task."""
        self._block.enter(self._current)
        self._jobs, self._closed = [], False
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        """Store it all, in one transaction, unless the block raised."""
        self._block.leave(self._current)
        with self._lock:
            self._closed = True
        if kind is not None:
            self._jobs.clear()
        elif self._jobs:
            self._instead = self._outer.put(self._jobs, self._size)

    @property
    def ids(self) -> list[str]:
        """The ids of what was enqueued in the block so far; after it, those of equal jobs that stand for them."""
        return [self.id_of(job.id) for job in self._jobs]

    @property
    def queue(self) -> str | None:
        """The queue of all that was enqueued in the block; None where there are several, or nothing."""
        queues = {job.queue for job in self._jobs}
        return queues.pop() if len(queues) == 1 else None

    def id_of(self, job_id: str) -> str:
        """The id of the job that stands for one of this block."""
        found = self._instead.get(job_id, job_id)
        return self._outer.id_of(found) if isinstance(self._outer, Bulk) else found
