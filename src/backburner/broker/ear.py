"""`BrokerEar`: a worker's side. It takes rings of the queues it serves, while it has room."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from backburner.broker.link import Link
from backburner.broker.pause import Pause
from backburner.broker.rings import Place, Ring, decode
from backburner.broker.shunned import Shunned
from backburner.broker.state import Watched
from backburner.job import ClaimedJob
from backburner.notify.base import LocalEar

DRAIN_SECONDS = 0.05
"""How long, at most, an answer to the broker lies about."""
PATIENCE = 5.0
"""So many times longer than usual a worker waits between looks while the broker rings for it."""
_MOST_PLACES = 500
"""What else there is, is found by looking."""


class _Taken(NamedTuple):
    link: Link | None
    message: Any
    ring: Ring


class BrokerEar(LocalEar):
    """One thread owns the connection; the claimer's thread says what became of the rings.

    A ring is answered after the claim that it led to. When that claim filled the worker, the rest of the ring goes
    back to the broker, for workers that have room.
    """

    def __init__(
        self,
        open_link: Callable[[], Link],
        watched: Watched,
        shunned: Shunned,
        pass_on: Callable[[Place, int], None],
        queues: Sequence[str],
        priorities: tuple[int, int] | None,
    ) -> None:
        super().__init__()
        self._open_link, self._watched, self._shunned, self._pass_on = open_link, watched, shunned, pass_on
        self._queues, self._priorities = frozenset(queues), priorities
        self._places: set[Place] = set()
        self._listening: set[Place] = set()
        self._link: Link | None = None
        self._arrived: deque[_Taken] = deque()
        self._held: list[_Taken] = []
        self._answered: deque[_Taken] = deque()
        self._claimed: Counter[str] = Counter()
        self._hungry = True
        self._connected = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._live, name="backburner-broker-ear", daemon=True)
        self._thread.start()

    @property
    def patience(self) -> float:
        """Without the broker the worker looks as often as if there were none."""
        return PATIENCE if self._connected else 1.0

    def begin(self) -> None:
        """The claimer has room and is about to look."""
        self._hungry = True
        # The other thread may empty it when the connection is lost.
        with suppress(IndexError):
            while True:
                self._held.append(self._arrived.popleft())

    def took(self, jobs: Sequence[ClaimedJob]) -> None:
        """The claimer has claimed these."""
        for job in jobs:
            self._claimed[job.queue] += 1
            place = Place(job.queue, job.priority)
            if place not in self._places:
                self._learn(place)

    def settle(self, *, full: bool) -> None:
        """The claimer has looked; `full` when it has no room for more."""
        self._hungry = not full
        for one in self._held:
            place, jobs = one.ring.place, one.ring.jobs
            if place is not None:
                claimed = min(jobs, self._claimed[place.queue])
                self._claimed[place.queue] -= claimed
                if full and jobs > claimed:
                    self._pass_on(place, jobs - claimed)
            self._answered.append(one)
        self._held.clear()
        self._claimed.clear()

    def close(self) -> None:
        self._closed.set()
        super().close()
        self._thread.join(1.0)

    def _live(self) -> None:
        pause = Pause()
        while not self._closed.is_set():
            link = None
            try:
                link = self._open_link()
                self._listen(link, pause)
                link.close()
            except Exception as error:  # noqa: BLE001 (drivers raise what they like; all of it means: not heard)
                self._connected = False
                self._watched.lost(error)
                if link is not None:
                    link.close(broken=True)
                # What was under way is rung again by the broker, or found by a look: now, and then as usual.
                self.ring()
                self._closed.wait(pause.next())

    def _listen(self, link: Link, pause: Pause) -> None:
        # Of an earlier connection nothing is answered any more: the broker gives its rings to somebody again.
        self._link = link
        self._arrived.clear()
        self._answered.clear()
        self._listening.clear()
        link.listen(self._on_ring, self._on_notice)
        self._serve(link)
        self._connected = True
        self._watched.found()
        pause.over()
        # What was rung while nobody heard.
        self.ring()
        while not self._closed.is_set():
            link.drain(DRAIN_SECONDS)
            self._serve(link)
        self._hungry = False
        self._serve(link)

    def _serve(self, link: Link) -> None:
        """Answer, and listen to what is to be listened to."""
        if not self._hungry and self._listening:
            link.rest()
            self._listening.clear()
        while not self._hungry and self._arrived:
            # Taken before the broker knew that there is no room: somebody else may have some.
            with suppress(IndexError):
                self._arrived.popleft().message.reject(requeue=True)
        while self._answered:
            one = self._answered.popleft()
            if one.link is link:
                one.message.ack()
        if self._hungry and len(self._listening) < len(self._places):
            for place in self._places - self._listening:
                if place not in self._shunned:
                    link.listen_to(place)
                    self._listening.add(place)

    def _on_ring(self, message: Any) -> None:
        ring = decode(message.body)
        if ring is None:
            message.ack()
            return
        self._arrived.append(_Taken(self._link, message, ring))
        self.ring()

    def _on_notice(self, message: Any) -> None:
        ring = decode(message.body)
        if ring is None:
            return
        place = ring.place
        if place is not None:
            self._learn(place)
        elif ring.queue is None or not self._queues or ring.queue in self._queues:
            self.ring()

    def _learn(self, place: Place) -> None:
        low, high = self._priorities or (place.priority, place.priority)
        ours = low <= place.priority <= high and (not self._queues or place.queue in self._queues)
        if ours and len(self._places) < _MOST_PLACES:
            # A new set: the other thread may be walking through this one.
            self._places = self._places | {place}
