"""Deletes finished jobs whose time is over, files and cookies past their life, and keys that are free.

When, and how long jobs are kept, may be said at run time: it is read again before each round.

With `clean_cron` what goes is what was to go at the last of its times. So whoever comes later makes up for a time at
which nobody was there, and finds nothing to do where somebody was.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from backburner.cron import CronTimes, zone_of
from backburner.files import FileStore
from backburner.insight.runtime import effective
from backburner.settings import Settings
from backburner.states import FINAL, JobState
from backburner.store.runtime import RuntimeRow
from backburner.store.store import Store
from backburner.store.upkeep import BATCH

log = logging.getLogger(__name__)

_ROUND_SECONDS = 60.0
_SOON = 0.1
_KEY_PAGES = 20
"""Pages of keys that a round looks through."""
_WORKERS_KEPT = timedelta(days=7)
_OF_CLEANING = frozenset({"cleaning", "clean_cron", "cron_zone", *(f"keep_{state}" for state in FINAL)})


class Pruner:
    """One bounded batch per state and round; at once again while there is more. `at_end`: there is a round at the end
    of a process that was too short for any.
    """

    every = 10.0

    def __init__(self, store: Store, files: FileStore, settings: Settings, *, at_end: bool = False) -> None:
        self._store, self._files, self._own, self._at_end = store, files, settings, at_end
        self._settings: Settings | None = None
        self._next_key = ""
        self._due: datetime | None = None

    def once(self) -> float | None:
        """Prune a batch of each state, when it is time to; every minute without a `clean_cron`."""
        said, now = self._store.runtime.all(), self._store.clock.now()
        before, self._settings = self._settings, effective(self._own, said)
        if before != self._settings:
            self._due = now
        if self._due is None or now < self._due:
            return None
        at = self._time(self._settings, said, now)
        if at is not None:
            if self._settings.cleaning and self._clean(self._settings, now, at):
                return _SOON
            self._prune_others(self._settings)
        self._due = self._next(self._settings, now)
        return None

    def last(self) -> None:
        """Do what is left to the end."""
        if self._at_end and self._settings is None:
            self.once()

    def _time(self, settings: Settings, said: Mapping[str, RuntimeRow], now: datetime) -> datetime | None:
        """What was to go by then goes now; None while the first time of a `clean_cron` is to come."""
        if settings.clean_cron is None:
            return now
        found = CronTimes(settings.clean_cron, zone_of(settings.cron_zone)).until(now)
        # Whoever says at noon that it is done at night, or what is kept from now on, does not mean last night.
        since = [row.at for name, row in said.items() if name in _OF_CLEANING]
        return found if found is None or all(at <= found for at in since) else None

    def _next(self, settings: Settings, now: datetime) -> datetime | None:
        if settings.clean_cron is None:
            return now + timedelta(seconds=_ROUND_SECONDS)
        return CronTimes(settings.clean_cron, zone_of(settings.cron_zone)).after(now)

    def _clean(self, settings: Settings, now: datetime, at: datetime) -> bool:
        """Prune a batch of each state of what was to go at `at`; True when there is more."""
        keep = {state: float(getattr(settings, f"keep_{state}")) for state in sorted(FINAL)}
        missed = (now - at).total_seconds()
        more = [self._prune(state, seconds + missed) for state, seconds in keep.items() if seconds > 0]
        more.append(self._store.upkeep.prune_kept(at) == BATCH)
        return any(more)

    def _prune_others(self, settings: Settings) -> None:
        now = self._store.clock.now()
        self._prune_files()
        self._prune_keys()
        self._store.grants.prune(BATCH)
        self._store.workers.prune(now - _WORKERS_KEPT, BATCH)
        if settings.keep_audit:
            self._store.audit.prune(now - timedelta(seconds=settings.keep_audit), BATCH)

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
