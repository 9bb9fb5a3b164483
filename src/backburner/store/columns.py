"""The columns of each table."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Double, Identity, Integer, SmallInteger, String, Text, text

from backburner.store.types import Id, Utc

_KEY = 420
"""Characters of a key: its kind, a task's name and an identifier, each of up to 200."""


def position(clustered: bool) -> Column[Any]:
    if clustered:
        return Column("position", Integer, primary_key=True, autoincrement=True)
    return Column("position", BigInteger, Identity(), nullable=False)


def job_columns(clustered: bool) -> list[Column[Any]]:
    return [
        position(clustered),
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
        # Of the columns that say what is called, where and for whom; where rows are signed.
        Column("mac", String(64)),
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


def progress_columns() -> list[Column[Any]]:
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


def log_columns() -> list[Column[Any]]:
    return [
        Column("job", Id, primary_key=True),
        Column("start", BigInteger, primary_key=True, autoincrement=False),
        Column("attempt", Integer, primary_key=True, autoincrement=False),
        Column("at", Utc, nullable=False),
        Column("text", Text, nullable=False),
    ]


def message_columns() -> list[Column[Any]]:
    return [
        Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        Column("job", Id, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("ordinal", Integer, nullable=False),
        Column("at", Utc, nullable=False),
        Column("level", String(10), nullable=False),
        Column("text", Text, nullable=False),
    ]


def failed_item_columns() -> list[Column[Any]]:
    return [
        Column("job", Id, primary_key=True),
        Column("key", String(200), primary_key=True),
        Column("attempt", Integer, nullable=False),
        Column("at", Utc, nullable=False),
        Column("error", Text, nullable=False),
    ]


def attempt_columns() -> list[Column[Any]]:
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


def worker_columns() -> list[Column[Any]]:
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
        # Names of the tasks it knows, as a JSON list; none until it has said so.
        Column("tasks", Text),
        Column("dead_at", Utc),
        Column("ended_at", Utc),
        Column("reason", Text),
    ]


def lock_columns() -> list[Column[Any]]:
    return [
        Column("name", String(200), primary_key=True),
        Column("holder", Id, nullable=False),
        Column("note", String(200), nullable=False),
        Column("until", Utc, nullable=False),
    ]


def queue_columns() -> list[Column[Any]]:
    return [
        Column("name", String(100), primary_key=True),
        Column("paused_at", Utc),
        Column("paused_until", Utc),
        Column("paused_by", String(200)),
        Column("reason", String(500)),
        # How many of its jobs may run at the same time.
        Column("most", Integer),
    ]


def key_columns() -> list[Column[Any]]:
    return [
        Column("name", String(_KEY), primary_key=True),
        Column("job", Id, nullable=False),
        Column("scope", String(10), nullable=False),
        Column("until", Utc),
        # Of the request, to tell a repeated one from another one under the same key.
        Column("digest", String(64)),
    ]


def dependency_columns() -> list[Column[Any]]:
    return [
        Column("child", Id, primary_key=True),
        Column("parent", Id, primary_key=True),
        # Empty: the end of the parent.
        Column("milestone", String(200), primary_key=True),
        Column("policy", String(10), nullable=False),
        Column("met_at", Utc),
    ]


def milestone_columns() -> list[Column[Any]]:
    return [
        Column("job", Id, primary_key=True),
        Column("name", String(200), primary_key=True),
        Column("attempt", Integer, nullable=False),
        Column("at", Utc, nullable=False),
    ]


def schedule_columns() -> list[Column[Any]]:
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
        # Of the definition; of those that it took the place of; when a worker last had it in its code.
        Column("digest", String(64)),
        Column("replaced", Text),
        Column("seen_at", Utc),
    ]


def fire_columns() -> list[Column[Any]]:
    return [
        Column("schedule", String(200), primary_key=True),
        Column("at", Utc, primary_key=True),
        Column("job", Id),
    ]


def file_columns() -> list[Column[Any]]:
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
