"""What only RabbitMQ has. Everything else of a broker is what every transport of kombu can do."""

from __future__ import annotations

from typing import Any

SCHEMES = frozenset({"amqp", "amqps", "pyamqp"})
UNUSED_SECONDS = 24 * 3600
"""A queue that nobody uses for this long goes away."""


def connection_options(answer_seconds: float) -> dict[str, Any]:
    """Publisher confirms, so that a publish returns when the broker has the message; and no endless wait for others."""
    return {"confirm_publish": True, "read_timeout": answer_seconds, "write_timeout": answer_seconds}


def queue_arguments() -> dict[str, Any]:
    """Quorum queues: they survive the loss of a node."""
    return {"x-queue-type": "quorum", "x-expires": UNUSED_SECONDS * 1000}
