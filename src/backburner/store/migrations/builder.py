"""How migrations make tables on each database. Once released, what is here only grows."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql, postgresql

LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


class Builder:
    """Makes tables and indexes under one schema name and table prefix."""

    def __init__(self, schema: str | None, prefix: str, dialect: str) -> None:
        self.schema, self.prefix = schema, prefix
        self.on_postgresql, self.on_mysql = dialect == "postgresql", dialect == "mysql"
        # MySQL commits each of these by itself. What an earlier try left is kept, so that it can be tried again.
        resumed = self.on_mysql and not context.is_offline_mode()
        self.there = sa.inspect(op.get_bind()) if resumed else None

    def table(self, name: str, *columns: sa.Column[Any] | sa.Constraint) -> None:
        if self.there is None or not self.there.has_table(self.prefix + name, schema=self.schema):
            op.create_table(self.prefix + name, *columns, schema=self.schema, **self.exact())

    def exact(self) -> dict[str, Any]:
        """On MySQL: texts are equal when their bytes are. Its own default takes A for a, and "a " for "a"."""
        if not self.on_mysql:
            return {}
        mariadb = context.config.attributes["mariadb"]
        return {
            "mysql_engine": "InnoDB",
            "mysql_charset": "utf8mb4",
            "mysql_collate": "utf8mb4_nopad_bin" if mariadb else "utf8mb4_0900_bin",
        }

    def index(self, table: str, name: str, *columns: str, where: str | None = None, unique: bool = False) -> None:
        if self.there is not None:
            # Not from the inspector's memory: the table may have come a moment ago.
            self.there.clear_cache()
            found = self.there.get_indexes(self.prefix + table, schema=self.schema)
            if f"{self.prefix}{table}_{name}" in {index["name"] for index in found}:
                return
        condition: dict[str, Any] = {}
        if where:
            condition = {"postgresql_where": sa.text(where), "sqlite_where": sa.text(where)}
        op.create_index(
            f"{self.prefix}{table}_{name}",
            self.prefix + table,
            list(columns),
            unique=unique,
            schema=self.schema,
            **condition,
        )

    def id(self, name: str, **options: Any) -> sa.Column[Any]:
        kind: sa.types.TypeEngine[Any] = sa.String(36)
        if self.on_postgresql or self.on_mysql:
            kind = sa.BINARY(16) if self.on_mysql else sa.Uuid(as_uuid=False)
        return sa.Column(name, kind, **options)

    def time(self, name: str, *more: Any, **options: Any) -> sa.Column[Any]:
        kind: sa.types.TypeEngine[Any] = sa.BigInteger()
        if self.on_postgresql or self.on_mysql:
            kind = mysql.DATETIME(fsp=6) if self.on_mysql else postgresql.TIMESTAMP(timezone=True)
        return sa.Column(name, kind, *more, **options)

    def number(self, name: str) -> sa.Column[Any]:
        kind = sa.BigInteger() if self.on_postgresql or self.on_mysql else sa.Integer()
        return sa.Column(name, kind, primary_key=True, autoincrement=True)
