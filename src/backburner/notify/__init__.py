"""Bells: "something may be ready". A bell carries no truth; lost or doubled it costs time, never a job."""

from __future__ import annotations

from backburner.notify.base import Bell, Ear
from backburner.notify.polling import PollingBell
from backburner.notify.postgresql import PostgreSQLBell
from backburner.notify.sqlite import SQLiteBell
from backburner.store.store import Store

__all__ = ["Bell", "Ear", "open_bell"]


def open_bell(store: Store) -> Bell:
    """The bell that fits the store's database."""
    if store.dialect.name == "postgresql":
        return PostgreSQLBell(store)
    if store.dialect.name == "mysql":
        return PollingBell()
    return SQLiteBell(store)
