"""The signals of a supervisor: noted when they come, acted on when its loop asks."""

from __future__ import annotations

import os
import select
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

_TAKEN = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class Signals:
    """Takes the signals of this process while it is entered; a pipe ends `wait` as soon as one comes."""

    def __init__(self) -> None:
        self._noted: deque[int] = deque()
        self._previous: dict[int, Any] = {}
        self._reading = self._writing = -1

    def __enter__(self) -> Signals:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        os.set_blocking(self._reading, False)
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        for number in _TAKEN:
            self._previous[number] = signal.signal(number, lambda n, _: self._noted.append(n))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        os.close(self._reading)
        os.close(self._writing)

    def wait(self, others: Iterable[int], seconds: float) -> list[int]:
        """Wait for a signal, or for something to read in one of `others`: those that have it."""
        readable, _, _ = select.select([self._reading, *others], [], [], seconds)
        if self._reading in readable:
            readable.remove(self._reading)
            os.read(self._reading, 4096)
        return readable

    def noted(self) -> Iterator[int]:
        """The signals that came, each once, the oldest first."""
        while self._noted:
            yield self._noted.popleft()

    @staticmethod
    def forget() -> None:
        """In a forked child: let the system's own answers to them hold again."""
        signal.set_wakeup_fd(-1)
        for number in _TAKEN:
            signal.signal(number, signal.SIG_DFL)
