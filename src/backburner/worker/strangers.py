"""Jobs of tasks that this worker does not know: left to a worker that does, or held when there is none."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from backburner.clock import boot_seconds
from backburner.job import ClaimedJob
from backburner.outcome import Settlement
from backburner.registry import Registry
from backburner.store.store import Store
from backburner.worker import verdict

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""How often a worker looks whether somebody is still there who knows what it leaves alone."""


class Strangers:
    """`introduce` and `refused` for the claimer's thread, `meet` for any."""

    def __init__(self, store: Store, registry: Registry, worker: Callable[[], str]) -> None:
        self._store, self._registry, self._worker = store, registry, worker
        self._refused: dict[tuple[str, str], float] = {}
        self._introduced: tuple[str, tuple[str, ...]] | None = None
        self._guard = threading.Lock()

    def introduce(self) -> None:
        """Tell the others what this worker knows, before it claims anything."""
        who = self._worker(), self._registry.runnable()
        if who != self._introduced:
            self._store.workers.introduce(*who)
            self._introduced = who

    def meet(self, job: ClaimedJob) -> Settlement:
        """What becomes of a job of an unknown task: back in line for who knows it, else held for a person."""
        with self._guard:
            # One look for all the jobs of that name that came with one claim.
            if (job.task, job.queue) in self._refused or self._somebody_knows(job.task, job.queue):
                return verdict.released(job)
        return verdict.unknown_task(job)

    def refused(self, queue: str) -> list[str]:
        """Tasks whose jobs in this queue are not to be claimed: others know them."""
        if not self._refused:
            return []
        now = boot_seconds()
        with self._guard:
            for (task, where), looked_at in list(self._refused.items()):
                # When nobody is left who knows it, it is taken again, and then held where people see it.
                if now - looked_at >= LOOK_SECONDS and not self._somebody_knows(task, where):
                    del self._refused[task, where]
            return [task for task, where in self._refused if where == queue]

    def _somebody_knows(self, task: str, queue: str) -> bool:
        known = self._store.workers.others_know(self._worker(), task, queue)
        if known:
            if (task, queue) not in self._refused:
                log.info("jobs of task %s in queue %s are left to workers that know it", task, queue)
            self._refused[task, queue] = boot_seconds()
        return known
