"""The database's time, moved: a file says by how many seconds, for all processes that follow it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from backburner.clock import DatabaseClock

Read = Callable[[DatabaseClock, datetime, float, float], None]


def move(place: Path, seconds: float) -> None:
    """From its next reading on every clock is so many seconds off."""
    new = _file(place).with_suffix(".new")
    new.write_text(str(seconds))
    new.rename(_file(place))


def moved(place: Path) -> float:
    """By how many seconds the time is moved."""
    try:
        return float(_file(place).read_text())
    except FileNotFoundError:
        return 0.0


def follow(place: Path) -> None:
    """Have all clocks of this process read the moved time, once: forked ones follow already."""
    read: Read = DatabaseClock.read
    if read.__module__ == __name__:
        return

    def read_moved(clock: DatabaseClock, moment: datetime, asked: float, answered: float) -> None:
        read(clock, moment + timedelta(seconds=moved(place)), asked, answered)

    DatabaseClock.read = read_moved  # type: ignore[method-assign, assignment]


def _file(place: Path) -> Path:
    return place / "clock"
