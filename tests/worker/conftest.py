"""Worlds: an empty database with an app and, when a test starts them, real workers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from backburner.store.store import Store
from backburner.worker import Worker, WorkerOptions, process
from tests.servers import PostgresServer
from tests.worker.app import build
from tests.worker.world import World

ON_MARIADB_TOO = {"test_tree_death", "test_lines", "test_waiting"}
"""Files whose worlds are on MariaDB as well: workers that die between statements, what is claimed in steps, what
waits. The others would find no more there than the tests of the store do, and a third of the time of this group.
"""
ON_MARIADB_AT_LENGTH = {"test_points"}
"""Files whose worlds are on MariaDB where there is time for that."""
ON_ONE = {"test_limits", "test_told"}
"""Files whose worlds are on PostgreSQL alone: what a process does when it is told to, or when its time is over, is no
matter of the database.
"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A `world` once per kind of database."""
    if "world" in metafunc.fixturenames:
        name = metafunc.module.__name__.rpartition(".")[2]
        kinds: list[Any] = ["postgresql"] if name in ON_ONE else ["sqlite", "postgresql"]
        if name in ON_MARIADB_TOO | ON_MARIADB_AT_LENGTH:
            marks = [pytest.mark.long] if name in ON_MARIADB_AT_LENGTH else []
            kinds.append(pytest.param("mariadb", marks=marks))
        metafunc.parametrize("world", kinds, indirect=True)


@contextmanager
def world_on(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world on this database."""
    monkeypatch.setenv("WORKER_TEST_FOLDER", str(folder))
    monkeypatch.setenv("WORKER_TEST_URL", url)
    made = World(url, folder, build(url, folder))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Once per kind of database."""
    with world_on(request.getfixturevalue(f"{request.param}_url"), tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture
def on_sqlite(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """For what only SQLite has."""
    with world_on(sqlite_url, tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture
def on_postgresql(postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """For what only a server database has."""
    with world_on(postgresql_url, tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture
def own_world(own_postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world on a server that may be stopped."""
    url = own_postgres.create_database()
    store = Store(url, auto_migrate=True)
    store.ready()
    store.close()
    with world_on(url, tmp_path, monkeypatch) as made:
        yield made


EMBEDDED = WorkerOptions(concurrency=4, poll=0.05, lease=30.0, beat=5.0)


@pytest.fixture
def working(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world with a worker inside the test's own process; a task that does not stop has 0.3 s."""
    monkeypatch.setattr(process, "STOP_GRACE", 0.3)
    worker = Worker(world.jobs, EMBEDDED).start()
    yield world
    world.say("end")
    worker.stop(2.0)
