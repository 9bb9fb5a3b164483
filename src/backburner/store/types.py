"""Column types that mean the same on every database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BINARY, TIMESTAMP, BigInteger, FunctionElement, Integer, String, Text, Uuid
from sqlalchemy.engine import Dialect as SqlDialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import TypeDecorator, TypeEngine

MYSQL = ("mysql", "mariadb")
"""What SQLAlchemy calls the two: one database to us, but a caller's connection may say either."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970, UTC: how SQLite stores a time (exact, short, sorts as it should)."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(stored: int) -> datetime:
    """The aware UTC time of what `to_microseconds` gave."""
    return _EPOCH + timedelta(microseconds=stored)


def to_bytes(job_id: str) -> bytes:
    """The 16 bytes of an id, as MySQL stores it: they sort as its text does."""
    return bytes.fromhex(job_id.replace("-", ""))


def from_bytes(stored: bytes) -> str:
    """The 36-character text of what `to_bytes` gave."""
    text = stored.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def to_naive(moment: datetime) -> datetime:
    """A time as MySQL's DATETIME holds it: UTC, and it does not say so."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def from_naive(stored: datetime) -> datetime:
    """The aware UTC time of what `to_naive` gave."""
    return stored.replace(tzinfo=UTC)


class _MediumText(Text):
    """MySQL's, as the compiler of its dialect knows it: to import that takes its time, also on other databases."""

    __visit_name__ = "MEDIUMTEXT"


LongText = Text().with_variant(_MediumText(), *MYSQL)
"""Text of any length: the plain TEXT of MySQL ends at 64 KiB."""


class Id(TypeDecorator[str]):
    """A UUID as its 36-character text in Python: `uuid` on PostgreSQL, text on SQLite, BINARY(16) on MySQL."""

    impl = String(36)
    cache_ok = True

    def load_dialect_impl(self, dialect: SqlDialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(Uuid(as_uuid=False))
        return dialect.type_descriptor(BINARY(16) if dialect.name in MYSQL else String(36))

    def process_bind_param(self, value: str | None, dialect: SqlDialect) -> Any:
        return to_bytes(value) if value is not None and dialect.name in MYSQL else value

    def process_result_value(self, value: Any, dialect: SqlDialect) -> str | None:
        return from_bytes(value) if value is not None and dialect.name in MYSQL else value


class Utc(TypeDecorator[datetime]):
    """A moment: aware UTC datetime in Python, `timestamptz` on PostgreSQL, microseconds on SQLite, DATETIME(6)
    in UTC on MySQL, whose TIMESTAMP ends in 2038.
    """

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: SqlDialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        if dialect.name in MYSQL:
            from sqlalchemy.dialects import mysql  # not on other databases: it takes its time

            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: SqlDialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return to_naive(value) if dialect.name in MYSQL else to_microseconds(value)

    def process_result_value(self, value: Any, dialect: SqlDialect) -> datetime | None:
        if value is None:
            return None
        if dialect.name == "postgresql":
            return value.astimezone(UTC)  # type: ignore[no-any-return]
        return from_naive(value) if dialect.name in MYSQL else from_microseconds(value)


class characters(FunctionElement[int]):  # noqa: N801 (reads as a function of SQL)
    """How many characters a text has."""

    type = Integer()
    inherit_cache = True


@compiles(characters)
def _length(element: characters, compiler: Any, **options: Any) -> str:
    return f"length({compiler.process(element.clauses, **options)})"


@compiles(characters, *MYSQL)
def _char_length(element: characters, compiler: Any, **options: Any) -> str:
    # LENGTH counts bytes there.
    return f"char_length({compiler.process(element.clauses, **options)})"
