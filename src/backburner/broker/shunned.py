"""Queues of the broker that do not answer, and are left alone for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from backburner.broker.address import ANSWER_SECONDS
from backburner.broker.rings import Place
from backburner.clock import boot_seconds

SHUN_SECONDS = 600.0
_MOST = 1_000


class Shunned:
    """A broker that crashed may be back with one queue broken for good: it must not hold up the others.

    RabbitMQ 3.10 was seen to do so when it was killed at once or about a second after it had made a quorum queue.
    Its rings go to all listeners meanwhile.
    """

    def __init__(self) -> None:
        self._until: dict[Place, float] = {}

    def __contains__(self, place: Place) -> bool:
        return self._until.get(place, 0.0) > boot_seconds()

    @contextmanager
    def watch(self, place: Place) -> Iterator[None]:
        """What fails inside after a long wait is the fault of this queue; what fails at once is not."""
        began = boot_seconds()
        try:
            yield
        except Exception:
            if boot_seconds() - began >= ANSWER_SECONDS * 0.9:
                if len(self._until) >= _MOST:
                    self._until.clear()
                self._until[place] = boot_seconds() + SHUN_SECONDS
            raise
