"""What only RabbitMQ has. Everything else of a broker is what every transport of kombu can do."""

from __future__ import annotations

from typing import Any

SCHEMES = frozenset({"amqp", "amqps", "pyamqp"})
UNUSED_SECONDS = 24 * 3600
"""A queue that nobody uses for this long goes away."""


def connection_options() -> dict[str, Any]:
    """Publisher confirms: a publish returns when the broker has the message."""
    return {"confirm_publish": True}


def queue_arguments() -> dict[str, Any]:
    """Quorum queues: they survive the loss of a node."""
    return {"x-queue-type": "quorum", "x-expires": UNUSED_SECONDS * 1000}
