"""A worker without threads of its own: it works while a test waits for it, one job after the other."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from backburner.blame import Death
from backburner.blame import Limits as BlameLimits
from backburner.codec import decode_result
from backburner.errors import JobNotFound
from backburner.job import ClaimedJob
from backburner.outcome import Settlement
from backburner.states import JobState
from backburner.store.dialects.base import Life
from backburner.store.workers import WorkerRow
from backburner.testing.deaths import Deaths, PlannedDeath, WatchedExecutor
from backburner.testing.result import JobResult
from backburner.version import VERSION
from backburner.worker.isolation import Isolation
from backburner.worker.options import WorkerOptions
from backburner.worker.page import Page
from backburner.worker.pool import Pool
from backburner.worker.process import WorkerProcess
from backburner.worker.pruner import Pruner
from backburner.worker.rescuer import Rescuer

if TYPE_CHECKING:
    from backburner.backburner import Backburner

_CAUSES = {"crash": "a simulated crash", "interrupt": "a simulated stop"}
_LEFT_OUT = (Pruner, Rescuer)
"""Chores that make nothing ready: a test wants to see what has ended, and those who died here are rescued at once."""
_LEASE = timedelta(days=365_000)
"""Its lease never ends, however far a test moves the clock."""


class WaitingPool(Pool):
    """Starts no threads: what is claimed waits until it is taken back."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.came_back = threading.Event()

    def add(self, jobs: Iterable[ClaimedJob], wake: int) -> int:
        return super().add(jobs, 0)

    def goes_on(self) -> None:
        # The one who steps waits for it: nothing else runs meanwhile.
        return

    def left(self, slot: int) -> None:
        self.came_back.set()


class SteppedWorker(WorkerProcess):
    """Every part is that of a real worker: claims, executor, outcomes, chores. Only the threads are missing, and
    processes for isolated jobs: those run here too. `stepping` is true while the worker itself is at work.
    """

    def __init__(self, jobs: Backburner, queues: Sequence[str], deaths: Deaths, stepping: threading.local) -> None:
        page = Page(2)
        page.lease_until = float("inf")
        super().__init__(
            jobs, WorkerOptions(queues=tuple(queues), concurrency=1), page, jobs.ids.new(), may_exit=False,
            executor=partial(WatchedExecutor, deaths), pool=WaitingPool,
        )  # fmt: skip
        self._deaths, self._stepping = deaths, stepping
        self._life: Life | None = None
        self._end: Settlement | None = None
        self._accepted: set[str] = set()
        self._register()
        self._hooks.start()
        self.bench.reporter.start()

    def run_ready(self) -> Iterator[JobResult]:
        """Run what is ready until nothing is, the results as they come."""
        moved = True
        while moved:
            with self._at_work():
                self._chores.do_all(but=_LEFT_OUT)
            moved = False
            while (job := self._next()) is not None:
                moved = True
                yield self._run(job)

    def become_quiet(self, reason: str) -> None:
        """A worker that ends is replaced by another: here the same goes on."""

    def close(self) -> None:
        """End in good order."""
        with self._at_work():
            self.bench.reporter.close()
            self.finisher.close(0.0)
            self._hooks.end()
            self.bench.executor.close()
            self._claimer.ended(0.0)
            self._store.workers.end(self.id, "stopped")
            if self._life is not None:
                self._life.end()

    def _next(self) -> ClaimedJob | None:
        with self._at_work():
            while True:
                waiting = self.pool.take_back()
                if waiting:
                    self.pool.add(waiting[1:], 0)
                    return waiting[0]
                if not self._claimer.look():
                    return None

    def _run(self, job: ClaimedJob) -> JobResult:
        executor, pool = self.bench.executor, self.pool
        assert isinstance(executor, WatchedExecutor)
        assert isinstance(pool, WaitingPool)
        self._end = None
        pool.came_back.clear()
        # A job that was lost before would ask for a process of its own: there is none.
        if executor.run(job._replace(crashes=0, losses=0), 0):
            pool.came_back.wait()
        error = executor.errors.pop(job.id, None)
        death = self._deaths.met_by(job)
        with self._at_work():
            if death is not None:
                self._die(job, death)
                return JobResult(job.id, job.task, job.attempt, self._state(job), died=death.kind)
            self.finisher.write_all()
            return self._result(job, error)

    def _result(self, job: ClaimedJob, error: BaseException | None) -> JobResult:
        end, task = self._end, self._jobs.registry.get(job.task)
        if end is None or job.id not in self._accepted:
            # It ended with a transaction of its own, or somebody took it over.
            return JobResult(job.id, job.task, job.attempt, self._state(job), error=error)
        value = decode_result(end.result, task.returns if task is not None else None) if end.result else None
        return JobResult(job.id, job.task, job.attempt, end.state, value, error, end.reason)

    def _state(self, job: ClaimedJob) -> JobState:
        try:
            return self._jobs.get(job.id).state
        except JobNotFound:
            # It succeeded and is kept for no time at all.
            return JobState.SUCCEEDED

    def _done(self, job: ClaimedJob, settlement: Settlement | None) -> None:
        self._end = settlement
        super()._done(job, settlement)

    def _grouped(self, batch: Sequence[Settlement]) -> None:
        # The next one of a group is taken by the next step.
        return None

    def _settled(self, batch: Sequence[Settlement], accepted: set[str], taken: list[ClaimedJob]) -> None:
        self._accepted = set(accepted)
        super()._settled(batch, accepted, taken)

    def _isolation(self, limits: BlameLimits) -> Isolation | None:
        return None

    def _die(self, job: ClaimedJob, death: PlannedDeath) -> None:
        """Have the job rescued, as another worker would, and go on as somebody new."""
        kind = death.kind
        self.rescuer.rescue(
            self.id,
            Death(_CAUSES[kind], frozenset({job.id}), crashed=kind == "crash", stopped=kind == "interrupt"),
            certain=True,
        )
        if self._life is not None:
            self._life.end()
        self.abandon(self._jobs.ids.new())
        self._register()

    def _register(self) -> None:
        store = self._store
        self._life, now = store.dialect.hold_life(self.id), store.clock.now()
        store.workers.register(
            WorkerRow(
                self.id, self.id, socket.gethostname(), os.getpid(), "test", None, 1, VERSION, now, now, now + _LEASE
            )
        )

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """While it does its own work: a bell that rings now asks nobody to run jobs."""
        before = getattr(self._stepping, "busy", False)
        self._stepping.busy = True
        try:
            yield
        finally:
            self._stepping.busy = before
