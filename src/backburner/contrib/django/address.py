"""The URL of a database as Backburner knows it, from a connection of Django's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from backburner.errors import SettingsError

_SCHEMES = {"sqlite": "sqlite", "postgresql": "postgresql", "mysql": "mariadb"}
# What Django itself does with an option; the driver never sees it.
_DJANGOS_OWN = frozenset({
    "isolation_level", "pool", "assume_role", "server_side_binding", "client_encoding", "cursor_factory",
    "prepare_threshold", "init_command", "transaction_mode", "charset", "sql_mode", "use_unicode", "autocommit",
})  # fmt: skip


def address_of(connection: Any) -> str:
    """The URL of what `connections[alias]` leads to. Raises `SettingsError` for a database that is not supported."""
    said: Mapping[str, Any] = connection.settings_dict
    scheme = _SCHEMES.get(connection.vendor)
    if scheme is None:
        raise SettingsError(
            f"DATABASES[{connection.alias!r}]", said["ENGINE"], "is no database that jobs can be kept in",
            "Use SQLite, PostgreSQL, MariaDB or MySQL, and name its alias: BACKBURNER = {'DATABASE': 'jobs'}",
        )  # fmt: skip
    if scheme == "sqlite":
        return "sqlite://" if in_memory(connection) else f"sqlite:///{Path(said['NAME']).absolute()}"
    if connection.vendor == "mysql" and connection.Database.__name__ != "pymysql":
        scheme = "mysql+mysqldb"
    query = _options(said.get("OPTIONS") or {})
    host = str(said.get("HOST") or "")
    if host.startswith("/"):
        query["unix_socket" if connection.vendor == "mysql" else "host"] = host
        host = ""
    elif not host and connection.vendor == "mysql":
        # As both drivers take it: the socket of this machine.
        host = "localhost"
    port = str(said.get("PORT") or "")
    if port and not host:
        query["port"] = port
        port = ""
    login = quote(str(said.get("USER") or ""), safe="")
    if said.get("PASSWORD"):
        login += f":{quote(str(said['PASSWORD']), safe='')}"
    place = f"{login}@{host}" if login else host
    found = f"{scheme}://{place}{f':{port}' if port else ''}/{quote(str(said.get('NAME') or ''), safe='')}"
    return f"{found}?{urlencode(query)}" if query else found


def in_memory(connection: Any) -> bool:
    """Whether it is SQLite without a file."""
    name = str(connection.settings_dict["NAME"] or "")
    return connection.vendor == "sqlite" and (name in ("", ":memory:") or "mode=memory" in name)


def _options(given: Mapping[str, Any]) -> dict[str, str]:
    query = {
        name: str(value)
        for name, value in given.items()
        if name not in _DJANGOS_OWN and isinstance(value, str | int | float | Path) and not isinstance(value, bool)
    }
    certificates = given.get("ssl")
    if isinstance(certificates, Mapping):
        query |= {f"ssl_{name}": str(value) for name, value in certificates.items() if isinstance(value, str | Path)}
    return query
