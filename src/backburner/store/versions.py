"""Versions of the tables: which are there, which are needed, and the way between them.

A version is four digits: the first is the generation. Within a generation migrations only add, so that the
previous release's workers go on working beside the new ones; a new generation stops them.
Alembic is imported only when there is something to migrate.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect, text

from backburner.errors import StoreUnavailable
from backburner.store.schema import Schema

KNOWN = ("1001", "1002", "1003")
"""Every version this release knows, oldest first."""

NEEDED = KNOWN[-1]

_LOCK_KEY = 0x6261636B62726E72
"""The advisory lock that one migration at a time holds: "backbrnr" in ASCII."""

_WAIT_SECONDS = 25
"""How long one migration waits for another one where no table's lock has a time-out that ends it."""


def found(connection: Connection, schema: Schema) -> str | None:
    """The version of the tables in this database; None when there are none."""
    if not inspect(connection).has_table(schema.version_table, schema=schema.name):
        return None
    name = schema.qualified("version")
    return connection.execute(text(f"SELECT version_num FROM {name}")).scalar()


def is_newer(version: str | None) -> bool:
    """True when a later release made these tables."""
    return version is not None and version not in KNOWN


def has(found: str | None, version: str) -> bool:
    """True when tables of version `found` are at `version`, or beyond it."""
    return found is not None and (is_newer(found) or KNOWN.index(found) >= KNOWN.index(version))


def before(version: str) -> str | None:
    """The version that `version` is made from; None for the first."""
    place = KNOWN.index(version)
    return KNOWN[place - 1] if place else None


def can_work_with(version: str) -> bool:
    """True when this release may work with tables of that later version."""
    return version[:1] == NEEDED[:1]


def upgrade(connection: Connection, schema: Schema, to: str = NEEDED) -> None:
    """Bring the tables to a version in the connection's transaction; waits for a lock at most 5 seconds.

    MySQL commits each statement that makes a table by itself. The version is written last, and a migration takes up
    what an earlier try of it left: who was interrupted does it again.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
    if schema.name and connection.dialect.name == "postgresql":
        connection.execute(text(_create_schema(schema)))
    with _mysql_lock(connection, schema) if connection.dialect.name == "mysql" else nullcontext():
        _alembic("upgrade", _config(schema, connection.engine, connection=connection), to)
        if connection.dialect.name == "mysql":
            # Before the lock is let go: who has waited for it must see the version.
            connection.exec_driver_sql("COMMIT")


@contextmanager
def _mysql_lock(connection: Connection, schema: Schema) -> Iterator[None]:
    """One migration at a time: a lock of the session, which ends with the connection whatever happens."""
    database = schema.name or connection.engine.url.database
    # Up to 64 characters.
    name = f"backburner-{hashlib.sha256(f'{database}.{schema.prefix}'.encode()).hexdigest()[:32]}"
    asked = {"name": name, "seconds": _WAIT_SECONDS}
    if not connection.execute(text("SELECT GET_LOCK(:name, :seconds)"), asked).scalar():
        raise StoreUnavailable(
            f"another process is making the tables and did not end within {_WAIT_SECONDS} s. Try again"
        )
    try:
        yield
    finally:
        with suppress(Exception):
            connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": name})


def as_sql(engine: Engine, schema: Schema, version: str | None, to: str = NEEDED) -> str:
    """The statements that `upgrade` would run from `version` on."""
    if version == to:
        return ""
    buffer = io.StringIO()
    if schema.name and engine.dialect.name == "postgresql":
        buffer.write(_create_schema(schema) + ";\n\n")
    config = _config(schema, engine, dialect=engine.dialect, buffer=buffer)
    span = to if version is None else f"{version}:{to}"
    _alembic("upgrade", config, span, sql=True)
    return buffer.getvalue()


def _create_schema(schema: Schema) -> str:
    return f'CREATE SCHEMA IF NOT EXISTS "{schema.name}"'


def _config(schema: Schema, engine: Engine, **attributes: Any) -> Any:
    config = import_module("alembic.config").Config(
        stdout=io.StringIO(), output_buffer=attributes.pop("buffer", None), attributes=attributes
    )
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["schema"] = schema
    config.attributes["mariadb"] = getattr(engine.dialect, "is_mariadb", False)
    return config


def _alembic(command: str, *arguments: Any, **options: Any) -> None:
    getattr(import_module("alembic.command"), command)(*arguments, **options)
