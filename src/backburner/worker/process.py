"""One worker process: its parts, their wiring, and how it ends."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from backburner.blame import Limits
from backburner.clock import boot_seconds
from backburner.job import ClaimedJob
from backburner.outcome import Settlement
from backburner.spec import spec_of
from backburner.states import JobState
from backburner.store.dialects.base import HandOver
from backburner.worker import verdict
from backburner.worker.bench import Bench
from backburner.worker.bookkeeper import Bookkeeper
from backburner.worker.chores import Chores
from backburner.worker.claimer import Claimer
from backburner.worker.deaf import Deaf
from backburner.worker.executor import Executor
from backburner.worker.finisher import Finisher
from backburner.worker.held import Held
from backburner.worker.hooked import ProcessHooks
from backburner.worker.isolation import Isolation
from backburner.worker.joiner import Joiner
from backburner.worker.lines import GroupKeeper, Lines
from backburner.worker.options import WorkerOptions
from backburner.worker.page import Page
from backburner.worker.pool import Pool
from backburner.worker.promoter import Expirer, Launches, Promoter, Unholder
from backburner.worker.pruner import Pruner
from backburner.worker.records import resident_bytes
from backburner.worker.reporter import Running
from backburner.worker.rescuer import Rescuer
from backburner.worker.scheduler import Scheduler
from backburner.worker.single import SingleClaimer
from backburner.worker.strangers import Strangers

if TYPE_CHECKING:
    from backburner.backburner import Backburner

log = logging.getLogger(__name__)

HUNG_SECONDS = 20.0
"""A database call that takes longer is cut off: the lease would be over before it came back."""
STOP_GRACE = 10.0
"""How long a job that was told to stop may take to notice, before it is ended or written off."""


class WorkerProcess:
    """Claims, runs and settles jobs as `worker_id`, under the lease that its page shows."""

    def __init__(
        self, jobs: Backburner, options: WorkerOptions, page: Page, worker_id: str, *, may_exit: bool,
        executor: Callable[..., Executor] = Executor, pool: Callable[..., Pool] = Pool,
    ) -> None:  # fmt: skip
        self.id, self.page, self.options = worker_id, page, options
        self._jobs, self._store = jobs, jobs.store
        self._started = boot_seconds()
        self._quiet: str | None = None
        self.over = False
        """True when this worker is not to be replaced: with `burst` and `budget`, when their end has come."""
        self._ended_jobs = 0
        self._ended_at = 0.0
        self.woken = threading.Event()
        limits = Limits(jobs.settings.max_crashes, jobs.settings.max_losses)
        self._strangers = Strangers(self._store, jobs.registry, self._my_id)
        self.bench = Bench(
            jobs, page, self._my_id, isolation=self._isolation(limits), done=self._done, deaf=self._on_deaf,
            left=lambda slot: self.pool.left(slot), goes_on=lambda: self.pool.goes_on(),  # noqa: PLW0108 (made below)
            stop_worker=self.become_quiet, begin=self._begin, stranger=self._strangers.meet, stop_grace=STOP_GRACE,
            executor=executor,
        )  # fmt: skip
        self.bench.executor.shows = options.shows
        self._hooks = ProcessHooks.of(jobs, worker_id, self.bench.executor.loop, isolated=False)
        self._ear = jobs.bell.ear(options.queues, options.priorities)
        self._held = Held(self._ear.ring)
        self.pool = pool(options.concurrency, self.bench.executor.run, self._may_claim, self._ear.ring)
        self.finisher = Finisher(
            self._store, self._my_id, lambda: self.pool.waiting > 0, self._grouped, self._held.add, self._settled,
            jobs.seams,
        )  # fmt: skip
        self._deaf = Deaf(self.bench, self.pool, self.finisher, may_exit=may_exit, become_quiet=self.become_quiet)
        self._joiner = Joiner(self._store, jobs.bell, options.poll)
        self._lines = Lines(self._store, jobs.bell, jobs.registry, options, jobs.seams)
        self._claimer = self._claims()
        self.rescuer = Rescuer(self._store, jobs.bell, self._my_id, page, limits, options.lease, jobs.seams)
        self._chores = Chores(
            [
                Promoter(self._store, jobs.bell, options.poll, jobs.seams),
                Scheduler(self._store, jobs.bell, jobs.ids.new, jobs.schedules, options.poll),
                Expirer(self._store, jobs.bell),
                Launches(self._store, jobs.bell),
                Unholder(self._store, jobs.bell, lambda: list(jobs.registry.runnable())),
                self.rescuer,
                GroupKeeper(self._store, jobs.bell),
                self._joiner,
                Pruner(self._store, jobs.files, jobs.settings, at_end=options.burst and options.only is None),
                Bookkeeper(self._store, self.bench.executor.ledger, self._my_id),
            ]
        )

    def _claims(self) -> Claimer | SingleClaimer:
        if self.options.only is not None:
            return SingleClaimer(
                self._store, self.options.only, self._my_id, self.pool, self._jobs.registry, self._may_claim,
                self._held.add, self._recover,
            )  # fmt: skip
        return Claimer(
            self._store, self.options, self._my_id, self.pool, self._ear, self.bench.executor.short_tasks,
            self._to_wake, self._may_claim, self._held.add, self._recover, self._give_back, self._lines,
            self._strangers, self._bring_due, self._held.room_for_lone, self._jobs.seams,
        )  # fmt: skip

    def prepare(self) -> None:
        """Let hooks know that this process will take jobs. Raises what they raise."""
        self._hooks.start()

    def start(self) -> None:
        """Start every part. Raises `StoreError`."""
        if self.options.burst and self.options.only is None:
            # It may have ended before the chores come to it: what they make ready is ready, too.
            self._chores.do_all(but=(Pruner, Bookkeeper))
        self.finisher.start()
        self.bench.reporter.start()
        self._chores.start()
        self._claimer.start()

    def discard(self) -> None:
        """Let go of what it was made with: it is not going to be started, or could not be."""
        self._claimer.stop()
        self._claimer.ended(0.0)
        self.finisher.close(0.0)
        self.pool.close()
        self._hooks.end()
        self.bench.executor.close()

    def may_start(self) -> bool:
        """True while the lease is proven and there is room for outcomes: else no body begins."""
        return self.page.lease_until > boot_seconds() and not self.finisher.full

    def become_quiet(self, reason: str) -> None:
        """Claim nothing more, and end when what runs has ended."""
        if self._quiet is None:
            self._quiet = reason
            self.woken.set()

    @property
    def quiet(self) -> str | None:
        """Why nothing more is claimed; None while all is normal."""
        return self._quiet

    def look_around(self) -> None:
        """Called about ten times a second by the thread that owns this worker: limits, hangs, nothing left."""
        options, now = self.options, boot_seconds()
        self._store.abandon_overdue(HUNG_SECONDS)
        if options.max_time is not None and now - self._started >= options.max_time:
            self.become_quiet(f"it has run for {options.max_time:g} s")
        if options.max_memory is not None and (resident_bytes() or 0) > options.max_memory:
            self.become_quiet("it uses too much memory")
        if options.budget is not None and now - self._started >= options.budget:
            self.over = True
            self.become_quiet(f"its budget of {options.budget:g} s is spent")
        if options.burst and self._nothing_left:
            self.over = True
            self.become_quiet("nothing is ready any more")

    @property
    def _nothing_left(self) -> bool:
        """True when a look that began after the last end found nothing: what ended may have left more to do."""
        return self._claimer.nothing_at > self._ended_at and self.pool.idle and self.finisher.empty

    @property
    def guarded_past_lease(self) -> bool:
        """True when a body that must not outlive the lease runs without one, and somebody may take it over."""
        if self.page.lease_until >= boot_seconds() or not any(one.guarded for one in self.page.begun()):
            return False
        # Where a lock shows that this worker lives, nobody takes anything.
        return self._store.dialect.proof_of_death(self.id) is not False

    def wind_down(self, grace: float, wait: Callable[[float], None]) -> bool:
        """Give back what has not begun, wait for what runs; True when everything ended in time.

        `wait(seconds)` pauses the calling thread and may raise to stop at once.
        """
        until = boot_seconds() + grace
        self._claimer.stop()
        # Always by way of `wait`: it cuts off calls that hang.
        while not self._claimer.ended(0.02) and boot_seconds() < until:
            wait(0.0)
        self._give_back(self.pool.take_back())
        while not self.pool.idle and boot_seconds() < until:
            if self._deaf.left_alone():
                self._deaf.settle()
                written = self.finisher.close(10.0)
                self._chores.close()
                return written
            wait(0.02)
        ended = self.pool.idle
        self.bench.reporter.close()
        until = max(until, boot_seconds() + 2.0)
        while not self.finisher.empty and boot_seconds() < until:
            wait(0.02)
        self.finisher.close(0.0)
        # Behind the last end: what has been counted is written now.
        self._chores.close()
        self.pool.close()
        self._hooks.end()
        self.bench.executor.close()
        return ended

    def abandon(self, new_id: str) -> None:
        """Others marked this worker dead: nothing it holds is its own any more; go on under a new id."""
        self.pool.take_back()
        self._held.clear()
        self.id = new_id

    def _my_id(self) -> str:
        return self.id

    def _isolation(self, limits: Limits) -> Isolation | None:
        app = self._jobs.app or spec_of(self._jobs, (task.function.__module__ for task in self._jobs.registry))
        if app is None:
            log.warning("jobs that ask for a process of their own run in threads: the app has no importable name")
            return None
        return Isolation(app, self._my_id, limits, self._store.clock, socket.gethostname(), STOP_GRACE)

    def _may_claim(self) -> bool:
        return self._quiet is None and not self.page.resting and self.may_start()

    def _bring_due(self) -> bool:
        """Before it is said that nothing is left, with `burst`: whether something has become due meanwhile."""
        if self.options.burst and (queues := self._store.upkeep.promote()):
            self._jobs.bell.ring(queues)
            return True
        return False

    def _to_wake(self, jobs: list[ClaimedJob]) -> int:
        """One thread per job, but for a run of tiny ones: there a single thread is faster than many."""
        tiny = set(filter(self.bench.executor.is_tiny, {job.task for job in jobs}))
        return max(1, sum(job.task not in tiny for job in jobs))

    def _begin(self, job: ClaimedJob) -> bool:
        return self._store.claims.begin(job)

    def _done(self, job: ClaimedJob, settlement: Settlement | None) -> None:
        self._ended_jobs += 1
        if self.options.max_jobs is not None and self._ended_jobs >= self.options.max_jobs:
            # At once, not at the next look around: tiny jobs come by the hundred until then.
            self.become_quiet(f"{self._ended_jobs} jobs are done")
        if settlement is None:
            self._held.let_go(job.id, job.attempt)
            self._look_again()
        else:
            if job.group_name is not None:
                # Else the claimer would fill the place, and the next of the group wait behind that while it holds it.
                self.pool.reserve(job.id)
            self.finisher.add(settlement)

    def _grouped(self, batch: Sequence[Settlement]) -> tuple[dict[str, str], HandOver] | None:
        # What is given back is for others to take.
        held = [(end.id, self._held.get(end.id)) for end in batch if end.state is not JobState.QUEUED]
        groups = {job_id: job.group_name for job_id, job in held if job is not None and job.group_name is not None}
        if not groups or not self._may_claim():
            return None
        # What was claimed ahead begins in a kept place, too: behind it only what is short may wait and hold its group.
        only = self.bench.executor.short_tasks() if self.pool.unused < len(groups) else None
        return groups, self._lines.hand_over(self.id, set(groups.values()), only, full=self.pool.free == 0)

    def _settled(self, batch: Sequence[Settlement], accepted: set[str], taken: list[ClaimedJob]) -> None:
        ready = dropped = False
        self.bench.executor.ledger.settled(batch, accepted)
        self._go_on(batch, accepted, taken)
        self._join(batch, accepted)
        for settlement in batch:
            self._held.let_go(settlement.id, settlement.attempt)
            ready = ready or settlement.state is JobState.QUEUED or settlement.notice is not None
            dropped = dropped or settlement.keep_until is not None
        self._look_again()
        if ready:
            self._jobs.bell.ring(())
        if dropped:
            # What is kept for no time at all goes at once.
            self._store.upkeep.prune_kept()

    def _go_on(self, batch: Sequence[Settlement], accepted: set[str], taken: list[ClaimedJob]) -> None:
        """Let the groups of what ended go on. What fails here is made good by the keeper of groups."""
        # A thread each: a slow one among tiny ones must not have the next of other groups wait beside free places.
        woken = self.pool.add(taken, len(taken)) if taken else 0
        self._lines.took(taken)
        if self.pool.unreserve(end.id for end in batch) > len(taken) or woken < len(taken):
            # Who rests sees neither the free place, nor that something waits for one.
            self._ear.ring()
        going = {None, *(job.group_name for job in taken)}
        held = [(self._held.get(end.id), end) for end in batch if end.id in accepted]
        left = [(job, end) for job, end in held if job is not None and job.group_name not in going]
        try:
            self._lines.follow(left)
        except Exception:
            log.exception("groups of %d ended jobs go on a little later", len(left))

    def _join(self, batch: Sequence[Settlement], accepted: set[str]) -> None:
        """Let go on what comes after what ended. What fails here is made good by the joiner's sweep."""
        try:
            self._joiner.follow(batch, accepted)
        except Exception:
            log.exception("what comes after %d ended jobs goes on a little later", len(batch))

    def _look_again(self) -> None:
        self._ended_at = boot_seconds()
        if self.options.burst and self.pool.idle:
            self._ear.ring()

    def _give_back(self, jobs: list[ClaimedJob]) -> None:
        for job in jobs:
            self.finisher.add(verdict.released(job))

    def _recover(self) -> None:
        """After a claim whose answer was lost: what we own and do not hold goes back."""
        with self.finisher.taking:
            held = self._held.ids()
            for job_id, position, attempt in self._store.claims.owned(self.id):
                if job_id not in held and job_id not in self._held:
                    self.finisher.add(Settlement(job_id, position, attempt, JobState.QUEUED))

    def _on_deaf(self, running: Running) -> None:
        self._deaf.add(running)
