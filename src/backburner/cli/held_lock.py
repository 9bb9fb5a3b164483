"""`HeldLock`: one of the places that a command may take at the same time, held while it runs."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from types import TracebackType
from typing import TYPE_CHECKING

from backburner.clock import boot_seconds
from backburner.errors import AlreadyRunning, StoreError
from backburner.ids import Ids

if TYPE_CHECKING:
    from backburner.store.store import Store

log = logging.getLogger(__name__)

LEASE_SECONDS = 30.0
"""How long a lock outlives a holder that died."""


class HeldLock:
    """Takes one of `places` locks, name-1 to name-N, and prolongs it from a thread until the block ends.

    Entering raises `AlreadyRunning`, which says who has them, and `StoreError`. When the lock is lost, because
    the database was away for longer than the lease and somebody else took it, this process gets a SIGTERM.
    """

    def __init__(self, store: Store, name: str, places: int, lease: float = LEASE_SECONDS) -> None:
        self._store, self._name, self._places, self._lease = store, name, places, lease
        self._holder = Ids().new()
        self._taken = ""
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._prolong, name="backburner-lock", daemon=True)

    def __enter__(self) -> HeldLock:
        self._store.ready()
        since = f"{self._store.clock.now():%Y-%m-%d %H:%M:%S} UTC"
        self._note = f"host {socket.gethostname()}, process {os.getpid()}, since {since}"
        others = []
        for number in range(1, self._places + 1):
            self._taken = f"{self._name}-{number}"
            other = self._acquire()
            if other is None:
                self._thread.start()
                return self
            others.append(other)
        self._store.close()
        raise AlreadyRunning(f"backburner {self._name}", "; ".join(others))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        try:
            self._store.locks.release(self._taken, self._holder)
        except StoreError as problem:
            log.warning("lock %s stays taken for at most %g s: %s", self._taken, self._lease, problem)

    def _acquire(self) -> str | None:
        try:
            return self._store.locks.acquire(self._taken, self._holder, self._note[:200], self._lease)
        finally:
            # No connection stays open: this process forks, and SQLite's files must not be open across a fork.
            self._store.close()

    def _prolong(self) -> None:
        pause, until = self._lease / 3, boot_seconds() + self._lease
        while not self._done.wait(pause):
            asked = boot_seconds()
            try:
                other = self._acquire()
            except StoreError as error:
                log.warning("lock %s cannot be prolonged: %s", self._taken, error)
                pause = 1.0
                continue
            if other is not None:
                log.error("lock %s was lost %g s ago to %s; stopping", self._taken, asked - until, other)
                os.kill(os.getpid(), signal.SIGTERM)
                return
            pause, until = self._lease / 3, asked + self._lease
