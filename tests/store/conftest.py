"""Every test here runs once per kind of database."""

import os
import zlib
from collections.abc import Callable, Iterator

import pytest

from backburner.store.store import Store
from tests.faulty import HARMLESS, Faults, under_fire
from tests.store.scene import HandClock, Scene

# Its assertions are as good as a test's, but its name is none.
pytest.register_assert_rewrite("tests.store.job_machine")

OpenStore = Callable[..., Store]

RATE = float(os.environ.get("STORE_FAULT_RATE", "0"))
"""The part of all calls to the database that something happens to, in a run of these tests under fire."""
NOT_UNDER_FIRE = {
    "test_connections": "counts connections",
    "test_faulty": "has faults of its own",
    "test_failure_plans": "looks at statements, each once",
    "test_fork": "looks at what a fork finds open",
    "test_lock_order": "counts deadlocks",
    "test_migrations": "stops in the middle of migrations by hand",
    "test_plans": "looks at statements, each once",
    "test_transient": "is about errors itself",
    "test_unavailable": "is about errors itself",
}


@pytest.fixture(autouse=True)
def fire(request: pytest.FixtureRequest) -> Iterator[None]:
    """With STORE_FAULT_RATE connections fail in every test, but for those that are about connections themselves."""
    if not RATE or request.module.__name__.rpartition(".")[2] in NOT_UNDER_FIRE:
        yield
        return
    with under_fire(Faults(RATE, zlib.crc32(request.node.nodeid.encode()), HARMLESS)):
        yield


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def opened(clock: HandClock) -> Iterator[OpenStore]:
    """Open stores by URL, all on the test's clock; closed after the test."""
    stores: list[Store] = []

    def open_store(url: str, **options: object) -> Store:
        store = Store(url, **options)  # type: ignore[arg-type]
        store.clock = clock
        stores.append(store)
        return store

    yield open_store
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: OpenStore, database_url: str) -> Store:
    return opened(database_url)


@pytest.fixture
def other(opened: OpenStore, database_url: str) -> Store:
    """A second store on the same database, as another process has."""
    return opened(database_url)


@pytest.fixture
def scene(store: Store, clock: HandClock) -> Scene:
    return Scene(store, clock)


@pytest.fixture
def elsewhere(other: Store, clock: HandClock) -> Scene:
    """The scene of the second store."""
    return Scene(other, clock)


@pytest.fixture
def on_sqlite(opened: OpenStore, sqlite_url: str, clock: HandClock) -> Scene:
    """For what only SQLite has."""
    return Scene(opened(sqlite_url), clock)


@pytest.fixture
def on_postgresql(opened: OpenStore, postgresql_url: str, clock: HandClock) -> Scene:
    """For what only PostgreSQL has."""
    return Scene(opened(postgresql_url), clock)


@pytest.fixture
def on_mariadb(opened: OpenStore, mariadb_url: str, clock: HandClock) -> Scene:
    """For what only MariaDB has."""
    return Scene(opened(mariadb_url), clock)


@pytest.fixture(params=["postgresql", "mariadb"])
def on_server(request: pytest.FixtureRequest) -> Scene:
    """For what only databases have in which several write at the same time."""
    scene: Scene = request.getfixturevalue(f"on_{request.param}")
    return scene
