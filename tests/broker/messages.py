"""What lies in a broker, seen and touched from outside."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import kombu
import redis as redis_client
from amqp.exceptions import NotFound

from backburner import Backburner
from backburner.broker.rings import Names, Place
from tests.servers import RabbitServer, RedisServer
from tests.waiting import wait_until

Server = RabbitServer | RedisServer


@contextmanager
def channel_of(broker: Server) -> Iterator[Any]:
    """A channel to the broker, for one test's hand."""
    with kombu.Connection(broker.url, connect_timeout=5) as connection:
        yield connection.channel()


def queue_name(jobs: Backburner, queue: str = "default", priority: int = 50) -> str:
    """The broker's queue for the rings of one queue and priority."""
    return Names.of(jobs.store).queue(Place(queue, priority))


def lying(broker: Server, jobs: Backburner, queue: str = "default", priority: int = 50) -> int:
    """How many messages wait there."""
    name = queue_name(jobs, queue, priority)
    if isinstance(broker, RedisServer):
        with redis_client.Redis.from_url(broker.url) as client:
            return int(client.llen(name))
    with channel_of(broker) as channel:
        try:
            return int(channel.queue_declare(queue=name, passive=True).message_count)
        except NotFound:
            return 0


def lies(broker: Server, jobs: Backburner, count: int, queue: str = "default", priority: int = 50) -> None:
    """Wait until so many messages lie there: RabbitMQ counts a little later than it confirms."""
    wait_until(lambda: lying(broker, jobs, queue, priority) == count, f"{count} messages lie in {queue} {priority}", 10)


def never_rung(broker: Server, jobs: Backburner, queue: str = "default", priority: int = 50) -> bool:
    """Whether nobody has sent a ring to this place; to be asked when all is sent.

    RabbitMQ counts messages later than it confirms them, so a count of none would say nothing. But whoever rings has
    declared the queue before: nobody has, when it is not there.
    """
    name = queue_name(jobs, queue, priority)
    if isinstance(broker, RedisServer):
        return lying(broker, jobs, queue, priority) == 0
    with channel_of(broker) as channel:
        try:
            channel.queue_declare(queue=name, passive=True)
        except NotFound:
            return True
        return False


def put(broker: Server, body: bytes, *, queue: str = "", exchange: str = "", **properties: Any) -> None:
    """A message that anybody could have written."""
    with channel_of(broker) as channel:
        producer = kombu.Producer(channel)
        options = {"content_type": "application/json", "content_encoding": "utf-8"} | properties
        producer.publish(body, routing_key=queue, exchange=exchange, **options)


def purge(broker: Server, jobs: Backburner) -> None:
    """Take all rings away."""
    if isinstance(broker, RedisServer):
        with redis_client.Redis.from_url(broker.url) as client:
            client.flushall()
        return
    with channel_of(broker) as channel:
        channel.queue_purge(queue_name(jobs))


def delete_queue(broker: Server, jobs: Backburner) -> None:
    """Take the queue itself away."""
    if isinstance(broker, RedisServer):
        with redis_client.Redis.from_url(broker.url) as client:
            client.delete(queue_name(jobs))
        return
    with channel_of(broker) as channel:
        channel.queue_delete(queue_name(jobs))


def sent(jobs: Backburner) -> None:
    """Wait until this process has sent all its rings."""

    def nothing_waits() -> bool:
        state = jobs.control.broker()
        assert state is not None
        return state.waiting == 0 and state.connected is True

    wait_until(nothing_waits, "all rings are sent")


def heard(jobs: Backburner) -> None:
    """Wait until this process has reached the broker."""
    wait_until(lambda: (state := jobs.control.broker()) is not None and state.connected is True, "it is connected")
