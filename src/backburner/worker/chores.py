"""The round of chores of a worker: each part has its own pace, all share one thread."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from backburner.clock import boot_seconds
from backburner.errors import StoreError

log = logging.getLogger(__name__)


class Chore(Protocol):
    """Something any worker may do at any time."""

    every: float
    """Seconds between two rounds, before jitter."""

    def once(self) -> float | None:
        """Do it. Seconds until there is more to do, when that is known to be sooner than `every`."""
        ...


@runtime_checkable
class Closing(Protocol):
    """A chore that has something to do at the end, too."""

    def last(self) -> None:
        """Do it, briefly."""
        ...


class Chores:
    """Runs chores when they are due, each with a quarter of jitter, so that workers spread out."""

    def __init__(self, chores: Sequence[Chore]) -> None:
        self._due = {chore: boot_seconds() + random.uniform(0, min(1.0, chore.every)) for chore in chores}
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="backburner-chores", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread after the chore under way."""
        self._closing = True
        self._wake.set()
        self._thread.join(5.0)

    def do_all(self, *, but: tuple[type, ...] = ()) -> None:
        """Do every chore once, in this thread, but for these kinds. Raises what they raise."""
        for chore in self._due:
            if not isinstance(chore, but):
                chore.once()

    def _work(self) -> None:
        while not self._closing:
            chore = min(self._due, key=lambda one: self._due[one])
            left = self._due[chore] - boot_seconds()
            if left > 0:
                self._wake.wait(min(left, 1.0))
                continue
            pause: float | None = None
            try:
                pause = chore.once()
            except StoreError as error:
                log.warning("%s waits: %s", type(chore).__name__, error)
            except Exception:
                log.exception("%s failed", type(chore).__name__)
            usual = chore.every * random.uniform(0.75, 1.25)
            self._due[chore] = boot_seconds() + (usual if pause is None else min(usual, pause))
        self._end()

    def _end(self) -> None:
        for chore in self._due:
            if isinstance(chore, Closing):
                try:
                    chore.last()
                except Exception as error:  # noqa: BLE001 (the worker ends, with or without it)
                    log.warning("%s could not end well: %s", type(chore).__name__, error)
