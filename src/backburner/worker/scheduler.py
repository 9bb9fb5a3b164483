"""Stores the schedules of the app's code, and enqueues the jobs of all schedules when they are due."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from backburner.clock import boot_seconds
from backburner.errors import BackburnerError, KeyBusy, StoreError
from backburner.notify import Bell
from backburner.schedule import Schedule
from backburner.schedules import Schedules
from backburner.store.schedules import BATCH, older
from backburner.store.store import Store

log = logging.getLogger(__name__)

SEEN_SECONDS = 60.0
"""How often somebody notes that a schedule is still in the code of a live worker."""
GONE_SECONDS = 300.0
"""Without such a note for so long, a definition gives way: to an older one, or to none."""
FIRES_KEPT = timedelta(days=7)
_SOON = 0.05
_BATCHES = 20


class Scheduler:
    """Looks once per `every` seconds, and exactly when the next schedule is due."""

    def __init__(
        self, store: Store, bell: Bell, new_id: Callable[[], str], schedules: Schedules, every: float,
        seconds: Callable[[], float] = boot_seconds,
    ) -> None:  # fmt: skip
        self._store, self._bell, self._new_id, self._schedules = store, bell, new_id, schedules
        self.every = every
        self._seconds = seconds
        self._started = seconds()
        self._synced: float | None = None

    def once(self) -> float | None:
        """Fire what is due; the seconds until the next schedule is."""
        if self._synced is None or self._seconds() - self._synced >= SEEN_SECONDS:
            self.sync()
            self._synced = self._seconds()
        # After a failure: with the next look, not at once again.
        due = self._store.schedules.next_due() if self._fire() else None
        return None if due is None else max(_SOON, (due - self._store.clock.now()).total_seconds())

    def sync(self) -> None:
        """Bring what is stored up to the app's code: the newer definition wins, what nobody has is disabled."""
        door, now = self._store.schedules, self._store.clock.now()
        stored = {schedule.name: schedule for schedule in door.all()}
        mine = [replace(declaration.at(now), seen_at=now) for declaration in self._schedules.declared]
        for schedule in mine:
            try:
                self._store_one(schedule, stored.get(schedule.name))
            except StoreError:
                raise
            except BackburnerError as error:
                # Another worker was quicker; the next round sees what it stored.
                log.info("schedule %s: %s", schedule.name, error)
        if mine:
            door.seen([schedule.digest for schedule in mine], SEEN_SECONDS)
        if self._seconds() - self._started >= GONE_SECONDS:
            # Not before: after a break of all workers the others may not have come to it yet.
            door.disable_unseen(GONE_SECONDS)
        self._mend(list(stored.values()))
        self._prune()

    def _prune(self) -> None:
        for _ in range(_BATCHES):
            if self._store.schedules.prune(self._store.clock.now() - FIRES_KEPT) < BATCH:
                return

    def _store_one(self, schedule: Schedule, stored: Schedule | None) -> None:
        door = self._store.schedules
        if stored is None:
            door.add(schedule)
        elif stored.source != "code":
            log.warning("schedule %s of the code is left out: one added at run time has its name", schedule.name)
        elif stored.digest != schedule.digest and not (older(schedule, stored) and self._in_use(stored)):
            door.redefine(schedule, stored)

    def _in_use(self, stored: Schedule) -> bool:
        """Whether a live worker has this definition in its code."""
        since = self._store.clock.now() - timedelta(seconds=GONE_SECONDS)
        return stored.seen_at is not None and stored.seen_at >= since

    def _mend(self, stored: list[Schedule]) -> None:
        """After a correction of the clock a schedule must not wait for a time that was reckoned with the old one."""
        now = self._store.clock.now()
        for schedule in stored:
            try:
                following = schedule.times.after(now) if schedule.active else None
            except BackburnerError:
                continue
            if following is not None and schedule.next_at is not None and following < schedule.next_at:
                # What has fired already is not fired again: its row is there.
                self._store.schedules.move(schedule, following)

    def _fire(self) -> bool:
        """Fire what is due, each schedule in a transaction of its own; False when one could not be."""
        queues: set[str] = set()
        fine = True
        for name in self._store.schedules.due():
            try:
                queues.update(job.queue for job in self._store.schedules.fire(name, self._new_id))
            except KeyBusy as error:
                log.warning("schedule %s fires later: %s", name, error)
                fine = False
            except StoreError:
                raise
            except Exception:
                # One that this worker cannot read must not keep the others from firing.
                log.exception("schedule %s cannot be fired here", name)
                fine = False
        if queues:
            self._bell.ring(queues)
        return fine
