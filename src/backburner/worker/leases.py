"""What a supervisor does in the database: its workers' leases begin, are kept, and end with a rescue."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from backburner.blame import Limits
from backburner.clock import boot_seconds
from backburner.seams import Seams
from backburner.store.store import Store
from backburner.store.workers import WorkerRow
from backburner.version import VERSION
from backburner.worker.burials import Burials
from backburner.worker.children import Child, Grave
from backburner.worker.heartbeat import Beating, Heartbeat
from backburner.worker.options import WorkerOptions
from backburner.worker.process import HUNG_SECONDS


class Leases:
    """The leases of one supervisor's children. `settings` are what a child said of the database."""

    def __init__(
        self,
        settings: dict[str, Any],
        supervisor: str,
        options: WorkerOptions,
        beating: Callable[[], list[Beating]],
        seams: Seams,
    ) -> None:
        self._supervisor, self._options, self._beating, self._seams = supervisor, options, beating, seams
        self._store = Store(
            settings["url"],
            schema=settings["schema"],
            prefix=settings["table_prefix"],
            pooled=settings["pooled"],
            # The child has made sure of the tables.
            auto_migrate=False,
        )
        self._heartbeat: Heartbeat | None = None
        limits = Limits(settings["max_crashes"], settings["max_losses"])
        self._burials = Burials(self._store, supervisor, limits, seams)
        self._burials.start()

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
            self._heartbeat = Heartbeat(store, options.lease, options.beat, self._beating, self._seams)
            self._heartbeat.start()
        self._heartbeat.beat_now()

    def end(self, grave: Grave) -> None:
        """A child is dead: have its jobs rescued at once, or as soon as the database is back."""
        self._burials.add(grave)

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
        self._burials.close()
        self._store.close()
