"""Waiting for a condition instead of for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

FIRST_PAUSE, MOST_PAUSE = 0.005, 0.05
"""Seconds between two looks: at first what happens at once is seen at once, later a look must not cost the cores that
what is waited for could use.
"""


class NeverHappened(AssertionError):
    """A condition a test waited for did not come true before the deadline."""


def wait_until(condition: Callable[[], T], what: str, seconds: float = 60.0) -> T:
    """Ask `condition` again and again until it is true, and return its value.

    Raises NeverHappened, naming `what`, after `seconds`. The deadline is generous: it only ends a broken
    test.
    """
    deadline, pause = time.monotonic() + seconds, FIRST_PAUSE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise NeverHappened(f"waited {seconds:g} s, and it did not happen: {what}")
        time.sleep(pause)
        pause = min(pause * 1.3, MOST_PAUSE)
