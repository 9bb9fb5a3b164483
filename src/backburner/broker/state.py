"""What a process knows of the broker it rings by."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BrokerState:
    """How this process sees its broker.

    `connected` is None while it has not been needed. `away_since` (UTC) and `error` tell since when it has not
    answered and what it said last; `waiting` is the number of jobs that were not rung for yet.
    """

    url: str
    connected: bool | None
    away_since: datetime | None
    error: str | None
    waiting: int = 0


class Watched:
    """Keeps the present `BrokerState` and says in the log when it changes. `url` is one without password."""

    def __init__(self, url: str, now: Callable[[], datetime]) -> None:
        self._url, self._now = url, now
        self._lock = threading.Lock()
        self._connected: bool | None = None
        self._since: datetime | None = None
        self._error: str | None = None

    def found(self) -> None:
        """It answers."""
        with self._lock:
            was, self._connected, self._since = self._connected, True, None
        if was is False:
            log.info("the broker %s is back", self._url)

    def lost(self, error: BaseException) -> None:
        """It does not answer."""
        text = f"{type(error).__name__}: {error}"[:500]
        with self._lock:
            was, self._connected, self._error = self._connected, False, text
            self._since = self._since or self._now()
        if was is not False:
            log.warning("the broker %s is away (%s); workers look into the database instead", self._url, text)

    def state(self, waiting: int) -> BrokerState:
        """How it is now."""
        with self._lock:
            return BrokerState(self._url, self._connected, self._since, self._error, waiting)
