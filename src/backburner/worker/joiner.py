"""Lets jobs go on that come after others: after each batch of ends, and by a sweep for what that missed."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from backburner.notify import Bell
from backburner.outcome import Settlement
from backburner.store.store import Store

log = logging.getLogger(__name__)

PAGE_SECONDS = 0.05
"""The pause between two pages of a sweep."""


class Joiner:
    """`follow` for the finisher's thread, `once` for the round of chores."""

    def __init__(self, store: Store, bell: Bell, every: float) -> None:
        self._store, self._bell, self.every = store, bell, every
        self._after = ""

    def follow(self, ended: Iterable[Settlement], accepted: set[str]) -> None:
        """Let go on what waits for jobs that have just ended, and what begins to wait for one that has."""
        ended = [end for end in ended if end.id in accepted]
        ids = dict.fromkeys(end.id for end in ended)
        ids.update(dict.fromkeys(parent.job for end in ended for parent in end.parents))
        queues = self._store.dependencies.follow(list(ids))
        if queues:
            self._bell.ring(queues)

    def once(self) -> float | None:
        """One page of a sweep; the next one soon while there are more."""
        found, self._after = self._store.dependencies.sweep(self._after)
        if found:
            log.info("%d jobs were done, and what waits for them had not been told", len(found))
            queues = self._store.dependencies.join(found, patient=False)
            if queues:
                self._bell.ring(queues)
        return PAGE_SECONDS if self._after else None
