"""MariaDB and MySQL have nothing to listen to: rings are heard in this process, others by the poll."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from backburner.notify.base import LocalEar
from backburner.store.lane import Roll


class PollingBell:
    """In this process a ring is heard at once; other processes look once a second by themselves.

    No thread and no connection: a look more often would cost every idle worker a round trip each time.
    """

    def __init__(self) -> None:
        self._ears: Roll[LocalEar] = Roll()

    def ring(self, queues: Iterable[str]) -> None:
        for ear in self._ears:
            ear.ring()

    def ear(self, queues: Sequence[str] = (), priorities: tuple[int, int] | None = None) -> LocalEar:
        ear = LocalEar()
        self._ears.add(ear)
        return ear

    def close(self) -> None:
        return None
