"""Lets a fork wait until no connection is in use.

SQLite keeps in the process's memory which locks its connections hold on a file. A child that is forked while
one is open believes that it holds locks which are the parent's: it finds the database busy for ever, or, worse,
works without locks. So a process that forks must have no connection open at that moment.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Everybody passes through while they use a connection; `close` keeps newcomers out until `open`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._closings = 0
        self._closer = 0
        self._own = threading.local()

    @contextmanager
    def use(self) -> Iterator[None]:
        """Use a connection meanwhile; waits while the gate is closed. A thread may come in twice."""
        depth = getattr(self._own, "depth", 0)
        if depth == 0:
            with self._changed:
                while self._closings and self._closer != threading.get_ident():
                    self._changed.wait()
                self._inside += 1
        self._own.depth = depth + 1
        try:
            yield
        finally:
            self._own.depth = depth
            if depth == 0:
                with self._changed:
                    self._inside -= 1
                    self._changed.notify_all()

    def close(self, seconds: float) -> bool:
        """Keep newcomers out; True when nobody is inside, False when somebody still is after `seconds`.

        Either way it stays closed until `open`. The thread that closed it may close it again.
        """
        me = threading.get_ident()
        with self._changed:
            while self._closings and self._closer != me:
                self._changed.wait()
            self._closings, self._closer = self._closings + 1, me
            if getattr(self._own, "depth", 0):
                return False
            return self._changed.wait_for(lambda: self._inside == 0, seconds)

    def open(self) -> None:
        """Undo one `close`."""
        with self._changed:
            self._closings -= 1
            self._changed.notify_all()
