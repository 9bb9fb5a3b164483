"""Seams that end their own process with SIGKILL at a named point, once."""

import os
import signal
import threading
from pathlib import Path

from backburner.seams import SeamName, Seams


class DeadlySeams(Seams):
    """A file named after a point, with a number in it, says: die there, at that many-th time you come by."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def reach(self, name: SeamName) -> None:
        order = order_file(self._place, name)
        try:
            wanted = int(order.read_text())
        except (FileNotFoundError, ValueError):
            return
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + 1
            if self._counts[name] < wanted:
                return
            try:
                # Written first, by whoever comes first: one death per order.
                os.close(os.open(order.with_suffix(".done"), os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return
            os.kill(os.getpid(), signal.SIGKILL)


def order_file(place: Path, name: SeamName) -> Path:
    return place / f"die {name}.order"
