"""Fresh private servers and databases for each system."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from benchmarks.drain import new_url
from tests.servers import RabbitServer, RedisServer


def broker(name: str, stack: ExitStack) -> str:
    """URL of a private broker that ends with `stack`."""
    if name == "rabbitmq":
        return stack.enter_context(RabbitServer()).url
    return stack.enter_context(RedisServer()).url


def fresh(name: str, stack: ExitStack) -> Callable[[], str]:
    """URLs of empty databases on a private server, durable; a broker is a new one each time."""
    if name in {"rabbitmq", "redis"}:
        return lambda: broker(name, stack)
    return new_url(name, stack)
