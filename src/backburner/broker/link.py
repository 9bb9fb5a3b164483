"""`Link`: one connection to the broker, of one thread."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Self

from backburner.broker import rabbitmq
from backburner.broker.address import ANSWER_SECONDS, CONNECT_SECONDS, Address
from backburner.broker.rings import Names, Place, Ring, encode
from backburner.broker.shunned import Shunned
from backburner.clock import boot_seconds

with suppress(ImportError):
    # Without it there is no `Address`, and so no `Link`: that says what to install.
    import kombu

ENOUGH = 100
"""So many rings that nobody has taken yet are enough: whoever takes one of them sees all that is in the database."""
DECLARE_SECONDS = 1.0
"""How often a queue in use is declared again: somebody may have deleted it."""
NOTICE_SECONDS = 5.0
"""How often listeners are told of a place in use, for those that did not know it."""
PREFETCH = 10
"""How many rings of a place one listener may hold: more would be missing to others."""
_HEARTBEAT = 10
_HEARTBEAT_LOOK_SECONDS = 2.0
_PLACES_KEPT = 1_000

Heard = Callable[[Any], None]


class Link:
    """Everything here may raise whatever the driver raises: then the link is of no use any more."""

    def __init__(self, address: Address, key: str, shunned: Shunned, *, listens: bool) -> None:
        self._address, self._names, self._shunned = address, Names(key), shunned
        # An idle sender sends no heartbeats: whether it is alive shows when it is used.
        self._connection = kombu.Connection(
            address.url, connect_timeout=CONNECT_SECONDS, heartbeat=_HEARTBEAT if listens else 0,
            transport_options=address.connection_options,
        )  # fmt: skip
        self._declared: dict[Place, tuple[float, int]] = {}
        self._noticed: dict[Place, float] = {}
        self._channel: Any = None
        self._consumer: Any = None
        self._beat_at = boot_seconds()

    @classmethod
    def open(cls, address: Address, key: str, shunned: Shunned, *, listens: bool = False) -> Self:
        """Connect, with a limit in time."""
        link = cls(address, key, shunned, listens=listens)
        try:
            link._connect()
        except BaseException:
            link.close(broken=True)
            raise
        return link

    def close(self, *, broken: bool = False) -> None:
        """Never raises. Of a broken connection nothing is asked any more."""
        if broken:
            self._give_nothing_back()
        # `collect` closes a socket of AMQP's without a word. For all others it sets a default time-out meanwhile, for
        # every socket of the process; they have limits of their own.
        mute = broken and self._address.scheme in rabbitmq.SCHEMES
        with suppress(Exception):
            self._connection.collect() if mute else self._connection.release()

    def _give_nothing_back(self) -> None:
        """Else kombu would try at the end of the process, with Redis, and say at length that it failed."""
        with suppress(Exception):
            self._channel.do_restore = False
            self._channel.qos.restore_unacked_once()

    def _connect(self) -> None:
        self._connection.ensure_connection(
            max_retries=self._address.count, interval_start=0, interval_step=0, interval_max=0,
            reraise_as_library_errors=False, timeout=CONNECT_SECONDS * self._address.count,
        )  # fmt: skip
        self._channel = self._connection.channel()
        self._producer = kombu.Producer(self._channel, serializer="json")
        self._fanout = self._connection.supports_exchange_type("fanout")
        self._notices = kombu.Exchange(self._names.notices, "fanout", durable=True)
        if self._fanout:
            self._notices(self._channel).declare()

    def publish(self, rings: Mapping[tuple[str | None, int | None], int]) -> None:
        """Send rings; what has no place goes to every listener."""
        for (queue, priority), jobs in rings.items():
            ring = Ring(queue, priority, jobs)
            place = ring.place
            if place is None or place in self._shunned:
                self._notify(ring._replace(priority=None))
                continue
            with self._shunned.watch(place):
                if self._waiting(place) < ENOUGH:
                    self._put(ring, routing_key=self._names.queue(place))

    def listen(self, on_ring: Heard, on_notice: Heard) -> None:
        """From now on `drain` calls these with messages: of the places listened to, and with what all are told."""
        options: dict[str, Any] = {
            "auto_declare": False, "prefetch_count": PREFETCH, "on_decode_error": lambda message, _: message.ack(),
        }  # fmt: skip
        self._consumer = kombu.Consumer(self._channel, on_message=on_ring, **options)
        if self._fanout:
            name = f"{self._names.prefix}.ear.{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
            queue = kombu.Queue(name, self._notices, durable=False, exclusive=True, auto_delete=True)(self._channel)
            queue.declare()
            kombu.Consumer(self._channel, [queue], no_ack=True, on_message=on_notice, **options).consume()

    def listen_to(self, place: Place) -> None:
        """Take rings of this place too."""
        queue = self._queue(place)
        with self._shunned.watch(place):
            queue.queue_declare()
            self._consumer.add_queue(queue)
            self._consumer.consume()

    def rest(self) -> None:
        """Take no rings; notices are heard all the same."""
        self._consumer.cancel()
        self._consumer.queues = []

    def drain(self, seconds: float) -> None:
        """Wait for a message so long; keep the connection alive."""
        with suppress(TimeoutError):
            self._connection.drain_events(timeout=seconds)
        if self._connection.heartbeat and boot_seconds() - self._beat_at > _HEARTBEAT_LOOK_SECONDS:
            self._beat_at = boot_seconds()
            self._connection.heartbeat_check()

    def echo(self) -> float:
        """Send a message to ourselves; the seconds until it is back. Raises `TimeoutError` after a while."""
        began = boot_seconds()
        heard: list[object] = []
        name = f"{self._names.prefix}.{uuid.uuid4().hex}"
        queue = kombu.Queue(name, durable=False, exclusive=True, auto_delete=True)(self._channel)
        queue.queue_declare()
        self._put(Ring(None, None, 1), routing_key=name)
        with kombu.Consumer(self._channel, [queue], no_ack=True, auto_declare=False, on_message=heard.append):
            while not heard:
                left = began + ANSWER_SECONDS - boot_seconds()
                if left <= 0:
                    raise TimeoutError(f"a message did not come back within {ANSWER_SECONDS:g} s")
                self._connection.drain_events(timeout=left)
        queue.delete()
        return boot_seconds() - began

    def _queue(self, place: Place) -> Any:
        arguments = self._address.queue_arguments
        return kombu.Queue(self._names.queue(place), durable=True, queue_arguments=arguments)(self._channel)

    def _waiting(self, place: Place) -> int:
        """How many rings lie there, as far as it matters; makes sure that the queue is there."""
        declared_at, found = self._declared.get(place, (float("-inf"), 0))
        now = boot_seconds()
        if now - declared_at < DECLARE_SECONDS and found < ENOUGH:
            return found
        if len(self._declared) >= _PLACES_KEPT:
            self._declared.clear()
            self._noticed.clear()
        # Asked after the commit that is rung for: what lies there now is taken later than that.
        count: int = self._channel.queue_declare(
            queue=self._names.queue(place), durable=True, auto_delete=False, arguments=self._address.queue_arguments
        ).message_count
        self._declared[place] = now, count
        if now - self._noticed.get(place, float("-inf")) >= NOTICE_SECONDS:
            self._noticed[place] = now
            self._notify(Ring(place.queue, place.priority, 1))
        return count

    def _notify(self, ring: Ring) -> None:
        if self._fanout:
            self._put(ring, exchange=self._notices)

    def _put(self, ring: Ring, **where: Any) -> None:
        # Transient: a ring that a broken broker forgets is no loss.
        self._producer.publish(
            encode(ring), delivery_mode=1, timeout=ANSWER_SECONDS, confirm_timeout=ANSWER_SECONDS, retry=False, **where
        )
