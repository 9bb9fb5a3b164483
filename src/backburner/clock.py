"""Time as Backburner uses it: one clock per process, passed in, never asked of a statement.

The production clock is the database's time, read at connect and at each beat, carried on by the clock that
also counts while the machine sleeps. So all processes agree on what is due, whatever their own clocks say.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_seconds() -> float:
    """Seconds since boot, suspended time included where the system can tell; never goes back."""
    return time.clock_gettime(_BOOT)


class Clock(Protocol):
    """What the rest of Backburner knows of time."""

    def now(self) -> datetime:
        """The present, aware, UTC."""
        ...

    def seconds(self) -> float:
        """A steady count of seconds, for durations and leases; its zero means nothing."""
        ...


class DatabaseClock:
    """The database's time, carried on by the boot-time clock between readings.

    Before the first reading it is the system's time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._base = (datetime.now(UTC), boot_seconds())

    def now(self) -> datetime:
        moment, at = self._base
        return moment + timedelta(seconds=boot_seconds() - at)

    def seconds(self) -> float:
        return boot_seconds()

    def read(self, moment: datetime, asked: float, answered: float) -> None:
        """Take over the database's time `moment`, asked for and answered at these boot seconds.

        The middle of the two is when the database looked at its clock, give or take half the round trip.
        """
        with self._lock:
            self._base = (moment.astimezone(UTC), (asked + answered) / 2)
