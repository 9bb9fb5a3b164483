"""What a running job says to other jobs, and waits for from them."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, cast

from backburner.checked import MAX_NAME, checked_text
from backburner.coroutines import in_thread
from backburner.errors import InvalidArgument, InvalidOption
from backburner.ids import is_id
from backburner.job import Job, Parent
from backburner.relations import WAIT

if TYPE_CHECKING:
    from backburner.context import JobContext
    from backburner.desk import Desk


class Meeting:
    """The part of `JobContext` that is about other jobs."""

    _desk: Desk | None
    _in_transaction: bool

    @property
    @abstractmethod
    def task(self) -> str | None: ...

    @abstractmethod
    def check(self) -> None: ...

    @property
    def _context(self) -> JobContext:
        return cast("JobContext", self)

    def milestone(self, name: str) -> None:
        """Say that this job has reached a named point: what waits for it goes on. Once reached it stays so.

        Durable when it returns; inside `transaction()` with that. Raises `LeaseLost` when the job was taken over.
        """
        self.check()
        name = checked_text("milestone", name, MAX_NAME)
        if self._desk is not None:
            self._desk.milestone(self._context, name)

    async def amilestone(self, name: str) -> None:
        """`milestone` for a coroutine: the database is waited for in a thread."""
        await in_thread(self.milestone, name)

    def wait_for(self, job: Job | str, milestone: str | None = None) -> None:
        """Go on when another job is done, however it ended, or has reached a milestone.

        When it has not, this attempt ends here as `blocked`: no slot and no try is used meanwhile, and the task
        runs again, from its checkpoint, when it has. Raises `MilestoneMissed` when the other one ended without
        the milestone, `CircularWait` when it waits for this job, `JobNotFound` when there is none of that id, and
        `InvalidArgument` outside of a stored job: there `jobs.wait(job, seconds)` waits.
        """
        self.check()
        desk, parent = self._ready_to_wait(job, milestone)
        desk.wait_for(self._context, parent)

    async def await_for(self, job: Job | str, milestone: str | None = None) -> None:
        """`wait_for` for a coroutine: the database is waited for in a thread."""
        self.check()
        desk, parent = self._ready_to_wait(job, milestone)
        await in_thread(desk.wait_for, self._context, parent)

    def _ready_to_wait(self, job: object, milestone: str | None) -> tuple[Desk, Parent]:
        job_id = job.id if isinstance(job, Job) else job
        if not isinstance(job_id, str) or not is_id(job_id):
            raise InvalidOption("job", job, "is neither a job nor an id", "Pass what enqueue returned, or its id")
        name = "" if milestone is None else checked_text("milestone", milestone, MAX_NAME)
        if self._desk is None:
            raise InvalidArgument(
                self.task or "", "wait_for", job_id, "needs a stored job",
                "Enqueue the task; elsewhere jobs.wait(job, seconds) waits",
            )  # fmt: skip
        if self._in_transaction:
            raise InvalidArgument(
                self.task or "", "wait_for", job_id, "is said inside of job.transaction(), which would be undone",
                "Wait before or after it",
            )  # fmt: skip
        return self._desk, Parent(job_id, name, WAIT)
