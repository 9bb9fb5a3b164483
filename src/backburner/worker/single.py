"""A claimer for a process that was started for one job: it takes that one, and ends with it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from backburner.clock import boot_seconds
from backburner.errors import StoreError
from backburner.job import ClaimedJob
from backburner.registry import Registry
from backburner.states import JobState
from backburner.store.store import Store
from backburner.worker.pool import Pool

log = logging.getLogger(__name__)

STAY_SECONDS = 120.0
"""It waits for the job's next attempt when that is due so soon; a later one is left to others."""
_LOOK_SECONDS = 0.05
_AWAY_SECONDS = 0.5


class SingleClaimer:
    """Stands in for the claimer. `nothing_at` as there: when the last look began that found nothing to wait for."""

    def __init__(
        self,
        store: Store,
        job_id: str,
        worker: Callable[[], str],
        pool: Pool,
        registry: Registry,
        may_claim: Callable[[], bool],
        claimed: Callable[[list[ClaimedJob]], None],
        recover: Callable[[], None],
    ) -> None:
        self._store, self._job, self._worker, self._pool = store, job_id, worker, pool
        self._registry, self._may_claim, self._claimed, self._recover = registry, may_claim, claimed, recover
        self._stopping = threading.Event()
        self.nothing_at = float("-inf")
        self._thread = threading.Thread(target=self._work, name="backburner-claimer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def look(self) -> bool:
        """Look once, in this thread; True when the job was taken."""
        self._look()
        return not self._pool.idle

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping.set()

    def ended(self, seconds: float) -> bool:
        """True when the last claim has ended, False when it has not after `seconds`."""
        if self._thread.is_alive():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        lost = False
        while not self._stopping.is_set():
            pause = _LOOK_SECONDS
            if self._may_claim() and self._pool.idle:
                try:
                    if lost:
                        # The answer to a claim was lost: it may be ours without our holding it.
                        self._recover()
                        lost = False
                    pause = self._look()
                except StoreError as error:
                    log.warning("claiming waits: %s", error)
                    lost, pause = True, _AWAY_SECONDS
                except Exception:
                    log.exception("claiming failed; trying again")
                    pause = _AWAY_SECONDS
            self._stopping.wait(pause)

    def _look(self) -> float:
        """Take the job, or find out whether to wait for it; the pause until the next look."""
        began = boot_seconds()
        job = self._store.single.claim(self._job, self._worker(), self._registry.cap_of)
        if job is not None:
            self.nothing_at = float("-inf")
            self._claimed([job])
            self._pool.add([job], 1)
            return _LOOK_SECONDS
        row = self._store.single.row(self._job)
        if row is not None and row.state in (JobState.RETRYING, JobState.SCHEDULED):
            rest: float = (row.run_at - self._store.clock.now()).total_seconds()
            if rest <= STAY_SECONDS:
                return min(max(rest, _LOOK_SECONDS), _AWAY_SECONDS)
        self.nothing_at = began
        return _LOOK_SECONDS
