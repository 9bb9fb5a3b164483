"""`DurableTasks`: `add_task` as Starlette's `BackgroundTasks` has it, and what is added survives the process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ParamSpec

from starlette.background import BackgroundTask

from backburner.backburner import Backburner
from backburner.errors import InvalidOption, InvalidTask
from backburner.job import NewJob
from backburner.task import Task

P = ParamSpec("P")


class DurableTasks(BackgroundTask):
    """Collects calls, and stores them as jobs in one transaction of our own, all or none.

    In FastAPI that is before the response is sent, see `FastAPIBackburner.background`. Handed to a response of
    Starlette's, `background=tasks`, it is behind it: what is stored there was not promised by the answer. Where a
    plain `Session` is enlisted, calls are stored at once, in its transaction; an `AsyncSession` has to be awaited.

        tasks = DurableTasks(jobs)
        tasks.add_task(send_mail, "ada@example.org", subject="Hello")
        await tasks.store()
    """

    def __init__(self, jobs: Backburner) -> None:
        self._jobs = jobs
        self._rows: list[NewJob] = []
        self.ids: list[str] = []
        """The ids of the jobs, in order; once they are stored, those of equal jobs that stand for them."""

    def add_task(self, func: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> None:
        """Add a call of a task, or of a function that is one. Raises `InvalidTask`, and what `enqueue` raises.

        `InvalidOption` where an `AsyncSession` is enlisted: a commit that came before would leave the call behind.
        """
        task, enqueuer = self._task(func), self._jobs._enqueuer
        around = enqueuer.callers_transaction
        if around is not None:
            if around.is_async:
                raise InvalidOption(
                    "add_task", func, "is not awaited, and the session of this request has to be",
                    "Write `await task.aenqueue(...)`: it is stored with the session's commit",
                )  # fmt: skip
            self.ids.append(task.enqueue(*args, **kwargs).id)
            return
        row = enqueuer.row(task, args, kwargs)
        self._rows.append(row)
        self.ids.append(row.id)

    async def store(self) -> None:
        """Store what was added since. Raises `StoreUnavailable`, and what the keys of jobs may raise."""
        rows, self._rows = self._rows, []
        if rows:
            instead = await asyncio.to_thread(self._jobs._enqueuer.put_own, rows)
            self.ids = [instead.get(job_id, job_id) for job_id in self.ids]

    async def __call__(self) -> None:
        """`store`, as a response calls its background tasks."""
        await self.store()

    def _task(self, func: object) -> Task[..., Any]:
        if isinstance(func, Task) and func._enqueuer is self._jobs._enqueuer:
            return func
        found = next((task for task in self._jobs.registry if task.function is func), None)
        if found is None:
            name = getattr(func, "__qualname__", None) or repr(func)
            raise InvalidTask(name, "is no task, so no worker could find it", "Write @jobs.task above it")
        return found
