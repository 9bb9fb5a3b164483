"""What operators need: rollups, failures by fingerprint, the audit, settings kept here, saved views."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context

from backburner.store.migrations.builder import LONG_TEXT, Builder

revision = "1003"
down_revision = "1002"


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    Tables(schema.name, schema.prefix, schema.dialect).create()


class Tables(Builder):
    """The tables of this version, written down once more: later changes of the code must not change them."""

    def create(self) -> None:
        self.rollups()
        self.failures()
        self.table(
            "audit",
            self.id("id", primary_key=True),
            self.time("at", nullable=False),
            _text("by", 200, nullable=False),
            _text("via", 20, nullable=False),
            _text("action", 50, nullable=False),
            _text("kind", 20, nullable=False),
            _text("target", 420, nullable=False),
            sa.Column("count", sa.Integer),
            _text("reason", 500),
            sa.Column("before", LONG_TEXT),
            sa.Column("after", LONG_TEXT),
        )
        self.index("audit", "target", "kind", "target", "id")
        self.table(
            "settings",
            _text("name", 100, primary_key=True),
            sa.Column("value", LONG_TEXT, nullable=False),
            self.time("at", nullable=False),
            _text("by", 200),
        )
        self.table(
            "views",
            self.id("id", primary_key=True),
            _text("name", 100, nullable=False),
            _text("owner", 200, nullable=False),
            sa.Column("shared", sa.Boolean, nullable=False, server_default=sa.text("false")),
            sa.Column("query", LONG_TEXT, nullable=False),
            sa.Column("columns", LONG_TEXT),
            self.time("created_at", nullable=False),
        )

    def rollups(self) -> None:
        counts = ("succeeded", "failed", "retried", "interrupted", "cancelled", "skipped")
        buckets = [f"{what}_{number:02}" for what in ("wait", "run") for number in range(28)]
        self.table(
            "rollups",
            self.id("id", primary_key=True),
            sa.Column("span", sa.Integer, nullable=False),
            sa.Column("minute", sa.Integer, nullable=False),
            _text("queue", 100, nullable=False),
            _text("task", 200, nullable=False),
            self.id("worker"),
            *(_count(name) for name in counts),
            sa.Column("waiting", sa.Integer),
            *(_count(name) for name in buckets),
        )
        self.index("rollups", "at", "span", "minute")

    def failures(self) -> None:
        self.table(
            "failures",
            self.id("job", primary_key=True),
            _text("fingerprint", 16, nullable=False),
            sa.Column("attempt", sa.Integer, nullable=False),
            sa.Column("final", sa.Boolean, nullable=False),
            self.time("at", nullable=False),
            _text("task", 200, nullable=False),
            _text("queue", 100, nullable=False),
            _text("host", 200, nullable=False),
        )
        self.index("failures", "group", "fingerprint", "final", "job")
        self.table(
            "failure_groups",
            _text("fingerprint", 16, primary_key=True),
            _text("error_type", 200, nullable=False),
            _text("place", 300, nullable=False),
            sa.Column("message", LONG_TEXT, nullable=False),
            _text("task", 200, nullable=False),
            self.time("first_at", nullable=False),
            self.time("last_at", nullable=False),
            self.id("job", nullable=False),
            sa.Column("attempts", sa.BigInteger, nullable=False, server_default="0"),
            self.time("muted_at"),
            self.time("muted_until"),
            _text("muted_by", 200),
            _text("mute_reason", 500),
        )
        self.index("failure_groups", "last", "last_at")
        self.table(
            "failure_hours",
            _text("fingerprint", 16, primary_key=True),
            sa.Column("hour", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("attempts", sa.Integer, nullable=False),
        )


def _text(name: str, size: int, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.String(size), **options)


def _count(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer, nullable=False, server_default="0")
