"""`BrokerBell`: rings by the broker, and directly in this process."""

from __future__ import annotations

import atexit
import os
import weakref
from collections.abc import Iterable, Mapping, Sequence

from backburner.broker.address import Address
from backburner.broker.ear import BrokerEar
from backburner.broker.link import Link
from backburner.broker.rings import Names, Place
from backburner.broker.sender import Sender
from backburner.broker.shunned import Shunned
from backburner.broker.state import BrokerState, Watched
from backburner.store.lane import Roll
from backburner.store.store import Store

CLOSE_SECONDS = 2.0
"""How long the end of a process may wait for its last rings."""


class BrokerBell:
    """A bell whose rings are messages. The first ring, or the first ear, connects; in threads of their own."""

    def __init__(self, store: Store, address: Address) -> None:
        self._store, self._address = store, address
        self._names = Names.of(store)
        self._start_over()
        _at_end_and_after_fork(self)

    @property
    def state(self) -> BrokerState:
        """How this process sees the broker."""
        return self._watched.state(self._sender.waiting)

    def ring(self, queues: Iterable[str]) -> None:
        """Queues that may have something; a mapping says how many jobs by priority. None at all means anywhere."""
        for ear in self._ears:
            ear.ring()
        if isinstance(queues, Mapping):
            for queue, counts in queues.items():
                for priority, jobs in counts.items():
                    self._sender.add((queue, priority), jobs)
            return
        for queue in queues or (None,):
            self._sender.add((queue, None), 1)

    def ear(self, queues: Sequence[str] = (), priorities: tuple[int, int] | None = None) -> BrokerEar:
        """A listener for these queues, all when none is named, and these priorities."""
        ear = BrokerEar(
            lambda: Link.open(self._address, self._names.key, self._shunned, listens=True),
            self._watched, self._shunned, self._pass_on, queues, priorities,
        )  # fmt: skip
        self._ears.add(ear)
        return ear

    def close(self) -> None:
        """Send what is left, for a limited time, and stop."""
        self._sender.close(CLOSE_SECONDS)

    def _pass_on(self, place: Place, jobs: int) -> None:
        self._sender.add((place.queue, place.priority), jobs)

    def _start_over(self) -> None:
        """In a forked child: the parent's threads are not here, and its connections are left alone."""
        self._ears: Roll[BrokerEar] = Roll()
        self._watched = Watched(self._address.shown, self._store.clock.now)
        self._shunned = shunned = Shunned()
        self._sender = Sender(lambda: Link.open(self._address, self._names.key, shunned), self._watched)


def _at_end_and_after_fork(bell: BrokerBell) -> None:
    reference = weakref.ref(bell)

    def at_end() -> None:
        found = reference()
        if found is not None:
            found.close()

    def in_child() -> None:
        found = reference()
        if found is not None:
            found._start_over()

    atexit.register(at_end)
    os.register_at_fork(after_in_child=in_child)
