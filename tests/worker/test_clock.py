"""Whose time counts when workers judge each other: the database's, as it is now."""

from datetime import timedelta

import pytest

from backburner.blame import Limits
from backburner.clock import boot_seconds
from backburner.ids import Ids
from backburner.notify import open_bell
from backburner.seams import Seams
from backburner.store.store import Store
from backburner.store.workers import WorkerRow
from backburner.worker.page import Page
from backburner.worker.rescuer import Rescuer

LEASE = 30.0


@pytest.fixture
def store(database_url: str) -> Store:
    return Store(database_url, auto_migrate=True)


def _worker(store: Store) -> str:
    """A worker that has just beaten, by what the store's clock says."""
    worker, now = Ids().new(), store.clock.now()
    store.workers.register(
        WorkerRow(
            worker, worker, "elsewhere", 42, None, None, 1, "1", now, now, lease_until=now + timedelta(seconds=LEASE)
        )
    )
    return worker


def _rescuer(store: Store) -> Rescuer:
    page = Page(2)
    page.good_since = boot_seconds() - 10 * LEASE
    return Rescuer(store, open_bell(store), lambda: "me", page, Limits(), LEASE, Seams())


def _set_back(store: Store, seconds: float) -> None:
    """Have the store believe that it is earlier than the database says."""
    at = boot_seconds()
    store.clock.read(store.clock.now() - timedelta(seconds=seconds), at, at)


def _is_dead(store: Store, worker: str) -> bool:
    row = store.workers.get(worker)
    assert row is not None
    return row.dead_at is not None


def test_nobody_is_judged_by_a_clock_that_was_read_long_ago(store: Store) -> None:
    """The database's time was set back since: by the old one every lease is over."""
    store.ready()
    worker = _worker(store)
    _set_back(store, -3600)
    _rescuer(store).once()
    assert not _is_dead(store, worker)


def test_a_jump_of_the_databases_time_gives_everybody_a_lease_to_beat_by_it(store: Store) -> None:
    store.ready()
    _set_back(store, 3600)
    worker = _worker(store)
    _rescuer(store).once()
    assert not _is_dead(store, worker)


def test_a_lease_that_is_over_is_over(store: Store) -> None:
    store.ready()
    _set_back(store, 3600)
    worker = _worker(store)
    _set_back(store, -3600)
    _rescuer(store).once()
    assert _is_dead(store, worker)
