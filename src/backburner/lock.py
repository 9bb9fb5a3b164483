"""`Lock`: something runs once at a time, on all hosts together; held in the database while it does."""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from backburner.checked import checked_text
from backburner.clock import boot_seconds
from backburner.errors import AlreadyRunning, InvalidOption, LockLost, StoreError
from backburner.ids import Ids
from backburner.outcome import seconds_of

if TYPE_CHECKING:
    from backburner.store.store import Store

log = logging.getLogger(__name__)

LEASE_SECONDS = 30.0
"""How long a lock outlives a holder that died."""
MAX_LOCK_NAME = 150
_LOOK_SECONDS = 0.5


class Lock:
    """Takes one of `places` locks, name-1 to name-N, and prolongs it from a thread until the block ends.

    Entering waits up to `wait` seconds, None for ever, and raises `AlreadyRunning`, which says who has it, and
    `StoreError`. When the lock was lost, because the database was away for longer than the lease and somebody
    else took it, `lost` is called from that thread, and `check` raises.
    """

    def __init__(
        self,
        store: Callable[[], Store],
        name: str,
        *,
        title: str | None = None,
        places: int = 1,
        wait: float | None = 0.0,
        lease: float = LEASE_SECONDS,
        lost: Callable[[], object] = lambda: None,
        apart: bool = False,
    ) -> None:
        self.name: str = name
        self._store, self._title, self._places = store, title or name, places
        self._wait, self._lease, self._lost, self._apart = wait, lease, lost, apart
        self._holder = Ids().new()
        self._taken = ""
        self._until = float("-inf")
        self._other: str | None = None
        self._done = threading.Event()

    def __enter__(self) -> Lock:
        """Take it."""
        store = self._store()
        store.ready()
        since = f"{store.clock.now():%Y-%m-%d %H:%M:%S} UTC"
        self._note = f"host {socket.gethostname()}, process {os.getpid()}, since {since}"
        until = float("inf") if self._wait is None else boot_seconds() + self._wait
        while (others := self._take_one()) is not None:
            rest = until - boot_seconds()
            if rest <= 0:
                self._let_go()
                raise AlreadyRunning(self._title, others)
            self._done.wait(min(rest, _LOOK_SECONDS * random.uniform(0.75, 1.25)))
        self._other = None
        self._done.clear()
        self._thread = threading.Thread(target=self._prolong, name="backburner-lock", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back."""
        self._done.set()
        self._thread.join()
        self._until = float("-inf")
        try:
            self._store().locks.release(self._taken, self._holder)
        except StoreError as problem:
            log.warning("lock %s stays taken for at most %g s: %s", self._taken, self._lease, problem)

    def on_lost(self, call: Callable[[], object]) -> None:
        """Call this, from the lock's thread, when somebody else has taken it."""
        self._lost = call

    @property
    def held(self) -> bool:
        """True while it is ours for certain."""
        return self._other is None and boot_seconds() < self._until

    def check(self) -> None:
        """Raise `LockLost` when it is not ours any more, or may not be: the database was away for too long."""
        if not self.held:
            raise LockLost(self._title, self._other)

    def _take_one(self) -> str | None:
        """Take a place; else who has them."""
        others = []
        for number in range(1, self._places + 1):
            self._taken = f"{self.name}-{number}"
            asked, other = boot_seconds(), self._acquire()
            if other is None:
                self._until = asked + self._lease
                return None
            others.append(other)
        return "; ".join(others)

    def _acquire(self) -> str | None:
        try:
            return self._store().locks.acquire(self._taken, self._holder, self._note[:200], self._lease)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        if self._apart:
            # No connection stays open: this process forks, and SQLite's files must not be open across a fork.
            self._store().close()

    def _prolong(self) -> None:
        pause = self._lease / 3
        while not self._done.wait(pause):
            asked = boot_seconds()
            try:
                other = self._acquire()
            except StoreError as error:
                log.warning("lock %s cannot be prolonged: %s", self._taken, error)
                pause = min(1.0, self._lease / 3)
                continue
            if other is not None:
                log.error("lock %s was lost %g s ago to %s", self._taken, asked - self._until, other)
                self._other = other
                self._lost()
                return
            pause, self._until = self._lease / 3, asked + self._lease


def app_lock(store: Callable[[], Store], name: str, wait: float | None, lease: float) -> Lock:
    """A lock of an app's own: its names are apart from those of commands. Raises `InvalidOption`."""
    checked_text("name", name, MAX_LOCK_NAME)
    if wait is not None:
        wait = seconds_of("wait", wait)
    if seconds_of("lease", lease) == 0:
        raise InvalidOption("lease", lease, "is no length of time", "Give seconds, for example 30")
    return Lock(store, f"lock:{name}", title=name, wait=wait, lease=lease)
