"""A supervisor's rescues of the jobs of its dead children, in a thread of their own.

Apart from the heartbeat: a rescue may wait for rows that an app's transaction has locked, and the living must not
lose their leases meanwhile.
"""

from __future__ import annotations

import logging
import threading
from collections import deque

from backburner.blame import Limits, judge
from backburner.clock import boot_seconds
from backburner.errors import StoreError
from backburner.seams import Seams
from backburner.store.store import Store
from backburner.worker.children import Grave

log = logging.getLogger(__name__)

_AGAIN_SECONDS = 1.0
_LAST_RESCUE_SECONDS = 10.0


class Burials:
    """Graves, the oldest first; each stays until its worker's jobs are rescued."""

    def __init__(self, store: Store, supervisor: str, limits: Limits, seams: Seams) -> None:
        self._store, self._supervisor, self._limits, self._seams = store, supervisor, limits, seams
        self._graves: deque[Grave] = deque()
        self._changed = threading.Condition()
        self._closes_at: float | None = None
        self._thread: threading.Thread | None = None

    def add(self, grave: Grave) -> None:
        """Have the jobs of a child that ended rescued at once, or as soon as the database lets us."""
        with self._changed:
            self._graves.append(grave)
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="backburner-rescue", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Bury who is left, for 10 s at most, and end the thread."""
        with self._changed:
            self._closes_at = boot_seconds() + _LAST_RESCUE_SECONDS
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_LAST_RESCUE_SECONDS)

    def _work(self) -> None:
        while self._awaited():
            if not self._buried():
                with self._changed:
                    self._changed.wait(_AGAIN_SECONDS)

    def _awaited(self) -> bool:
        """Wait for a grave; False when there is none and nothing more will come, or when there is no time left."""
        with self._changed:
            self._changed.wait_for(lambda: self._graves or self._closes_at is not None)
            return bool(self._graves) and (self._closes_at is None or boot_seconds() < self._closes_at)

    def _buried(self) -> bool:
        """Rescue the jobs of the first; False when it must be tried again."""
        done = False
        try:
            done = self._bury(self._graves[0])
        except StoreError as error:
            log.warning("jobs of ended workers wait for rescue: %s", error)
        except Exception:
            log.exception("the rescue of worker %s failed", self._graves[0].worker)
        if done:
            self._graves.popleft()
        else:
            # One that is locked must not keep the others waiting.
            self._graves.rotate(-1)
        return done

    def _bury(self, grave: Grave) -> bool:
        now = self._store.clock.now()
        self._seams.reach("before rescue")
        settled = self._store.workers.rescue(
            grave.worker,
            lambda orphan: judge(orphan, grave.death, self._limits, now),
            self._supervisor,
            grave.death.cause,
            certain=True,
        )
        self._seams.reach("after rescue")
        if settled is None:
            log.warning("jobs of worker %s wait for rescue: somebody keeps its row locked", grave.worker)
            return False
        if settled:
            log.warning("took over %d jobs of worker %s", len(settled), grave.worker)
        # Nobody can ask anything of it from now on: what came after its last beat was heard by nobody.
        buried = self._store.workers.get(grave.worker)
        if buried is not None and buried.told is not None:
            grave.told(buried.told)
        if grave.life is not None:
            grave.life.end()
        return True
