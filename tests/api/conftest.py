"""A Backburner on an empty database: every test here that uses `jobs` runs once per kind of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backburner import Backburner
from tests.store import databases
from tests.store.databases import Kind


@pytest.fixture(scope="session")
def api_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Kind:
    return databases.SQLite(tmp_path_factory.mktemp("pattern"))


@pytest.fixture(scope="session")
def api_postgresql(request: pytest.FixtureRequest) -> Kind:
    return databases.PostgreSQL(request.getfixturevalue("postgres"))


@pytest.fixture(scope="session")
def api_mariadb(request: pytest.FixtureRequest) -> Kind:
    return databases.MariaDB(request.getfixturevalue("mariadb"))


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database with all tables and no rows."""
    kind: Kind = request.getfixturevalue(f"api_{request.param}")
    return kind.migrated(tmp_path)


@pytest.fixture
def jobs(database_url: str, tmp_path: Path) -> Iterator[Backburner]:
    made = Backburner(database_url, files=str(tmp_path / "files"))
    yield made
    made.close()
