"""Writes what was counted, merges what is old, and looks once a minute how many jobs wait."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from backburner.errors import StoreError
from backburner.rollup import minute_of
from backburner.store.store import Store
from backburner.worker.ledger import Counted, Ledger

log = logging.getLogger(__name__)

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
        self._next_failure = ""
        self._unwritten: Counted | None = None

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
            before = self._store.clock.now() - _FAILURES_KEPT
            going_on = self._store.failures.prune(before, _BATCH, self._next_failure)
            self._next_failure = going_on or ""
            if going_on is None:
                self._pruned = minute
        return None

    def last(self) -> None:
        """Write what was counted; first what could not be written before, which may have been written all the same."""
        if self._unwritten is not None:
            self._write(self._unwritten)
        self._unwritten = self._ledger.take()
        if self._unwritten is not None:
            self._write(self._unwritten)

    def _write(self, counted: Counted) -> None:
        try:
            self._store.rollups.write(counted.rollups, self._worker(), counted.seen, counted.key)
        except StoreError:
            # It stays, under its key: as often as it is written, it counts once.
            raise
        except Exception:
            log.exception("what was counted of %d queues and tasks cannot be stored", len(counted.rollups))
        self._unwritten = None
