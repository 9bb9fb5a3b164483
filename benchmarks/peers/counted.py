"""What every system's bodies do: count, or note how long ago they were asked for.

Run by each system's own Python, so it needs nothing but the standard library. A process has a file of its own in the
folder `BENCH_FOLDER`, with a place for each of its threads: no two threads write to one place.
"""

from __future__ import annotations

import itertools
import mmap
import os
import threading
import time
from pathlib import Path

PLACES = 512


class Counter:
    """The file of one process."""

    def __init__(self, folder: Path) -> None:
        self.pid = os.getpid()
        path = folder / f"{self.pid}.count"
        path.write_bytes(bytes(8 * PLACES))
        with path.open("r+b") as file:
            self._places = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")
        self._next = itertools.count()
        self._own = threading.local()

    def tick(self) -> None:
        """One more."""
        place = getattr(self._own, "place", None)
        if place is None:
            place = self._own.place = next(self._next)
        self._places[place] += 1


_lock = threading.Lock()
_counters: list[Counter] = []


def tick() -> None:
    """Count one body."""
    counter = _counters[-1] if _counters else None
    if counter is None or counter.pid != os.getpid():
        with _lock:
            if not _counters or _counters[-1].pid != os.getpid():
                _counters.append(Counter(Path(os.environ["BENCH_FOLDER"])))
            counter = _counters[-1]
    counter.tick()


def note(sent: float) -> None:
    """Note how long ago this was asked for, in seconds; `sent` is `time.monotonic()`, which all processes share."""
    passed = time.monotonic() - sent
    with (Path(os.environ["BENCH_FOLDER"]) / f"{os.getpid()}.noted").open("a") as file:
        file.write(f"{passed}\n")


def counted(folder: Path) -> int:
    """How many bodies have been counted, by all processes."""
    return sum(sum(memoryview(path.read_bytes()).cast("Q")) for path in folder.glob("*.count"))


def noted(folder: Path) -> list[float]:
    """What has been noted, by all processes."""
    return [float(line) for path in folder.glob("*.noted") for line in path.read_text().splitlines()]
