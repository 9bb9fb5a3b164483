"""Whose turn it is to write, where one writes at a time."""

from __future__ import annotations

import heapq
import threading


class Turn:
    """A lock that, when let go, goes to the most urgent one who waits; first come, first served among equals.

    SQLite has one writer at a time: without an order a stream of claims could keep a beat out.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: list[tuple[int, int, threading.Event]] = []
        self._count = 0

    def acquire(self, urgency: int) -> None:
        """Take the turn, smaller `urgency` first."""
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            self._count += 1
            place = (urgency, self._count, threading.Event())
            heapq.heappush(self._waiting, place)
        try:
            place[2].wait()
        except BaseException:
            # Ctrl-C while waiting: nobody may be handed a turn he will not take.
            self._leave(place)
            raise

    def _leave(self, place: tuple[int, int, threading.Event]) -> None:
        with self._lock:
            if place in self._waiting:
                self._waiting.remove(place)
                heapq.heapify(self._waiting)
                return
        self.release()

    def release(self) -> None:
        """Pass the turn on."""
        with self._lock:
            if self._waiting:
                heapq.heappop(self._waiting)[2].set()
            else:
                self._taken = False
