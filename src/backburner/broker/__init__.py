"""Dispatch through a broker: rings go by RabbitMQ, Redis or another transport of kombu instead of by the database.

A message says "queue x, priority y: n jobs" and nothing else. Lost, doubled, forged or purged it costs time, never
a job: whoever takes it claims from the database, which alone knows the truth.
"""

from __future__ import annotations

from backburner.broker.address import Address
from backburner.broker.bell import BrokerBell
from backburner.broker.link import Link
from backburner.broker.shunned import Shunned
from backburner.broker.state import BrokerState
from backburner.store.store import Store

__all__ = ["BrokerBell", "BrokerState", "check", "open_bell", "probe"]


def check(url: str) -> None:
    """Raise `SettingsError` when the URL names no broker, `MissingExtra` when its driver is missing."""
    Address.of(url)


def open_bell(store: Store, url: str) -> BrokerBell:
    """The bell that rings by the broker at `url`. Connects to nothing yet. Raises what `check` raises."""
    return BrokerBell(store, Address.of(url))


def probe(url: str) -> float:
    """How many seconds a message takes to come back from the broker. Raises whatever its driver raises."""
    link = Link.open(Address.of(url), "probe", Shunned())
    try:
        return link.echo()
    finally:
        link.close()
