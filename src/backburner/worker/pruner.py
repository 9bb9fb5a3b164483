"""Deletes finished jobs whose time is over, files and cookies past their life, and keys that are free."""

from __future__ import annotations

import logging
from datetime import timedelta

from backburner.files import FileStore
from backburner.settings import Settings
from backburner.states import FINAL, JobState
from backburner.store.store import Store
from backburner.store.upkeep import BATCH

log = logging.getLogger(__name__)

_KEY_PAGES = 20
"""Pages of keys that a round looks through."""
_WORKERS_KEPT = timedelta(days=7)


class Pruner:
    """One bounded batch per state and round; at once again while there is more."""

    every = 60.0

    def __init__(self, store: Store, files: FileStore, settings: Settings) -> None:
        self._store, self._files = store, files
        self._next_key = ""
        self._cleaning = settings.cleaning
        self._keep = {state: float(getattr(settings, f"keep_{state}")) for state in sorted(FINAL)}

    def once(self) -> float | None:
        """Prune a batch of each state."""
        more = []
        if self._cleaning:
            more = [self._prune(state, keep) for state, keep in self._keep.items() if keep > 0]
            more.append(self._store.upkeep.prune_kept() == BATCH)
        self._prune_files()
        self._prune_keys()
        self._store.grants.prune(BATCH)
        self._store.workers.prune(self._store.clock.now() - _WORKERS_KEPT, BATCH)
        return 0.1 if any(more) else None

    def _prune(self, state: JobState, keep: float) -> bool:
        return self._store.upkeep.prune(state, keep) == BATCH

    def _prune_files(self) -> None:
        gone = []
        for file_id, place in self._store.upkeep.expired_files():
            # First the bytes, then the row: a crash between them leaves a row that is tried again.
            try:
                self._files.delete(place)
            except Exception as error:  # noqa: BLE001 (file systems of others raise what they like)
                log.warning("file %s cannot be deleted, and is tried again: %s", place, error)
            else:
                gone.append(file_id)
        if gone:
            self._store.upkeep.forget_files(gone)

    def _prune_keys(self) -> None:
        # All keys by and by: a free one that stays for a while harms nobody.
        for _ in range(_KEY_PAGES):
            _, self._next_key = self._store.keys.prune(self._next_key, BATCH)
            if not self._next_key:
                return
