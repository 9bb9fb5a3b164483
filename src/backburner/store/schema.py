"""The tables, as SQLAlchemy Core describes them; the migrations build the same, a test compares the two.

Rows of one job are spread by how often they change: `jobs` moves with every state change, `progress` with
every flush, all else is insert-only. There are no foreign keys: the hot tables take no locks of others, and
deleting a job deletes its rows by hand, in batches.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import Column, Index, MetaData, String, Table, text

from backburner.store import columns, report_columns


class Schema:
    """The tables under one schema name and table prefix, for one database.

    SQLite clusters `jobs` on `position` (its rowid) and keeps `id` as a unique index. PostgreSQL needs no
    index on `position`: each full index is written again by every change of state, so there are few. MySQL
    clusters as SQLite does, and has columns in the place of its partial indexes' conditions.
    """

    def __init__(self, dialect: str, schema: str | None = None, prefix: str = "backburner_") -> None:
        self.name, self.prefix, self.dialect = schema, prefix, dialect
        self.metadata = MetaData(schema=schema)
        clustered = dialect != "postgresql"
        conditions = columns.condition_columns() if dialect == "mysql" else []
        self.jobs = self._table("jobs", *columns.job_columns(clustered), *conditions, *self._job_indexes())
        self.progress = self._table("progress", *columns.progress_columns())
        self.log = self._table("log", *columns.log_columns())
        self.messages = self._table(
            "messages",
            *columns.message_columns(),
            # A flush that is repeated, its answer being lost, writes no message twice.
            Index(f"{prefix}messages_said", "job", "attempt", "ordinal", unique=True),
        )
        self.failed_items = self._table("failed_items", *columns.failed_item_columns())
        self.attempts = self._table("attempts", *columns.attempt_columns())
        self.workers = self._table("workers", *columns.worker_columns())
        self.locks = self._table("locks", *columns.lock_columns())
        self.groups = self._table("groups", Column("name", String(200), primary_key=True))
        self.limits = self._table("limits", Column("name", String(210), primary_key=True))
        self.queues = self._table("queues", *columns.queue_columns())
        self.keys = self._table(
            "keys", *columns.key_columns(), Index(f"{prefix}keys_job", "job"), Index(f"{prefix}keys_until", "until")
        )
        self.dependencies = self._table(
            "dependencies",
            *columns.dependency_columns(),
            Index(
                f"{prefix}dependencies_open",
                *(("met_at", "parent") if dialect == "mysql" else ("parent",)),
                **self._where("met_at IS NULL"),
            ),
        )
        self.milestones = self._table("milestones", *columns.milestone_columns())
        self.schedules = self._table(
            "schedules", *columns.schedule_columns(), Index(f"{prefix}schedules_next", "next_at")
        )
        self.fires = self._table("fires", *columns.fire_columns(), Index(f"{prefix}fires_at", "at"))
        self.grants = self._table(
            "grants",
            *columns.grant_columns(),
            Index(f"{prefix}grants_until", "until", **self._where("until IS NOT NULL")),
        )
        self.files = self._table(
            "files",
            *columns.file_columns(),
            Index(f"{prefix}files_job", "job"),
            Index(f"{prefix}files_expires", "expires_at", **self._where("expires_at IS NOT NULL")),
        )
        self._reports()

    def qualified(self, table: str) -> str:
        """The quoted name of a table for statements written as text."""
        mark = "`" if self.dialect == "mysql" else '"'
        name = f"{mark}{self.prefix}{table}{mark}"
        return f"{mark}{self.name}{mark}.{name}" if self.name else name

    @property
    def version_table(self) -> str:
        """The name of the table in which Alembic keeps the version."""
        return f"{self.prefix}version"

    def _table(self, name: str, *parts: Column[Any] | Index) -> Table:
        return Table(self.prefix + name, self.metadata, *parts)

    def _where(self, condition: str) -> dict[str, Any]:
        """The condition of a partial index, where there are such. For this database alone: SQLAlchemy loads each one
        that an option names, and PostgreSQL's takes 20 ms of every process.
        """
        return {} if self.dialect == "mysql" else {f"{self.dialect}_where": text(condition)}

    def _reports(self) -> None:
        """What is kept for those who watch and operate."""
        prefix, kinds = self.prefix, report_columns
        self.rollups = self._table("rollups", *kinds.rollup_columns(), Index(f"{prefix}rollups_at", "span", "minute"))
        self.failures = self._table(
            "failures",
            *kinds.failure_columns(),
            Index(f"{prefix}failures_group", "fingerprint", "final", "job"),
        )
        self.failure_groups = self._table(
            "failure_groups", *kinds.failure_group_columns(), Index(f"{prefix}failure_groups_last", "last_at")
        )
        self.failure_hours = self._table("failure_hours", *kinds.failure_hour_columns())
        self.audit = self._table(
            "audit", *kinds.audit_columns(), Index(f"{prefix}audit_target", "kind", "target", "id")
        )
        self.settings = self._table("settings", *kinds.setting_columns())
        self.views = self._table("views", *kinds.view_columns())

    def _job_indexes(self) -> list[Index]:
        """Few and partial: what a live job needs, what lists and cleaning need, and sparse look-ups."""

        def index(name: str, *columns: str, where: str | None = None, unique: bool = False) -> Index:
            options = self._where(where) if where else {}
            return Index(f"{self.prefix}jobs_{name}", *columns, unique=unique, **options)

        ready, arrived = "state = 'queued' AND group_name IS NULL", "state = 'queued' AND group_name IS NOT NULL"
        late = "expires_at IS NOT NULL AND finished_at IS NULL"
        line = ("group_name", "priority", "position")
        if self.dialect == "mysql":
            by_condition = [
                index("ready", "ready", "queue", "priority", "position"),
                index("due", "due_at"),
                index("expiring", "expiring_at"),
                index("ended", "ended_as", "finished_at"),
                index("group", "in_line", *line),
            ]
        else:
            by_condition = [
                index("ready", "queue", "priority", "position", where=ready),
                # Jobs of groups apart: however many wait, claims of others do not see them.
                index("arrived", "queue", "priority", "position", where=arrived),
                index("due", "run_at", where="state IN ('scheduled', 'retrying')"),
                index("expiring", "expires_at", where=late),
                index("ended", "state", "finished_at", where="finished_at IS NOT NULL"),
                index("group", *line, where="group_name IS NOT NULL AND state IN ('queued', 'blocked')"),
            ]
        return [
            *by_condition,
            index("owned", "worker", where="worker IS NOT NULL"),
            index("kept", "keep_until", where="keep_until IS NOT NULL"),
            # Not of unfinished jobs: each of their changes of state would write it again, at a quarter of the
            # speed (docs/decisions/0002).
            index("task", "task", "id", where="finished_at IS NOT NULL"),
            index("held", "blocked_on", where="blocked_on IS NOT NULL"),
            index("slot", "slot", where="slot IS NOT NULL", unique=True),
            index("identifier", "identifier", where="identifier IS NOT NULL"),
            index("owner", "owner", "id", where="owner IS NOT NULL"),
            index("batch", "batch", where="batch IS NOT NULL"),
        ]


@lru_cache(maxsize=16)
def described(dialect: str, schema: str | None, prefix: str) -> Schema:
    """The same tables for all who ask for the same: nobody changes them, and to describe them takes 7 ms."""
    return Schema(dialect, schema, prefix)
