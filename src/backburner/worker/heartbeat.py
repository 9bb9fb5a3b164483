"""Keeps leases alive, from a thread and a connection of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backburner.clock import boot_seconds
from backburner.errors import StoreError
from backburner.seams import Seams
from backburner.store.lane import BEAT
from backburner.store.store import Store
from backburner.worker.page import Page

log = logging.getLogger(__name__)

_LOCK_WAIT = 1.0
"""Seconds that a beat waits for the row of one worker: a claim holds it for milliseconds, unless it stands still."""


@dataclass(frozen=True, slots=True)
class Beating:
    """A worker to beat for: its page learns of the lease, `died` is called when others marked it dead.

    `told` is called at each beat with what was asked of it, as long as that stands.
    """

    worker: str
    page: Page
    died: Callable[[], None]
    told: Callable[[str], None]


class Heartbeat:
    """Beats every `beat` seconds for everything in `whom()`."""

    def __init__(
        self,
        store: Store,
        lease: float,
        beat: float,
        whom: Callable[[], list[Beating]],
        seams: Seams,
    ) -> None:
        self._store, self._lease, self._beat, self._whom = store, lease, beat, whom
        self._seams = seams
        self._lane = store.lane(BEAT)
        self._good_since = float("inf")
        self._last_good = float("-inf")
        self._turns = 0
        self._woken = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="backburner-heartbeat", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def beat_now(self) -> None:
        """Beat at once: somebody new waits for a lease."""
        self._woken.set()

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(5.0)
        self._lane.close()

    def once(self) -> None:
        """One beat for everybody."""
        beating = self._whom()
        if not beating:
            return
        self._seams.reach("before beat")
        asked = boot_seconds()
        self._store.read_clock(self._lane)
        missing = self._prolonged(beating, asked)
        self._seams.reach("after beat")
        if missing:
            self._look_for(missing, asked)

    def _prolonged(self, beating: Sequence[Beating], asked: float, patience: float | None = None) -> list[Beating]:
        """Prolong these leases; those that were not."""
        alive = self._store.workers.beat([one.worker for one in beating], self._lease, patience)
        # A gap of a whole lease: others may have seen us dead, and we have not seen others beat.
        if asked - self._last_good > self._lease or self._good_since == float("inf"):
            self._good_since = asked
        self._last_good = asked
        for one in beating:
            if one.worker in alive:
                one.page.good_since = self._good_since
                # The lease as the owner knows it ends a little before others may think so.
                one.page.lease_until = asked + self._lease * 0.95
                if (word := alive[one.worker]) is not None:
                    one.told(word)
        return [one for one in beating if one.worker not in alive]

    def _look_for(self, missing: list[Beating], began: float) -> None:
        """Those without a beat are dead, or their rows are locked: asked for one by one, each time from another on,
        for whoever holds one row must cost no other its lease.
        """
        dead = self._store.workers.dead([one.worker for one in missing])
        for one in missing:
            if one.worker in dead:
                one.page.lease_until = 0.0
                one.died()
        locked = [one for one in missing if one.worker not in dead]
        self._turns += 1
        for turn in range(len(locked)):
            asked = boot_seconds()
            if asked - began > min(self._beat, self._lease / 6):
                break
            self._prolonged([locked[(self._turns + turn) % len(locked)]], asked, _LOCK_WAIT)

    def _work(self) -> None:
        while True:
            # Before the beat: who asks for one during it waits for the next.
            self._woken.clear()
            if self._closing:
                return
            began = boot_seconds()
            pause = min(1.0, self._beat)
            try:
                self.once()
                pause = max(0.02, began + self._beat - boot_seconds())
            except StoreError as error:
                log.warning("no heartbeat: %s", error)
            except Exception:
                log.exception("heartbeat failed")
            self._woken.wait(pause)
