"""Connections of the drivers themselves, as an app without SQLAlchemy has them."""

import sqlite3
from importlib import import_module
from typing import Any

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import make_url

from tests.servers import MARIADB_DRIVER

MARIADB = {"pymysql": "pymysql", "mysqldb": "MySQLdb"}[MARIADB_DRIVER]


def driver(url: str) -> Any:
    """A connection of the driver itself."""
    if url.startswith("sqlite"):
        return sqlite3.connect(url.removeprefix("sqlite:///"))
    if url.startswith("mariadb"):
        return mariadb(url)
    return psycopg.connect(url.replace("+psycopg", ""))


def driver_with_dict_rows(url: str) -> Any:
    """One whose rows are dictionaries."""
    if url.startswith("sqlite"):
        connection = driver(url)
        connection.row_factory = lambda cursor, row: {d[0]: v for d, v in zip(cursor.description, row, strict=True)}
        return connection
    if url.startswith("mariadb"):
        return mariadb(url, cursorclass=import_module(f"{MARIADB}.cursors").DictCursor)
    return psycopg.connect(url.replace("+psycopg", ""), row_factory=dict_row)


def mariadb(url: str, **options: Any) -> Any:
    """A connection of PyMySQL's with the server's own settings."""
    at = make_url(url)
    return import_module(MARIADB).connect(
        host=at.host, port=at.port or 0, user=at.username, database=at.database, **options
    )


def asynchronous(url: str) -> str:
    """The URL with a driver for asyncio."""
    return url.replace("sqlite:", "sqlite+aiosqlite:").replace(f"+{MARIADB_DRIVER}", "+asyncmy")
