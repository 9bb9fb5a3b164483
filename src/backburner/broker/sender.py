"""`Sender`: one thread per process that sends rings, never in the way of a request."""

from __future__ import annotations

import threading
from collections.abc import Callable

from backburner.broker.link import Link
from backburner.broker.pause import Pause
from backburner.broker.state import Watched

_PAUSE_SECONDS = 0.005
"""What is rung within this time goes out together."""
MOST_PLACES = 1_000
"""More places at a time than this are rung for as one: "anywhere". So memory has a bound."""

Key = tuple[str | None, int | None]
_ANYWHERE: Key = (None, None)


class Sender:
    """Adding costs a dictionary entry. While the broker is away what was added is kept, added up by place."""

    def __init__(self, open_link: Callable[[], Link], watched: Watched) -> None:
        self._open_link, self._watched = open_link, watched
        self._lock = threading.Lock()
        self._pending: dict[Key, int] = {}
        self._under_way: dict[Key, int] = {}
        self._rang = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """For how many jobs nobody has been rung yet."""
        with self._lock:
            return sum(self._pending.values()) + sum(self._under_way.values())

    def add(self, key: Key, jobs: int) -> None:
        """Ring for so many jobs, soon."""
        with self._lock:
            self._count(key, jobs)
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._send, name="backburner-broker", daemon=True)
                self._thread.start()
        self._rang.set()

    def close(self, seconds: float) -> None:
        """Send what is left and stop; give up after `seconds`, and at once while the broker is away."""
        self._closing.set()
        self._rang.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def _send(self) -> None:
        pause, link = Pause(), None
        while True:
            self._rang.wait()
            self._rang.clear()
            self._take()
            fresh = link is None
            try:
                if self._under_way:
                    link = link or self._open_link()
                    link.publish(self._under_way)
                    self._watched.found()
                    pause.over()
                    self._under_way = {}
            except Exception as error:  # noqa: BLE001 (drivers raise what they like; all of it means: not sent)
                if link is not None:
                    link.close(broken=True)
                    link = None
                self._keep()
                # A connection that was fine until now is made anew at once.
                if fresh:
                    self._watched.lost(error)
                    if self._closing.wait(pause.next()):
                        return
                continue
            if self._closing.is_set() and not self._pending:
                if link is not None:
                    link.close()
                return
            self._closing.wait(_PAUSE_SECONDS)

    def _count(self, key: Key, jobs: int) -> None:
        if key not in self._pending and len(self._pending) >= MOST_PLACES:
            key = _ANYWHERE
        self._pending[key] = self._pending.get(key, 0) + jobs

    def _take(self) -> None:
        with self._lock:
            self._under_way, self._pending = self._pending, {}

    def _keep(self) -> None:
        # In one go: in between, fewer would seem to wait.
        with self._lock:
            kept, self._under_way = self._under_way, {}
            for key, jobs in kept.items():
                self._count(key, jobs)
        self._rang.set()
