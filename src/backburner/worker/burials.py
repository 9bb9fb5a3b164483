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

_AGAIN_SECONDS = 0.5
_LAST_RESCUE_SECONDS = 10.0


class Burials:
    """Graves; each stays until nothing is left of what its worker owned."""

    def __init__(self, store: Store, supervisor: str, limits: Limits, seams: Seams) -> None:
        self._store, self._supervisor, self._limits, self._seams = store, supervisor, limits, seams
        self._graves: deque[Grave] = deque()
        self._changed = threading.Condition()
        self._news = False
        self._closes_at: float | None = None
        self._thread = threading.Thread(target=self._work, name="backburner-rescue", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def add(self, grave: Grave) -> None:
        """Have the jobs of a child that ended rescued at once, or as soon as the database lets us."""
        self._graves.append(grave)
        self._tell()

    def close(self) -> None:
        """Bury who is left, for 10 s at most, and end the thread."""
        self._closes_at = boot_seconds() + _LAST_RESCUE_SECONDS
        self._tell()
        if self._thread.is_alive():
            self._thread.join(_LAST_RESCUE_SECONDS)

    def _tell(self) -> None:
        with self._changed:
            self._news = True
            self._changed.notify()

    def _work(self) -> None:
        while self._graves or self._closes_at is None:
            with self._changed:
                self._changed.wait_for(lambda: self._news, _AGAIN_SECONDS if self._graves else None)
                self._news = False
            for _ in range(len(self._graves)):
                if self._closes_at is not None and boot_seconds() >= self._closes_at:
                    return
                # One whose jobs are locked must not keep the others waiting: it goes to the end.
                if not self._buried(self._graves[0]):
                    self._graves.append(self._graves[0])
                self._graves.popleft()

    def _buried(self, grave: Grave) -> bool:
        """Rescue the jobs of one; False when it must be tried again."""
        try:
            return self._bury(grave)
        except StoreError as error:
            log.warning("jobs of ended workers wait for rescue: %s", error)
        except Exception:
            log.exception("the rescue of worker %s failed", grave.worker)
        return False

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
        if settled:
            log.warning("took over %d jobs of worker %s", len(settled), grave.worker)
        if settled is not None:
            self._hear(grave)
        if settled is None or self._store.claims.owned(grave.worker):
            if not grave.waits:
                log.warning("jobs of worker %s wait for rescue: somebody else has locked them", grave.worker)
            grave.waits = True
            return False
        if grave.life is not None:
            grave.life.end()
        return True

    def _hear(self, grave: Grave) -> None:
        """Nobody can ask anything of it from now on: what came after its last beat was heard by nobody."""
        buried = None if grave.heard else self._store.workers.get(grave.worker)
        if buried is not None and buried.told is not None:
            grave.told(buried.told)
        grave.heard = True
