"""`Beginning`: where a job runs, and the moment at which its body begins: from then on the body is to blame."""

from __future__ import annotations

from collections.abc import Callable

from backburner.clock import boot_seconds
from backburner.errors import LeaseLost
from backburner.job import ClaimedJob
from backburner.outcome import Settlement
from backburner.run_options import RunOptions
from backburner.worker import verdict
from backburner.worker.page import Page
from backburner.worker.reporter import Running


class Beginning:
    """Of one worker process; `begin` writes the mark of a job in its row, False when the job is not ours any more."""

    def __init__(self, page: Page, isolates: bool, begin: Callable[[ClaimedJob], bool]) -> None:
        self._page, self._isolates, self._begin = page, isolates, begin

    def apart(self, job: ClaimedJob, options: RunOptions) -> bool:
        """Whether it runs in a process of its own from here."""
        return self._isolates and alone(job, options)

    def refused(self, running: Running) -> Settlement | BaseException | None:
        """Its process is up: None when the body begins now, and no earlier; else how the attempt ends.

        Raises `StoreUnavailable` when that cannot be told.
        """
        job = running.job
        if guarded(job) and self._page.lease_until <= boot_seconds():
            # If it is still ours it is done by whoever has a lease, and if it is not this changes nothing.
            return verdict.released(job)
        if not self.is_ours(job):
            return LeaseLost(job.id, job.attempt)
        self.mark(running)
        return None

    def is_ours(self, job: ClaimedJob) -> bool:
        """Write the mark of those that need one, just before the body.

        Nobody sees the page of a host that has died: whether what must not run twice, or was lost before, had begun
        stands in its row.
        """
        marked = not job.repeatable or job.crashes > 0 or job.losses > 0
        return not marked or self._begin(job)

    def mark(self, running: Running) -> None:
        """Note where the supervisor sees it that the body begins."""
        job = running.job
        self._page.begin(running.slot, job.id, job.attempt, guarded(job), running.started)


def alone(job: ClaimedJob, options: RunOptions) -> bool:
    """Whether a job is to run in a process of its own: it asks for that, or was lost or crashed before."""
    return options.isolate or job.crashes > 0 or job.losses > 0


def guarded(job: ClaimedJob) -> bool:
    """Whether a body must not outlive the lease: the next of its group may begin elsewhere once that is over."""
    return not job.repeatable or job.group_name is not None
