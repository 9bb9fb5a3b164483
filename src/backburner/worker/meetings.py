"""What a worker does for jobs that have something to do with other jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from backburner.errors import CircularWait, JobNotFound, LeaseLost, MilestoneMissed
from backburner.job import ClaimedJob, Parent
from backburner.outcome import WaitsFor
from backburner.relations import REACHED
from backburner.store.store import Store

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Meetings:
    """Milestones that are reached, and waits that begin. `ring(queues)` tells workers what may be ready."""

    def __init__(self, store: Store, ring: Callable[[Iterable[str]], None]) -> None:
        self._store, self._ring = store, ring

    def milestone(self, job: ClaimedJob, name: str, connection: Connection | None) -> None:
        """A job has reached a milestone. On a `connection` what waits for it goes on with the next sweep."""
        if not self._store.waits.reach(job.id, job.attempt, name, connection):
            raise LeaseLost(job.id, job.attempt)
        queues = self._store.dependencies.follow([job.id]) if connection is None else ()
        if queues:
            self._ring(sorted(queues))

    def wait_for(self, job: ClaimedJob, parent: Parent) -> None:
        """Return when it has come, raise `WaitsFor` when it may still come, and why not when it never will."""
        standing = self._store.waits.standing(job.id, parent)
        if standing.told == REACHED or (standing.reached if parent.milestone else _done(standing.state)):
            return
        if standing.state is None and standing.told is None:
            raise JobNotFound(parent.job)
        if standing.state is None or standing.state.final:
            raise MilestoneMissed(parent.job, parent.milestone, standing.state)
        if circle := self._store.waits.circle(job.id, parent.job):
            raise CircularWait(job.id, tuple(circle))
        raise WaitsFor(parent)


def _done(state: object) -> bool:
    return bool(getattr(state, "final", False))
