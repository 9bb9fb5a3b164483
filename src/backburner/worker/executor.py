"""Runs one job: in this thread, on the loop, or in a process of its own, and says how it ended."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from contextvars import copy_context
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from backburner.captured import read as read_context
from backburner.clock import boot_seconds
from backburner.codec import CODEC, encode_result
from backburner.console import ConsoleBar
from backburner.context import JobContext
from backburner.hooks import Attempt
from backburner.job import ClaimedJob
from backburner.outcome import Settlement, StopWorker
from backburner.progress import printable
from backburner.seal import checking
from backburner.states import JobState
from backburner.store.upkeep import EXPIRED
from backburner.task import RunOptions, Task
from backburner.worker import verdict
from backburner.worker.beginning import Beginning, alone
from backburner.worker.hooked import Hooked
from backburner.worker.ledger import Ledger
from backburner.worker.loop import Loop
from backburner.worker.pace import Pace
from backburner.worker.page import Page
from backburner.worker.records import recorded, resident_bytes
from backburner.worker.reporter import Reporter, Running
from backburner.worker.surroundings import surroundings

if TYPE_CHECKING:
    from backburner.backburner import Backburner
    from backburner.worker.isolation import Isolation

log = logging.getLogger(__name__)

LONG_SECONDS = 1.0
"""A success that took longer leaves an attempt record; a shorter one lives on the job's row alone."""


class Executor:
    """What the pool's threads call. `done(job, settlement)` takes every end; None when there is nothing to write."""

    def __init__(
        self,
        jobs: Backburner,
        page: Page,
        reporter: Reporter,
        worker: Callable[[], str],
        isolation: Isolation | None,
        begin: Callable[[ClaimedJob], bool],
        done: Callable[[ClaimedJob, Settlement | None], None],
        left: Callable[[int], None],
        goes_on: Callable[[], None],
        stop_worker: Callable[[str], None],
        stranger: Callable[[ClaimedJob], Settlement],
    ) -> None:
        self._registry, self._settings, self._clock = jobs.registry, jobs.settings, jobs.store.clock
        self._hooks, self._worker = jobs.hooks, worker
        self._changed = checking(jobs.settings)
        self._seams, self._notifiers, self._captured = jobs.seams, jobs.notifiers, jobs.captured
        self._page, self._reporter, self._isolation = page, reporter, isolation
        self._done, self._stop_worker = done, stop_worker
        self._beginning = Beginning(page, isolation is not None, begin)
        self._left, self._goes_on = left, goes_on
        self._stranger = stranger
        self.shows = False
        """Whether progress is drawn on the terminal as well."""
        self._away_slots = list(range(page.slots - 1, page.slots // 2 - 1, -1))
        self.loop = Loop(len(self._away_slots))
        self.paces: dict[str, Pace] = {}
        self.ledger = Ledger(self._clock)

    def short_tasks(self) -> list[str]:
        """Tasks whose jobs may be claimed ahead of a free slot."""
        return [name for name, pace in list(self.paces.items()) if pace.short]

    def is_tiny(self, name: str) -> bool:
        """True for tasks so short that one thread should run many in a row."""
        pace = self.paces.get(name)
        return pace is not None and pace.tiny

    def run(self, job: ClaimedJob, slot: int) -> bool:
        """Run a job in this thread; True when it goes on on the loop."""
        try:
            task = self._registry.get(job.task)
            if task is None:
                self._done(job, self._stranger(job))
                return False
            if job.expires_at is not None and job.expires_at <= self._clock.now():
                self._done(job, Settlement(job.id, job.position, job.attempt, JobState.SKIPPED, reason=EXPIRED))
                return False
            if (problem := self._changed(job)) is not None:
                self._done(job, verdict.changed(job, problem))
                return False
            try:
                options = task.run_options(job.options)
                args, kwargs = task.load(job)
                read_context(job.context)
            except Exception as error:  # noqa: BLE001 (whatever a damaged row makes of it)
                self._done(job, verdict.damaged(job, error))
                return False
            if not self._beginning.apart(job, options) and not self._beginning.is_ours(job):
                self._done(job, None)
                return False
            return self._start(job, task, options, args, kwargs, slot)
        except BaseException as error:
            log.exception("job %s could not be started", job.id)
            self._done(job, verdict.not_started(job, error, self._clock.now(), self._settings.max_losses))
            return False

    def _start(
        self, job: ClaimedJob, task: Task[..., Any], options: RunOptions, args: list[Any], kwargs: dict[str, Any],
        slot: int,
    ) -> bool:  # fmt: skip
        context = self._context(job, options)
        apart = self._beginning.apart(job, options)
        # A process of its own runs them itself.
        hooked = None if apart else self._hooked(job, task, kwargs, context)
        if task.context_parameter is not None:
            kwargs[task.context_parameter] = context
        body = partial(task.function, *args, **kwargs)
        on_loop = task.is_async and not alone(job, options)
        if on_loop:
            slot = self._away_slots.pop()
        now = boot_seconds()
        running = Running(
            job, context, slot, now, None if apart else now, timeout=options.timeout,
            stall_timeout=options.stall_timeout, alone=apart, hooked=hooked,
        )  # fmt: skip
        if not apart:
            self._beginning.mark(running)
        self._reporter.begin(running)
        if on_loop:
            self._goes_on()
            running.stop = self.loop.start(lambda: self._on_loop(running, task, options, body), slot)
            if context._stop is not None:
                # It was told to stop before there was something to stop.
                running.stop()
            return True
        if apart and self._isolation is not None:
            try:
                outcome = self._isolation.run(running, partial(self._beginning.refused, running))
            except BaseException:
                # No process could be started: nothing has begun.
                self._reporter.end(running, complete=False)
                self._page.end(slot)
                raise
            error = outcome if isinstance(outcome, BaseException) else None
            self._conclude(running, task, options, outcome, error)
        elif hooked is not None:
            # What hooks set in the context must not stay in this thread for the next job.
            copy_context().run(self._in_thread, running, task, options, body)
        else:
            self._in_thread(running, task, options, body)
        return False

    def _hooked(
        self, job: ClaimedJob, task: Task[..., Any], kwargs: dict[str, Any], context: JobContext
    ) -> Hooked | None:
        hooks = self._hooks.around(job.queue, task.hooks)
        if not hooks:
            return None
        names = tuple(json.loads(job.args)) if job.codec == CODEC else tuple(kwargs)
        attempt = Attempt(
            job.id, job.attempt, task.name, job.queue, job.title, job.tries, names,
            self._worker(), self._clock.now(), resident_bytes(), captured=read_context(job.context),
        )  # fmt: skip
        return Hooked(hooks, attempt, context, self.loop)

    def _context(self, job: ClaimedJob, options: RunOptions) -> JobContext:
        made = JobContext(job, self._reporter, only_items=options.items, now=self._clock.now)
        if self.shows:
            made._console = ConsoleBar()
        return made

    def _around(self, running: Running, options: RunOptions) -> AbstractContextManager[object]:
        """What its body runs in."""
        return surroundings(running.context, running.job.context, options, self._captured)

    def _in_thread(self, running: Running, task: Task[..., Any], options: RunOptions, body: Callable[[], Any]) -> None:
        error: BaseException | None = None
        value = None
        try:
            self._seams.reach("before body")
            with self._around(running, options):
                if running.hooked is not None:
                    running.hooked.before()
                value = asyncio.run(body()) if task.is_async else body()
            self._seams.reach("after body")
        except BaseException as raised:  # noqa: BLE001 (a task may raise anything)
            error = raised
        self._conclude(running, task, options, value, error)

    async def _on_loop(
        self, running: Running, task: Task[..., Any], options: RunOptions, body: Callable[[], Awaitable[Any]]
    ) -> None:
        error: BaseException | None = None
        value = None
        try:
            self._seams.reach("before body")
            with self._around(running, options):
                if running.hooked is not None:
                    await self.loop.beside(running.hooked.before)
                value = await body()
            self._seams.reach("after body")
        except asyncio.CancelledError as raised:
            # Cancelled from outside: for the reason the context was told.
            error = running.context._stop or raised
        except BaseException as raised:  # noqa: BLE001 (a task may raise anything)
            error = raised
        try:
            if running.context._silent and running.hooked is None:
                self._conclude(running, task, options, value, error)
            else:
                # What it reported may have to wait for the database, and hooks for anything: not on the loop.
                await self.loop.beside(partial(self._conclude, running, task, options, value, error))
        finally:
            self._away_slots.append(running.slot)
            self._left(running.slot)

    def _conclude(
        self,
        running: Running,
        task: Task[..., Any],
        options: RunOptions,
        value: Any,
        error: BaseException | None,
    ) -> None:
        """One attempt has ended: build its settlement and hand it over. Never fails: else nobody would settle it."""
        job, took = running.job, boot_seconds() - running.started
        try:
            settlement, error = self._settlement(running, task, options, value, error)
        except Exception as raised:
            log.exception("job %s: its end cannot be told", job.id)
            settlement, error = verdict.untold(job, raised), raised
        failed = self._after(running, settlement, error)
        self._pace(job.task).ran(took)
        complete = settlement is None or settlement.state is JobState.SUCCEEDED
        write = self._reporter.end(running, complete)
        if settlement is not None:
            kept = options.kept(settlement.state) if options.keep is not None else None
            if kept is not None:
                settlement = settlement._replace(keep_until=self._clock.now() + timedelta(seconds=kept))
            if write is not None:
                settlement = settlement._replace(progress=write)
            if settlement.record is None and (error or failed or took >= LONG_SECONDS):
                settlement = self._recorded(running, settlement, error, failed)
        self._page.end(running.slot)
        if settlement is not None:
            self.ledger.ran(running, took)
        elif running.context._finished:
            self.ledger.succeeded(job, took)
        self._done(job, settlement)
        if isinstance(error, StopWorker):
            self._stop_worker(error.reason or "a task asked for it")

    def _after(
        self, running: Running, settlement: Settlement | None, error: BaseException | None
    ) -> BaseException | None:
        """Let hooks hear of the end; what went wrong there."""
        if running.hooked is None:
            return None
        # Whatever a hook does with its time, the end is known by now.
        running.verdict = settlement
        # Without an error nothing is left to write of what has ended with a transaction of its own.
        unwritten = JobState.SUCCEEDED if error is None else None
        return running.hooked.after(
            unwritten if settlement is None else settlement.state, error, self._clock.now(), resident_bytes()
        )

    def _settlement(
        self,
        running: Running,
        task: Task[..., Any],
        options: RunOptions,
        value: Any,
        error: BaseException | None,
    ) -> tuple[Settlement | None, BaseException | None]:
        """How the attempt ends, None when nothing is to be written, and the error that it ended with."""
        job = running.job
        if isinstance(value, Settlement):
            return value, error
        if error is None and not running.context._finished:
            try:
                result = encode_result(value, task.returns, self._settings.max_result_bytes)
                return Settlement(job.id, job.position, job.attempt, JobState.SUCCEEDED, result), None
            except Exception as raised:  # noqa: BLE001 (a result may be anything)
                error = raised
        if error is not None and running.hooked is not None and not verdict.is_lost(error):
            error = running.hooked.error(error)
        return None if error is None else self._failed(job, options, error), error

    def verdict_of_stop(self, running: Running) -> Settlement | None:
        """How a job ends that was told to stop and did not: by what it was told, if its body has not ended."""
        if running.verdict is not None:
            return running.verdict
        task, error = self._registry.get(running.job.task), running.context._stop
        if task is None or error is None:
            return None
        settlement = self._failed(running.job, task.run_options(running.job.options), error)
        if settlement is None:
            return None
        return self._recorded(running, settlement, error, None)

    def _failed(self, job: ClaimedJob, options: RunOptions, error: BaseException) -> Settlement | None:
        if verdict.is_lost(error):
            return None
        limit = job.max_attempts if job.max_attempts is not None else options.max_attempts
        rules = verdict.Rules(options.retry, limit, job.repeatable)
        settlement = verdict.of_error(job, error, rules, self._clock.now(), random.random)
        if settlement.error is not None:
            level = logging.ERROR if settlement.state is JobState.FAILED else logging.WARNING
            log.log(level, "job %s (%s) is %s: %s", job.id, job.task, settlement.state, printable(settlement.error))
        try:
            return self._notifiers.told(job, options, settlement, self._clock.now())
        except Exception:
            # How the job ends is one thing, and that somebody hears of it another.
            log.exception("job %s: nobody can be told that it fails", job.id)
            return settlement

    def _pace(self, name: str) -> Pace:
        pace = self.paces.get(name)
        if pace is None:
            pace = self.paces.setdefault(name, Pace())
        return pace

    def _recorded(
        self, running: Running, end: Settlement, error: BaseException | None, hook_error: BaseException | None
    ) -> Settlement:
        before = running.hooked.attempt.memory_before if running.hooked is not None else None
        now, took = self._clock.now(), boot_seconds() - running.started
        return recorded(end, running.job, now, took, error, memory_before=before, hook_error=hook_error)

    def close(self) -> None:
        """Stop the loop."""
        self.loop.close()
