"""Runs hooks: around one attempt, and around this process. Only where some are installed."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from backburner.context import Entered, JobContext
from backburner.hooks import Attempt, Hook, JobProcess
from backburner.outcome import Cancelled, PermanentError, Retry, Skip, StopWorker, Wait, WaitsFor
from backburner.states import JobState
from backburner.worker.loop import Loop

if TYPE_CHECKING:
    from backburner.backburner import Backburner

log = logging.getLogger(__name__)

_REPLACING = (PermanentError, Retry, Wait, Skip, Cancelled, StopWorker)
"""Raised by an error hook, these say how the attempt ends."""
_NO_FAILURE = (Wait, WaitsFor, Skip, Cancelled)
"""Raised by a body, these are no errors."""


class Hooked:
    """The hooks around one attempt, the outermost first. What has begun hears of the end, in reverse order.

    Its methods are called from threads, never on the loop.
    """

    def __init__(self, hooks: tuple[Hook, ...], attempt: Attempt, context: JobContext, loop: Loop) -> None:
        self.attempt = attempt
        self._hooks, self._context, self._loop = once(hooks), context, loop
        # One without `before` has nothing that could fail to begin.
        self._begun = {id(hook) for hook in self._hooks if type(hook).before is Hook.before}

    def before(self) -> None:
        """Call each `before`; raises what the first one raises that fails."""
        for hook in self._hooks:
            if id(hook) not in self._begun:
                self._loop.finish(hook.before(self.attempt))
                self._begun.add(id(hook))

    def error(self, error: BaseException) -> BaseException:
        """Call each `on_error`; the error that the attempt ends with."""
        for hook in self._inside_out():
            if isinstance(error, _NO_FAILURE):
                return error
            self.attempt.error = error
            try:
                with Entered(self._context):
                    given: Any = self._loop.finish(hook.on_error(self.attempt, error))
            except _REPLACING as raised:
                given = raised
            except BaseException:
                log.exception("job %s: the error hook %s failed", self.attempt.id, type(hook).__name__)
                continue
            if isinstance(given, BaseException):
                error = given
        return error

    def after(
        self, outcome: JobState | None, error: BaseException | None, now: datetime, memory: int | None
    ) -> BaseException | None:
        """Call each `after`; what the first one raised that failed."""
        attempt, failed = self.attempt, None
        attempt.ended_at, attempt.seconds = now, (now - attempt.started_at).total_seconds()
        attempt.outcome, attempt.error, attempt.memory_after = outcome, error, memory
        for hook in self._inside_out():
            try:
                with Entered(self._context):
                    self._loop.finish(hook.after(attempt))
            except BaseException as raised:
                log.exception("job %s: the hook %s failed after its end", attempt.id, type(hook).__name__)
                failed = failed or raised
        return failed

    def _inside_out(self) -> list[Hook]:
        return [hook for hook in reversed(self._hooks) if id(hook) in self._begun]


class ProcessHooks:
    """`on_start` and `on_end` of every hook there is, each once."""

    def __init__(self, hooks: Iterable[Hook], process: JobProcess, loop: Loop) -> None:
        self._hooks = once(hooks)
        self._process, self._loop = process, loop
        self._started: list[Hook] = []

    @classmethod
    def of(cls, jobs: Backburner, worker: str, loop: Loop, *, isolated: bool) -> ProcessHooks:
        """All hooks of an app: everywhere, of queues, and of its tasks."""
        own = [hook for name in jobs.registry.runnable() for hook in jobs.registry.require(name).hooks]
        return cls([*jobs.hooks, *own], JobProcess(worker, socket.gethostname(), os.getpid(), isolated), loop)

    def start(self) -> None:
        """Raises what the first one raises that fails; those before it are ended."""
        try:
            for hook in self._hooks:
                self._loop.finish(hook.on_start(self._process))
                self._started.append(hook)
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """End what was started; failures are logged."""
        while self._started:
            hook = self._started.pop()
            try:
                self._loop.finish(hook.on_end(self._process))
            except BaseException:
                log.exception("the hook %s failed at the end of the process", type(hook).__name__)


def once(hooks: Iterable[Hook]) -> list[Hook]:
    """Each of these objects once, in order."""
    return list({id(hook): hook for hook in hooks}.values())
