"""The tables, as SQLAlchemy Core describes them; the migrations build the same, a test compares the two.

Rows of one job are spread by how often they change: `jobs` moves with every state change, `progress` with
every flush, all else is insert-only. There are no foreign keys: the hot tables take no locks of others, and
deleting a job deletes its rows by hand, in batches.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect as SqlDialect
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_KEY = 420
"""Characters of a key: its kind, a task's name and an identifier, each of up to 200."""


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970, UTC: how SQLite stores a time (exact, short, sorts as it should)."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(stored: int) -> datetime:
    """The aware UTC time of what `to_microseconds` gave."""
    return _EPOCH + timedelta(microseconds=stored)


class Id(TypeDecorator[str]):
    """A UUID as its 36-character text in Python: `uuid` on PostgreSQL, text on SQLite."""

    impl = String(36)
    cache_ok = True

    def load_dialect_impl(self, dialect: SqlDialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(Uuid(as_uuid=False))
        return dialect.type_descriptor(String(36))


class Utc(TypeDecorator[datetime]):
    """A moment: aware UTC datetime in Python, `timestamptz` on PostgreSQL, microseconds on SQLite."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: SqlDialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: SqlDialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return to_microseconds(value)

    def process_result_value(self, value: Any, dialect: SqlDialect) -> datetime | None:
        if value is None:
            return None
        if dialect.name == "postgresql":
            return value.astimezone(UTC)  # type: ignore[no-any-return]
        return from_microseconds(value)


class Schema:
    """The tables under one schema name and table prefix, for one database.

    SQLite clusters `jobs` on `position` (its rowid) and keeps `id` as a unique index. PostgreSQL needs no
    index on `position`: each full index is written again by every change of state, so there are few.
    """

    def __init__(self, dialect: str, schema: str | None = None, prefix: str = "backburner_") -> None:
        self.name, self.prefix, self.dialect = schema, prefix, dialect
        self.metadata = MetaData(schema=schema)
        clustered = dialect != "postgresql"
        self.jobs = self._table("jobs", *_job_columns(clustered), *self._job_indexes())
        self.progress = self._table("progress", *_progress_columns())
        self.log = self._table("log", *_log_columns())
        self.messages = self._table(
            "messages",
            *_message_columns(),
            # A flush that is repeated, its answer being lost, writes no message twice.
            Index(f"{prefix}messages_said", "job", "attempt", "ordinal", unique=True),
        )
        self.failed_items = self._table("failed_items", *_failed_item_columns())
        self.attempts = self._table("attempts", *_attempt_columns())
        self.workers = self._table("workers", *_worker_columns())
        self.locks = self._table("locks", *_lock_columns())
        self.groups = self._table("groups", Column("name", String(200), primary_key=True))
        self.limits = self._table("limits", Column("name", String(210), primary_key=True))
        self.queues = self._table("queues", *_queue_columns())
        self.keys = self._table(
            "keys", *_key_columns(), Index(f"{prefix}keys_job", "job"), Index(f"{prefix}keys_until", "until")
        )
        self.dependencies = self._table(
            "dependencies",
            *_dependency_columns(),
            Index(f"{prefix}dependencies_open", "parent", **_where("met_at IS NULL")),
        )
        self.milestones = self._table("milestones", *_milestone_columns())
        self.schedules = self._table("schedules", *_schedule_columns(), Index(f"{prefix}schedules_next", "next_at"))
        self.fires = self._table("fires", *_fire_columns())
        self.files = self._table(
            "files",
            *_file_columns(),
            Index(f"{prefix}files_job", "job"),
            Index(f"{prefix}files_expires", "expires_at", **_where("expires_at IS NOT NULL")),
        )

    def qualified(self, table: str) -> str:
        """The quoted name of a table for statements written as text."""
        name = f'"{self.prefix}{table}"'
        return f'"{self.name}".{name}' if self.name else name

    @property
    def version_table(self) -> str:
        """The name of the table in which Alembic keeps the version."""
        return f"{self.prefix}version"

    def _table(self, name: str, *parts: Column[Any] | Index) -> Table:
        return Table(self.prefix + name, self.metadata, *parts)

    def _job_indexes(self) -> list[Index]:
        """Few and partial: what a live job needs, what lists and cleaning need, and sparse look-ups."""

        def index(name: str, *columns: str, where: str | None = None, unique: bool = False) -> Index:
            options = _where(where) if where else {}
            return Index(f"{self.prefix}jobs_{name}", *columns, unique=unique, **options)

        return [
            index("ready", "queue", "priority", "position", where="state = 'queued' AND group_name IS NULL"),
            # Jobs of groups apart: however many wait, claims of others do not see them.
            index("arrived", "queue", "priority", "position", where="state = 'queued' AND group_name IS NOT NULL"),
            index("due", "run_at", where="state IN ('scheduled', 'retrying')"),
            index("owned", "worker", where="worker IS NOT NULL"),
            index("expiring", "expires_at", where="expires_at IS NOT NULL AND finished_at IS NULL"),
            index("ended", "state", "finished_at", where="finished_at IS NOT NULL"),
            index("kept", "keep_until", where="keep_until IS NOT NULL"),
            # Not of unfinished jobs: each of their changes of state would write it again, at a quarter of the
            # speed (docs/decisions/0002).
            index("task", "task", "id", where="finished_at IS NOT NULL"),
            index("held", "blocked_on", where="blocked_on IS NOT NULL"),
            index("slot", "slot", where="slot IS NOT NULL", unique=True),
            index(
                "group",
                "group_name",
                "priority",
                "position",
                where="group_name IS NOT NULL AND state IN ('queued', 'blocked')",
            ),
            index("identifier", "identifier", where="identifier IS NOT NULL"),
            index("owner", "owner", "id", where="owner IS NOT NULL"),
            index("batch", "batch", where="batch IS NOT NULL"),
        ]


def _where(condition: str) -> dict[str, Any]:
    return {"postgresql_where": text(condition), "sqlite_where": text(condition)}


def _position(clustered: bool) -> Column[Any]:
    if clustered:
        return Column("position", Integer, primary_key=True, autoincrement=True)
    return Column("position", BigInteger, Identity(), nullable=False)


def _job_columns(clustered: bool) -> list[Column[Any]]:
    return [
        _position(clustered),
        Column("id", Id, primary_key=not clustered, unique=clustered, nullable=False),
        # Where it stands.
        Column("state", String(12), nullable=False),
        Column("queue", String(100), nullable=False),
        Column("priority", SmallInteger, nullable=False),
        Column("run_at", Utc, nullable=False),
        Column("expires_at", Utc),
        Column("attempt", Integer, nullable=False, server_default="0"),
        Column("tries", Integer, nullable=False, server_default="0"),
        Column("crashes", Integer, nullable=False, server_default="0"),
        Column("losses", Integer, nullable=False, server_default="0"),
        Column("max_attempts", Integer),
        Column("repeatable", Boolean, nullable=False, server_default=text("true")),
        # Who has it, and the last end of an attempt: an ambiguous commit is recognised by it.
        Column("worker", Id),
        Column("began_at", Utc),
        Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
        Column("settled_attempt", Integer),
        Column("settled_by", Id),
        # What it is.
        Column("task", String(200), nullable=False),
        Column("args", Text, nullable=False),
        Column("codec", String(20), nullable=False),
        Column("title", String(500)),
        Column("identifier", String(200)),
        Column("owner", String(200)),
        Column("visibility", String(20), nullable=False),
        Column("tags", Text),
        Column("meta", Text),
        Column("context", Text),
        Column("options", Text),
        # How it went.
        Column("created_at", Utc, nullable=False),
        Column("started_at", Utc),
        Column("finished_at", Utc),
        Column("keep_until", Utc),
        Column("result", Text),
        Column("reason", Text),
        Column("error", Text),
        # Groups, dependencies, limits and keys.
        Column("blocked_on", String(20)),
        Column("parents_left", Integer, nullable=False, server_default="0"),
        Column("group_name", String(200)),
        Column("group_policy", String(10)),
        Column("threshold", Integer),
        Column("slot", String(200)),
        Column("rate_key", String(200)),
        Column("batch", Id),
        Column("unique_key", String(_KEY)),
    ]


def _progress_columns() -> list[Column[Any]]:
    return [
        Column("job", Id, primary_key=True),
        Column("attempt", Integer, nullable=False),
        Column("done", Double, nullable=False),
        Column("total", Double),
        Column("unit", String(40)),
        Column("stage", String(200)),
        Column("message", Text),
        Column("failed", Integer, nullable=False),
        Column("links", Text),
        Column("began_at", Utc),
        Column("updated_at", Utc, nullable=False),
        # A checkpoint outlives its attempt: the next one goes on from it.
        Column("checkpoint", Text),
    ]


def _log_columns() -> list[Column[Any]]:
    return [
        Column("job", Id, primary_key=True),
        Column("start", BigInteger, primary_key=True, autoincrement=False),
        Column("attempt", Integer, primary_key=True, autoincrement=False),
        Column("at", Utc, nullable=False),
        Column("text", Text, nullable=False),
    ]


def _message_columns() -> list[Column[Any]]:
    return [
        Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        Column("job", Id, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("ordinal", Integer, nullable=False),
        Column("at", Utc, nullable=False),
        Column("level", String(10), nullable=False),
        Column("text", Text, nullable=False),
    ]


def _failed_item_columns() -> list[Column[Any]]:
    return [
        Column("job", Id, primary_key=True),
        Column("key", String(200), primary_key=True),
        Column("attempt", Integer, nullable=False),
        Column("at", Utc, nullable=False),
        Column("error", Text, nullable=False),
    ]


def _attempt_columns() -> list[Column[Any]]:
    return [
        Column("job", Id, primary_key=True),
        Column("attempt", Integer, primary_key=True, autoincrement=False),
        Column("outcome", String(20), nullable=False),
        Column("worker", Id),
        Column("host", String(200), nullable=False),
        Column("pid", Integer, nullable=False),
        Column("started_at", Utc, nullable=False),
        Column("finished_at", Utc, nullable=False),
        Column("reason", Text),
        Column("error_type", String(200)),
        Column("error", Text),
        Column("traceback", Text),
        Column("memory_before", BigInteger),
        Column("memory_after", BigInteger),
        Column("memory_peak", BigInteger),
    ]


def _worker_columns() -> list[Column[Any]]:
    return [
        Column("id", Id, primary_key=True),
        Column("supervisor", Id, nullable=False),
        Column("host", String(200), nullable=False),
        Column("pid", Integer, nullable=False),
        Column("label", String(100)),
        Column("queues", Text),
        Column("priorities", String(20)),
        Column("concurrency", Integer, nullable=False),
        Column("version", String(40), nullable=False),
        Column("started_at", Utc, nullable=False),
        Column("beat_at", Utc, nullable=False),
        Column("lease_until", Utc, nullable=False),
        # What somebody asked of it: stop, reload; its supervisor reads it at each beat.
        Column("told", String(20)),
        Column("dead_at", Utc),
        Column("ended_at", Utc),
        Column("reason", Text),
    ]


def _lock_columns() -> list[Column[Any]]:
    return [
        Column("name", String(200), primary_key=True),
        Column("holder", Id, nullable=False),
        Column("note", String(200), nullable=False),
        Column("until", Utc, nullable=False),
    ]


def _queue_columns() -> list[Column[Any]]:
    return [
        Column("name", String(100), primary_key=True),
        Column("paused_at", Utc),
        Column("paused_until", Utc),
        Column("paused_by", String(200)),
        Column("reason", String(500)),
        # How many of its jobs may run at the same time.
        Column("most", Integer),
    ]


def _key_columns() -> list[Column[Any]]:
    return [
        Column("name", String(_KEY), primary_key=True),
        Column("job", Id, nullable=False),
        Column("scope", String(10), nullable=False),
        Column("until", Utc),
        # Of the request, to tell a repeated one from another one under the same key.
        Column("digest", String(64)),
    ]


def _dependency_columns() -> list[Column[Any]]:
    return [
        Column("child", Id, primary_key=True),
        Column("parent", Id, primary_key=True),
        # Empty: the end of the parent.
        Column("milestone", String(200), primary_key=True),
        Column("policy", String(10), nullable=False),
        Column("met_at", Utc),
    ]


def _milestone_columns() -> list[Column[Any]]:
    return [
        Column("job", Id, primary_key=True),
        Column("name", String(200), primary_key=True),
        Column("attempt", Integer, nullable=False),
        Column("at", Utc, nullable=False),
    ]


def _schedule_columns() -> list[Column[Any]]:
    return [
        Column("name", String(200), primary_key=True),
        Column("task", String(200), nullable=False),
        Column("args", Text, nullable=False),
        Column("options", Text),
        # cron or every, and its expression or seconds.
        Column("kind", String(10), nullable=False),
        Column("spec", String(200), nullable=False),
        Column("zone", String(100), nullable=False),
        Column("missed", String(10), nullable=False),
        Column("bound", Integer, nullable=False),
        Column("anchor", Utc, nullable=False),
        Column("next_at", Utc),
        Column("last_at", Utc),
        # Definitions from the code: the newer version wins, what is gone from it is disabled.
        Column("source", String(10), nullable=False),
        Column("version", Integer, nullable=False),
        Column("disabled", Boolean, nullable=False, server_default=text("false")),
        Column("paused_at", Utc),
        Column("paused_by", String(200)),
        Column("reason", String(500)),
    ]


def _fire_columns() -> list[Column[Any]]:
    return [
        Column("schedule", String(200), primary_key=True),
        Column("at", Utc, primary_key=True),
        Column("job", Id),
    ]


def _file_columns() -> list[Column[Any]]:
    return [
        Column("id", Id, primary_key=True),
        Column("job", Id, nullable=False),
        Column("name", String(300), nullable=False),
        Column("media_type", String(100), nullable=False),
        Column("size", BigInteger, nullable=False),
        Column("place", Text, nullable=False),
        Column("created_at", Utc, nullable=False),
        Column("expires_at", Utc),
    ]
