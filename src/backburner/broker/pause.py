"""How long to wait before the next try to reach a broker."""

from __future__ import annotations

import random

_FIRST, _MOST = 0.1, 5.0


class Pause:
    """At first hardly any, then longer and longer, with full jitter: processes must not come back all at once."""

    def __init__(self) -> None:
        self._most = _FIRST

    def next(self) -> float:
        """Seconds until the next try."""
        most, self._most = self._most, min(_MOST, self._most * 2)
        return random.uniform(most / 4, most)

    def over(self) -> None:
        """It worked."""
        self._most = _FIRST
