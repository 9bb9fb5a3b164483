"""One file per database; `of(url)` picks."""

from __future__ import annotations

from importlib import import_module

from sqlalchemy import URL

from backburner.errors import InvalidUrl
from backburner.store.dialects.base import Dialect

_DIALECTS = {
    "sqlite": ("sqlite", "SQLite"),
    "postgresql": ("postgresql", "PostgreSQL"),
    "mysql": ("mysql", "MySQL"),
    "mariadb": ("mysql", "MySQL"),
}
"""Module and class by what a URL says. Imported when it is asked for: what SQLAlchemy has for each takes its time."""


def of(url: URL) -> type[Dialect]:
    """The dialect of a URL. Raises `InvalidUrl` for a database that is not supported."""
    name = url.get_backend_name()
    if name not in _DIALECTS:
        known = ", ".join(sorted(_DIALECTS))
        raise InvalidUrl(url.render_as_string(), f"{name!r} is not supported", f"Use one of: {known}")
    module, kind = _DIALECTS[name]
    found: type[Dialect] = getattr(import_module(f"{__name__}.{module}"), kind)
    return found
