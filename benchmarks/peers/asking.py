"""The asking side of each system, told by the command line: `asking.py APP setup | one N | bulk N | stamp N GAP`.

APP is a module beside this one, with a class `Asking`: imported by name, as some systems name tasks by their module.
Prints the seconds that the calls alone took.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from typing import Protocol


class Asking(Protocol):
    """How a system is asked."""

    def setup(self) -> None:
        """Make tables or queues, once."""
        ...

    def one(self, count: int) -> None:
        """Enqueue so many jobs that do nothing, one call each."""
        ...

    def bulk(self, count: int) -> None:
        """Enqueue as many by the quickest way that is documented."""
        ...

    def stamp(self, sent: float) -> None:
        """Enqueue a job that notes how long ago `sent` was."""
        ...


def main(app: str, verb: str, *words: str) -> None:
    """Do what the command line says."""
    asking: Asking = import_module(app).Asking()
    numbers = [float(word) for word in words]
    if verb == "stamp":
        for _ in range(int(numbers[0])):
            asking.stamp(time.monotonic())
            time.sleep(numbers[1])
        return
    # What is opened by the first call is not measured.
    if verb in {"one", "bulk"} and int(numbers[0]) > 1:
        asking.one(1)
        numbers[0] -= 1
    began = time.perf_counter()
    {"setup": asking.setup, "one": asking.one, "bulk": asking.bulk}[verb](*(int(number) for number in numbers))
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main(*sys.argv[1:])
