"""One class per kind of database: how tests get a migrated, empty one."""

import shutil
from abc import ABC, abstractmethod
from contextlib import closing
from pathlib import Path

import psycopg
from sqlalchemy import Engine

from backburner.store.store import Store
from tests.servers import MariaDBServer, PostgresServer


class Kind(ABC):
    """A kind of database; one object per test run."""

    @abstractmethod
    def migrated(self, folder: Path) -> str:
        """URL of a migrated database without rows, for one test. `folder` is the test's own."""


class SQLite(Kind):
    def __init__(self, folder: Path) -> None:
        self._pattern = folder / "pattern.db"
        _migrate(f"sqlite:///{self._pattern}")

    def migrated(self, folder: Path) -> str:
        file = folder / "jobs.db"
        shutil.copyfile(self._pattern, file)
        return f"sqlite:///{file}"


class PostgreSQL(Kind):
    """One database for all tests, emptied before each: a copy per test would take eight times as long."""

    def __init__(self, server: PostgresServer) -> None:
        self._url = server.create_database()
        _migrate(self._url)

    def migrated(self, folder: Path) -> str:
        with psycopg.connect(plain(self._url), autocommit=True) as connection:
            # A test that failed may have left a transaction open.
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            tables = connection.execute(
                "SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables "
                "WHERE schemaname = 'public' AND tablename <> 'backburner_version'"
            ).fetchone()
            assert tables is not None
            connection.execute(f"TRUNCATE {tables[0]} RESTART IDENTITY")
        return self._url


class MariaDB(Kind):
    """One database for all tests, emptied before each."""

    def __init__(self, server: MariaDBServer) -> None:
        self._server = server
        self._url = server.create_database()
        _migrate(self._url)

    def migrated(self, folder: Path) -> str:
        name = self._url.rpartition("/")[2]
        # A test that failed may have left a transaction open.
        self._server.end_connections(name)
        with closing(self._server.connect(name)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT table_name, auto_increment FROM information_schema.tables "
                "WHERE table_schema = %s AND table_name <> 'backburner_version'",
                (name,),
            )
            for table, counted in cursor.fetchall():
                # TRUNCATE makes the file anew, which takes 10 ms: only where a counter has to begin again.
                cursor.execute(f"SELECT 1 FROM `{table}` LIMIT 1")
                if counted is not None and counted > 1:
                    cursor.execute(f"TRUNCATE `{table}`")
                elif cursor.fetchone() is not None:
                    cursor.execute(f"DELETE FROM `{table}`")
        return self._url


def plain(url: str) -> str:
    """The URL as psycopg itself understands it."""
    return url.replace("+psycopg", "")


def on_postgresql(engine: Engine) -> bool:
    return engine.dialect.name == "postgresql"


def _migrate(url: str) -> None:
    store = Store(url, auto_migrate=True)
    store.ready()
    store.close()
