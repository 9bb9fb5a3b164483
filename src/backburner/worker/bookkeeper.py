"""Writes what was counted, merges what is old, and looks once a minute how many jobs wait."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from backburner.errors import StoreError
from backburner.rollup import minute_of
from backburner.store.store import Store
from backburner.worker.ledger import Ledger

COUNTED = 10_000
_FAILURES_KEPT = timedelta(days=90)
_BATCH = 500
_MERGE_MINUTES = 1
_PRUNE_MINUTES = 60


class Bookkeeper:
    """Every ten seconds, and once more at the end."""

    every = 10.0

    def __init__(self, store: Store, ledger: Ledger, worker: Callable[[], str]) -> None:
        self._store, self._ledger, self._worker = store, ledger, worker
        self._looked = self._merged = self._pruned = 0

    def once(self) -> float | None:
        """Write, and do what is due beside it."""
        self.last()
        minute = minute_of(self._store.clock.now())
        if minute != self._looked:
            self._looked = minute
            self._store.rollups.write_depths(minute, self._store.reports.queued(self._store.queues.used(), COUNTED))
        if minute - self._merged >= _MERGE_MINUTES and not self._store.rollups.merge(minute):
            self._merged = minute
        if minute - self._pruned >= _PRUNE_MINUTES:
            self._pruned = minute
            self._store.failures.prune(self._store.clock.now() - _FAILURES_KEPT, _BATCH)
        return None

    def last(self) -> None:
        """Write what was counted."""
        rollups, seen = self._ledger.take()
        try:
            self._store.rollups.write(rollups, self._worker())
        except StoreError:
            self._ledger.put_back(rollups)
            raise
        self._store.failures.count(seen)
