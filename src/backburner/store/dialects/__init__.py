"""One file per database; `of(url)` picks."""

from __future__ import annotations

from sqlalchemy import URL

from backburner.errors import InvalidUrl
from backburner.store.dialects.base import Dialect
from backburner.store.dialects.mysql import MySQL
from backburner.store.dialects.postgresql import PostgreSQL
from backburner.store.dialects.sqlite import SQLite

_DIALECTS: dict[str, type[Dialect]] = {
    "sqlite": SQLite,
    "postgresql": PostgreSQL,
    "mysql": MySQL,
    "mariadb": MySQL,
}


def of(url: URL) -> type[Dialect]:
    """The dialect of a URL. Raises `InvalidUrl` for a database that is not supported."""
    name = url.get_backend_name()
    if name not in _DIALECTS:
        known = ", ".join(sorted(_DIALECTS))
        raise InvalidUrl(url.render_as_string(), f"{name!r} is not supported", f"Use one of: {known}")
    return _DIALECTS[name]
