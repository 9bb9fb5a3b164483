"""One class per kind of database: how tests get a migrated, empty one."""

import shutil
from abc import ABC, abstractmethod
from pathlib import Path

import psycopg
import pymysql
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Identifier, Literal
from pymysql.cursors import Cursor
from sqlalchemy import Engine

from backburner.store.store import Store
from backburner.store.versions import NEEDED
from tests.servers import MariaDBServer, PostgresServer, end_others

VERSION = "backburner_version"
"""The table of the migrations: it keeps its row, and is told again what a test may have overwritten."""


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
        self._connection = self._connect()
        self._tables = self._found()

    def migrated(self, folder: Path) -> str:
        try:
            self._empty()
        except psycopg.OperationalError:
            # A test has ended all connections.
            self._connection = self._connect()
            self._empty()
        return self._url

    def _empty(self) -> None:
        # A test that failed may have left a transaction open.
        self._connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        for table in self._found() - self._tables:
            self._connection.execute(SQL("DROP TABLE {} CASCADE").format(Identifier(table)))
        # TRUNCATE makes each table anew: only those that have something.
        asked = [
            SQL("(SELECT {0} FROM {1} LIMIT 1)").format(Literal(table), Identifier(table)) for table in self._tables
        ]
        used = [row[0] for row in self._connection.execute(SQL(" UNION ALL ").join(asked)) if row[0] != VERSION]
        if used:
            emptied = SQL(", ").join(map(Identifier, used))
            self._connection.execute(SQL("TRUNCATE {} RESTART IDENTITY").format(emptied))
        self._connection.execute(f"UPDATE {VERSION} SET version_num = '{NEEDED}'")

    def _connect(self) -> psycopg.Connection[TupleRow]:
        return psycopg.connect(plain(self._url), autocommit=True)

    def _found(self) -> set[str]:
        rows = self._connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {row[0] for row in rows}


class MariaDB(Kind):
    """One database for all tests, emptied before each."""

    def __init__(self, server: MariaDBServer) -> None:
        self._server = server
        self._url = server.create_database()
        self._name = self._url.rpartition("/")[2]
        _migrate(self._url)
        self._connection = server.connect(self._name)
        with self._connection.cursor() as cursor:
            self._tables = set(self._found(cursor))

    def migrated(self, folder: Path) -> str:
        try:
            self._empty()
        except pymysql.Error:
            # A test has ended all connections.
            self._connection = self._server.connect(self._name)
            self._empty()
        return self._url

    def _empty(self) -> None:
        with self._connection.cursor() as cursor:
            self._empty_by(cursor)

    def _empty_by(self, cursor: Cursor) -> None:
        # A test that failed may have left a transaction open.
        end_others(cursor, self._name)
        found = self._found(cursor)
        for table in found.keys() - self._tables:
            cursor.execute(f"DROP TABLE `{table}`")
        cursor.execute(" UNION ALL ".join(f"(SELECT '{table}' FROM `{table}` LIMIT 1)" for table in self._tables))
        used = {row[0] for row in cursor.fetchall()}
        for table in self._tables - {VERSION}:
            # TRUNCATE makes the file anew, which takes 10 ms: only where a counter has to begin again.
            if (found[table] or 0) > 1:
                cursor.execute(f"TRUNCATE `{table}`")
            elif table in used:
                cursor.execute(f"DELETE FROM `{table}`")
        cursor.execute(f"UPDATE {VERSION} SET version_num = '{NEEDED}'")

    def _found(self, cursor: Cursor) -> dict[str, int | None]:
        """Next value of the counter, if it has one, by table."""
        cursor.execute(
            "SELECT table_name, auto_increment FROM information_schema.tables WHERE table_schema = %s", (self._name,)
        )
        return dict(cursor.fetchall())


def plain(url: str) -> str:
    """The URL as psycopg itself understands it."""
    return url.replace("+psycopg", "")


def on_postgresql(engine: Engine) -> bool:
    return engine.dialect.name == "postgresql"


def _migrate(url: str) -> None:
    store = Store(url, auto_migrate=True)
    store.ready()
    store.close()
