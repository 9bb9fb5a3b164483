"""What it takes to run jobs in one process: reporter and executor, wired together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from backburner.codec import encode_result
from backburner.context import JobContext
from backburner.job import ClaimedJob
from backburner.outcome import Settlement
from backburner.worker import verdict
from backburner.worker.executor import Executor
from backburner.worker.isolation import Isolation
from backburner.worker.meetings import Meetings
from backburner.worker.page import Page
from backburner.worker.reporter import Reporter, Running

if TYPE_CHECKING:
    from backburner.backburner import Backburner


class Bench:
    """`done` takes how each job ended; the other callbacks matter only to a worker that claims."""

    def __init__(
        self,
        jobs: Backburner,
        page: Page,
        worker: Callable[[], str],
        *,
        isolation: Isolation | None,
        done: Callable[[ClaimedJob, Settlement | None], None],
        deaf: Callable[[Running], None] = lambda _: None,
        left: Callable[[int], None] = lambda _: None,
        goes_on: Callable[[], None] = lambda: None,
        stop_worker: Callable[[str], None] = lambda _: None,
        stranger: Callable[[ClaimedJob], Settlement] = verdict.unknown_task,
        begin: Callable[[ClaimedJob], bool] = lambda _: True,
        stop_grace: float = 10.0,
        executor: Callable[..., Executor] = Executor,
    ) -> None:
        self._registry, self._limit = jobs.registry, jobs.settings.max_result_bytes
        self.reporter = Reporter(
            jobs.store,
            jobs.files,
            worker,
            self._encode,
            jobs.transaction,
            Meetings(jobs.store, jobs.bell.ring),
            max_log=jobs.settings.max_log_bytes,
            deaf=deaf,
            grace=stop_grace,
        )
        self.executor = executor(
            jobs, page, self.reporter, worker, isolation, begin, done, left, goes_on, stop_worker, stranger
        )

    def _encode(self, context: JobContext, result: Any) -> str:
        task = self._registry.get(context.task or "")
        return encode_result(result, task.returns if task is not None else None, self._limit)
