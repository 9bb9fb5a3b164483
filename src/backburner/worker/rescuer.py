"""Takes the jobs of dead workers. Of dead workers, never of old jobs: a healthy long job is left alone."""

from __future__ import annotations

import logging
from collections.abc import Callable

from backburner.blame import Death, Limits, judge
from backburner.clock import boot_seconds
from backburner.errors import StoreError
from backburner.notify import Bell
from backburner.seams import Seams
from backburner.store.store import Store
from backburner.worker.page import Page

log = logging.getLogger(__name__)


class Rescuer:
    """Marks a worker dead when its lease is over, or when this machine knows it, and takes its jobs.

    Only after our own beats have been good for a whole lease: whoever was cut off from the database itself
    must not judge others by a clock they could not reach either. For the same reason the clock is read before
    each look, and when the database's time has jumped, all others get a whole lease to beat by it.
    """

    def __init__(
        self,
        store: Store,
        bell: Bell,
        worker: Callable[[], str],
        page: Page,
        limits: Limits,
        lease: float,
        seams: Seams,
    ) -> None:
        self._store, self._bell, self._worker, self._page = store, bell, worker, page
        self._limits, self._lease, self._seams = limits, lease, seams
        self._jumped_at = float("-inf")
        self.every = min(5.0, lease / 6)

    def once(self) -> float | None:
        """Look at every worker."""
        self._read_clock()
        seasoned = boot_seconds() - max(self._page.good_since, self._jumped_at) >= self._lease
        for suspect in self._store.workers.suspects():
            if suspect.id == self._worker():
                continue
            known_dead = suspect.dead_at is not None or self._store.dialect.proof_of_death(suspect.id)
            if known_dead or seasoned:
                death = Death(cause="no sign of life", host=suspect.host, pid=suspect.pid)
                try:
                    self.rescue(suspect.id, death)
                except StoreError as error:
                    log.warning("the jobs of worker %s wait for rescue: %s", suspect.id, error)
        return None

    def _read_clock(self) -> None:
        expected, asked = self._store.clock.now(), boot_seconds()
        with self._store.borrowed_lane() as lane:
            self._store.read_clock(lane)
        passed = (self._store.clock.now() - expected).total_seconds() - (boot_seconds() - asked)
        if abs(passed) > self._lease / 6:
            log.warning("the database's time has jumped by %.0f s", passed)
            self._jumped_at = boot_seconds()

    def rescue(self, worker: str, death: Death, *, certain: bool = False) -> int:
        """Take the jobs of one dead worker; how many."""
        self._seams.reach("before rescue")
        now = self._store.clock.now()
        settled = self._store.workers.rescue(
            worker,
            lambda orphan: judge(orphan, death, self._limits, now),
            self._worker(),
            death.cause,
            certain=certain,
        )
        self._seams.reach("after rescue")
        if settled:
            log.warning("worker %s is dead (%s); took over %d jobs", worker, death.cause, len(settled))
            self._bell.ring(())
        return len(settled or ())
