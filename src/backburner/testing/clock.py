"""`FakeClock`: time that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from backburner.clock import DatabaseClock
from backburner.errors import InvalidOption
from backburner.outcome import seconds_of


class FakeClock(DatabaseClock):
    """Stands in for the database's time. It begins at the present second, or at `moment`.

    Only what is due, expires or is too old goes by it; time limits of running jobs go by real time.
    """

    def __init__(self, moment: datetime | None = None) -> None:
        super().__init__()
        self._start = self._moment = (moment or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)

    def now(self) -> datetime:
        """The present of this test, aware, UTC."""
        return self._moment

    def seconds(self) -> float:
        """Seconds since the test began, by this clock."""
        return (self._moment - self._start).total_seconds()

    def read(self, moment: datetime, asked: float, answered: float) -> None:
        """What the database says about time is ignored."""
        return

    def move(self, seconds: float | timedelta) -> datetime:
        """Let time pass; the new present. Raises `InvalidOption` for a negative duration."""
        return self.move_to(self._moment + timedelta(seconds=seconds_of("seconds", seconds)))

    def move_to(self, moment: datetime) -> datetime:
        """Let time pass until an aware moment. Raises `InvalidOption` for one that has passed."""
        if moment.tzinfo is None:
            raise InvalidOption("moment", moment, "has no time zone", "Pass an aware datetime")
        if moment < self._moment:
            raise InvalidOption("moment", moment.isoformat(), "has passed", "Time only moves on")
        self._moment = moment.astimezone(UTC)
        return self._moment
