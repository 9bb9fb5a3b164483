"""`JobWatch`: waiting for a job to be done, by looking at its state."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator

from backburner import coroutines
from backburner.clock import boot_seconds
from backburner.database import Database
from backburner.errors import InvalidOption, WaitInsideTransaction
from backburner.job import Job

_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.1


class JobWatch:
    """Looks at once, then after 5, 10, 20, 40, 80 and every further 100 ms.

    `seconds` is the steady clock, `sleep` and `async_sleep` how to pause; tests pass their own.
    """

    def __init__(
        self,
        database: Database,
        seconds: Callable[[], float] = boot_seconds,
        sleep: Callable[[float], None] = time.sleep,
        async_sleep: Callable[[float], Awaitable[None]] = coroutines.sleep,
    ) -> None:
        self._database, self._seconds = database, seconds
        self._sleep, self._async_sleep = sleep, async_sleep

    def wait(self, job: Job, seconds: float) -> bool:
        """True as soon as the job is done, False after `seconds`."""
        pauses = self._pauses(seconds)
        while not self._done(job):
            pause = next(pauses, None)
            if pause is None:
                return False
            self._sleep(pause)
        return True

    async def await_done(self, job: Job, seconds: float) -> bool:
        """`wait` for a coroutine: no thread is held while it waits."""
        pauses = self._pauses(seconds)
        while not await coroutines.in_thread(self._done, job):
            pause = next(pauses, None)
            if pause is None:
                return False
            await self._async_sleep(pause)
        return True

    def _done(self, job: Job) -> bool:
        if job.done:
            return True
        state = self._database.store.jobs.states([job.id]).get(job.id)
        if state is None and job.uncommitted:
            raise WaitInsideTransaction(job.id)
        # A stored job that is gone was done and is not kept.
        return state is None or state.final

    def _pauses(self, seconds: float) -> Iterator[float]:
        """How long to pause before each further look, the last one ending at the time limit."""
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
            raise InvalidOption("seconds", seconds, "is no time to wait", "Give 0 or more seconds")
        until, pause = self._seconds() + seconds, _FIRST_PAUSE
        while (left := until - self._seconds()) > 0:
            yield min(pause, left)
            pause = min(pause * 2, _LONGEST_PAUSE)
