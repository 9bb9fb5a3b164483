"""What a supervisor does in the database: its workers' leases begin, are kept, and end with a rescue."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from backburner.blame import Limits, judge
from backburner.clock import boot_seconds
from backburner.errors import StoreError
from backburner.seams import Seams
from backburner.store.store import Store
from backburner.store.workers import WorkerRow
from backburner.version import VERSION
from backburner.worker.children import Child, Grave
from backburner.worker.heartbeat import Beating, Heartbeat
from backburner.worker.options import WorkerOptions
from backburner.worker.process import HUNG_SECONDS

log = logging.getLogger(__name__)

_LAST_RESCUE_SECONDS = 10.0
_TURN_SECONDS = 0.1


class Leases:
    """The leases of one supervisor's children. `settings` are what a child said of the database.

    The dead are buried in the thread of the heartbeat, which is woken for it.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        supervisor: str,
        options: WorkerOptions,
        beating: Callable[[], list[Beating]],
        seams: Seams,
    ) -> None:
        self._supervisor, self._options, self._beating, self._seams = supervisor, options, beating, seams
        self._limits = Limits(settings["max_crashes"], settings["max_losses"])
        self._store = Store(
            settings["url"],
            schema=settings["schema"],
            prefix=settings["table_prefix"],
            pooled=settings["pooled"],
            # The child has made sure of the tables.
            auto_migrate=False,
        )
        self._heartbeat: Heartbeat | None = None
        self._graves: deque[Grave] = deque()
        self._burying = threading.Lock()

    def begin(self, one: Child) -> None:
        """Register a child as a worker and beat for it from now on."""
        store, options = self._store, self._options
        one.life = store.dialect.hold_life(one.worker)
        now = store.clock.now()
        store.workers.register(
            WorkerRow(
                id=one.worker,
                supervisor=self._supervisor,
                host=socket.gethostname(),
                pid=one.pid,
                label=options.label,
                queues=options.queues_text,
                concurrency=options.concurrency,
                version=VERSION,
                started_at=now,
                beat_at=now,
                # Over already: the first beat, which follows at once, grants it.
                lease_until=now,
                priorities=options.priority_text,
            )
        )
        one.ready = True
        if self._heartbeat is None:
            self._heartbeat = Heartbeat(store, options.lease, options.beat, self._beating, self._seams, also=self._bury)
            self._heartbeat.start()
        self._heartbeat.beat_now()

    def end(self, grave: Grave) -> None:
        """A child is dead: have its jobs rescued at once, or as soon as the database is back."""
        self._graves.append(grave)
        if self._heartbeat is not None:
            self._heartbeat.hurry()

    def is_over(self, one: Child) -> bool:
        """True when others may have taken the jobs of a child that lives."""
        return one.page.lease_until < boot_seconds() and self._store.dialect.proof_of_death(one.worker) is not False

    def apart(self, seconds: float) -> AbstractContextManager[bool]:
        """Fork inside; see `Store.apart`."""
        return self._store.apart(seconds)

    def abandon_hung_calls(self) -> None:
        """Make calls to the database fail that nobody will answer any more."""
        self._store.abandon_overdue(HUNG_SECONDS)

    def close(self) -> None:
        """Stop beating, bury who is left, for 10 s at most, and close every connection."""
        if self._heartbeat is not None:
            self._heartbeat.close()
        until = boot_seconds() + _LAST_RESCUE_SECONDS
        while self._graves and boot_seconds() < until:
            try:
                self._bury()
            except StoreError as error:
                log.warning("jobs of ended workers wait for rescue: %s", error)
                time.sleep(0.5)
        self._store.close()

    def _bury(self) -> None:
        """Rescue the jobs of children that ended; those that cannot be reached now stay for the next round."""
        # At the end the heartbeat's thread may still be at it, waiting for the database.
        if self._burying.acquire(timeout=_TURN_SECONDS):
            try:
                self._bury_all()
            finally:
                self._burying.release()

    def _bury_all(self) -> None:
        while self._graves:
            grave = self._graves[0]
            now = self._store.clock.now()
            self._seams.reach("before rescue")
            settled = self._store.workers.rescue(
                grave.worker,
                lambda orphan: judge(orphan, grave.death, self._limits, now),  # noqa: B023 (used at once)
                self._supervisor,
                grave.death.cause,
                certain=True,
            )
            self._seams.reach("after rescue")
            if settled:
                log.warning("took over %d jobs of worker %s", len(settled), grave.worker)
            # Nobody can ask anything of it from now on: what came after its last beat was heard by nobody.
            buried = self._store.workers.get(grave.worker)
            if buried is not None and buried.told is not None:
                grave.told(buried.told)
            if grave.life is not None:
                grave.life.end()
            self._graves.popleft()
