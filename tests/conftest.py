"""Fixtures for all tests: private servers, a fresh empty database per test, and no silent skips."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from examples.shop.browser import find_chromium
from tests import databases
from tests.databases import Kind
from tests.mutants import mark
from tests.servers import MariaDBServer, PostgresServer, RabbitServer, RedisServer, ServerMissing
from tests.turns import KINDS, take_turns

os.environ["SSL_CERT_FILE"] = str(Path(__file__).with_name("certificate.pem"))
"""Nobody here is trusted. To read all that a system trusts takes 20 ms, for each HTTP client and each connection to
MariaDB.
"""

mark.obey()

IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def _leave_out(reason: str) -> NoReturn:
    if IN_CI:
        pytest.fail(f"{reason} With CI=true nothing may be left out.", pytrace=False)
    pytest.skip(reason)


def _postgres() -> PostgresServer:
    try:
        return PostgresServer()
    except ServerMissing as missing:
        _leave_out(str(missing))


def _mariadb() -> MariaDBServer:
    try:
        return MariaDBServer()
    except ServerMissing as missing:
        _leave_out(str(missing))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The run's PostgreSQL server, shared by all tests of this process: do not stop or pause it."""
    with _postgres() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A started PostgreSQL server for this test alone, to be stopped, killed or paused at will (1 s)."""
    with _postgres() as server:
        yield server


@pytest.fixture(scope="session")
def rabbit() -> Iterator[RabbitServer]:
    """The run's RabbitMQ server, shared by all tests of this process: whoever stops it starts it again (4 s)."""
    try:
        server = RabbitServer()
    except ServerMissing as missing:
        _leave_out(str(missing))
    with server:
        yield server


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """The run's Redis server, shared by all tests of this process: whoever stops it starts it again (0.1 s)."""
    try:
        server = RedisServer()
    except ServerMissing as missing:
        _leave_out(str(missing))
    with server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDBServer]:
    """The run's MariaDB server, shared by all tests of this process: do not stop or pause it."""
    with _mariadb() as server:
        yield server


@pytest.fixture
def own_mariadb() -> Iterator[MariaDBServer]:
    """A started MariaDB server for this test alone, to be stopped, killed or paused at will (4 s)."""
    with _mariadb() as server:
        yield server


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """URL of an SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'jobs.db'}"


@pytest.fixture
def empty_postgresql_url(postgres: PostgresServer) -> Iterator[str]:
    """URL of a fresh PostgreSQL database without tables, dropped after the test."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture
def empty_mariadb_url(mariadb: MariaDBServer) -> Iterator[str]:
    """URL of a fresh MariaDB database without tables, dropped after the test."""
    url = mariadb.create_database()
    yield url
    mariadb.drop_database(url)


@pytest.fixture(params=KINDS)
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """URL of a fresh database without tables: the test runs once per kind of database."""
    return str(request.getfixturevalue(f"empty_{request.param}_url"))


@pytest.fixture(scope="session")
def sqlite_kind(tmp_path_factory: pytest.TempPathFactory) -> Kind:
    return databases.SQLite(tmp_path_factory.mktemp("pattern"))


@pytest.fixture(scope="session")
def postgresql_kind(postgres: PostgresServer) -> Kind:
    return databases.PostgreSQL(postgres)


@pytest.fixture(scope="session")
def mariadb_kind(mariadb: MariaDBServer) -> Kind:
    return databases.MariaDB(mariadb)


@pytest.fixture
def sqlite_url(sqlite_kind: Kind, tmp_path: Path) -> str:
    """URL of an SQLite file with all tables and no rows."""
    return sqlite_kind.migrated(tmp_path)


@pytest.fixture
def postgresql_url(postgresql_kind: Kind, tmp_path: Path) -> str:
    """URL of a PostgreSQL database with all tables and no rows."""
    return postgresql_kind.migrated(tmp_path)


@pytest.fixture
def mariadb_url(mariadb_kind: Kind, tmp_path: Path) -> str:
    """URL of a MariaDB database with all tables and no rows."""
    return mariadb_kind.migrated(tmp_path)


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of a database with all tables and no rows: the test runs once per kind of database."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Path of the system's Chromium."""
    found = find_chromium()
    if found is None:
        _leave_out("Chromium is not installed. Type: sudo apt-get install chromium.")
    return found


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before those marked `long` are left out."""
    take_turns(items)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With CI=true a skipped test is a failed run: a gate that skips is no gate."""
    if IN_CI and _skipped(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say plainly what the run left out."""
    left_out = _skipped(config)
    if left_out:
        verdict = "and with CI=true that fails the run" if IN_CI else "see the reasons above"
        terminalreporter.write_line(f"LEFT OUT: {left_out} tests were skipped, {verdict}.", red=IN_CI, yellow=True)


def _skipped(config: pytest.Config) -> int:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return len(reporter.stats.get("skipped", [])) if isinstance(reporter, pytest.TerminalReporter) else 0
