"""The columns of tables that are about jobs and not of them: what those need who watch and operate."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Integer, String, text

from backburner.histogram import BUCKETS
from backburner.store.types import Id, LongText, Utc

COUNTS = ("succeeded", "failed", "retried", "interrupted", "cancelled", "skipped")
"""Ends of attempts that rollups count; `retried` are failures after which the job runs again."""
WAITS = tuple(f"wait_{number:02}" for number in range(BUCKETS))
RUNS = tuple(f"run_{number:02}" for number in range(BUCKETS))


def rollup_columns() -> list[Column[Any]]:
    return [
        Column("id", Id, primary_key=True),
        # How many minutes it stands for: 0 as a worker wrote it, then what was merged. `minute` counts from 1970.
        Column("span", Integer, nullable=False),
        Column("minute", Integer, nullable=False),
        Column("queue", String(100), nullable=False),
        Column("task", String(200), nullable=False),
        Column("worker", Id),
        *(Column(name, Integer, nullable=False, server_default="0") for name in COUNTS),
        # How many jobs waited in the queue: in rows of their own, without a task.
        Column("waiting", Integer),
        *(Column(name, Integer, nullable=False, server_default="0") for name in (*WAITS, *RUNS)),
    ]


def failure_columns() -> list[Column[Any]]:
    return [
        Column("job", Id, primary_key=True),
        Column("fingerprint", String(16), nullable=False),
        Column("attempt", Integer, nullable=False),
        # Whether the job failed for good.
        Column("final", Boolean, nullable=False),
        Column("at", Utc, nullable=False),
        Column("task", String(200), nullable=False),
        Column("queue", String(100), nullable=False),
        Column("host", String(200), nullable=False),
    ]


def failure_group_columns() -> list[Column[Any]]:
    return [
        Column("fingerprint", String(16), primary_key=True),
        Column("error_type", String(200), nullable=False),
        Column("place", String(300), nullable=False),
        Column("message", LongText, nullable=False),
        Column("task", String(200), nullable=False),
        Column("first_at", Utc, nullable=False),
        Column("last_at", Utc, nullable=False),
        Column("job", Id, nullable=False),
        Column("attempts", BigInteger, nullable=False, server_default="0"),
        Column("muted_at", Utc),
        Column("muted_until", Utc),
        Column("muted_by", String(200)),
        Column("mute_reason", String(500)),
    ]


def failure_hour_columns() -> list[Column[Any]]:
    return [
        Column("fingerprint", String(16), primary_key=True),
        # Counted from 1970.
        Column("hour", Integer, primary_key=True, autoincrement=False),
        Column("attempts", Integer, nullable=False),
    ]


def audit_columns() -> list[Column[Any]]:
    return [
        Column("id", Id, primary_key=True),
        Column("at", Utc, nullable=False),
        Column("by", String(200), nullable=False),
        # Where it was done: dashboard, http, cli, code.
        Column("via", String(20), nullable=False),
        Column("action", String(50), nullable=False),
        # On what: job, jobs, queue, schedule, worker, setting, failure, view; and which.
        Column("kind", String(20), nullable=False),
        Column("target", String(420), nullable=False),
        Column("count", Integer),
        Column("reason", String(500)),
        Column("before", LongText),
        Column("after", LongText),
    ]


def setting_columns() -> list[Column[Any]]:
    return [
        Column("name", String(100), primary_key=True),
        Column("value", LongText, nullable=False),
        Column("at", Utc, nullable=False),
        Column("by", String(200)),
    ]


def view_columns() -> list[Column[Any]]:
    return [
        Column("id", Id, primary_key=True),
        Column("name", String(100), nullable=False),
        Column("owner", String(200), nullable=False),
        Column("shared", Boolean, nullable=False, server_default=text("false")),
        Column("query", LongText, nullable=False),
        Column("columns", LongText),
        Column("created_at", Utc, nullable=False),
    ]
