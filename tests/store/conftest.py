"""Every test here runs once per kind of database."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backburner.store.store import Store
from tests.store import databases
from tests.store.databases import Kind
from tests.store.scene import HandClock, Scene

OpenStore = Callable[..., Store]


@pytest.fixture(scope="session")
def sqlite_kind(tmp_path_factory: pytest.TempPathFactory) -> Kind:
    return databases.SQLite(tmp_path_factory.mktemp("pattern"))


@pytest.fixture(scope="session")
def postgresql_kind(request: pytest.FixtureRequest) -> Kind:
    return databases.PostgreSQL(request.getfixturevalue("postgres"))


@pytest.fixture(scope="session")
def mariadb_kind(request: pytest.FixtureRequest) -> Kind:
    return databases.MariaDB(request.getfixturevalue("mariadb"))


@pytest.fixture
def migrated_sqlite(sqlite_kind: Kind, tmp_path: Path) -> str:
    return sqlite_kind.migrated(tmp_path)


@pytest.fixture
def migrated_postgresql(postgresql_kind: Kind, tmp_path: Path) -> str:
    return postgresql_kind.migrated(tmp_path)


@pytest.fixture
def migrated_mariadb(mariadb_kind: Kind, tmp_path: Path) -> str:
    return mariadb_kind.migrated(tmp_path)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """URL of a database with all tables and no rows."""
    return str(request.getfixturevalue(f"migrated_{request.param}"))


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
def store(opened: OpenStore, migrated_url: str) -> Store:
    return opened(migrated_url)


@pytest.fixture
def other(opened: OpenStore, migrated_url: str) -> Store:
    """A second store on the same database, as another process has."""
    return opened(migrated_url)


@pytest.fixture
def scene(store: Store, clock: HandClock) -> Scene:
    return Scene(store, clock)


@pytest.fixture
def elsewhere(other: Store, clock: HandClock) -> Scene:
    """The scene of the second store."""
    return Scene(other, clock)


@pytest.fixture
def on_sqlite(opened: OpenStore, migrated_sqlite: str, clock: HandClock) -> Scene:
    """For what only SQLite has."""
    return Scene(opened(migrated_sqlite), clock)


@pytest.fixture
def on_postgresql(opened: OpenStore, migrated_postgresql: str, clock: HandClock) -> Scene:
    """For what only PostgreSQL has."""
    return Scene(opened(migrated_postgresql), clock)


@pytest.fixture
def on_mariadb(opened: OpenStore, migrated_mariadb: str, clock: HandClock) -> Scene:
    """For what only MariaDB has."""
    return Scene(opened(migrated_mariadb), clock)


@pytest.fixture(params=["postgresql", "mariadb"])
def on_server(request: pytest.FixtureRequest) -> Scene:
    """For what only databases have in which several write at the same time."""
    scene: Scene = request.getfixturevalue(f"on_{request.param}")
    return scene
