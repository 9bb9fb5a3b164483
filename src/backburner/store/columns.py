"""The columns of each table."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Computed, Double, Identity, Integer, SmallInteger, String, text

from backburner.store.types import Id, LongText, Utc

_KEY = 420
"""Characters of a key: its kind, a task's name and an identifier, each of up to 200."""


_COUNTED = BigInteger().with_variant(Integer, "sqlite")
"""A key that the database counts up; SQLite does so for this one type."""


def position(clustered: bool) -> Column[Any]:
    if clustered:
        return Column("position", _COUNTED, primary_key=True, autoincrement=True)
    return Column("position", BigInteger, Identity(), nullable=False)


def condition_columns() -> list[Column[Any]]:
    """What stands on MySQL for the conditions of partial indexes, which it does not have.

    Each is NULL wherever the condition of its index does not hold, so a change of state writes only the indexes
    that it enters or leaves. Stored, not virtual: cleaning up behind an index never has to work them out again.
    """
    grouped = "CASE WHEN group_name IS NULL THEN 0 ELSE 1 END"
    in_line = "state = 'queued' OR (state = 'blocked' AND blocked_on = 'group')"
    conditions: tuple[tuple[str, Any, str], ...] = (
        ("ready", SmallInteger, f"CASE WHEN state = 'queued' THEN {grouped} END"),
        ("in_line", SmallInteger, f"CASE WHEN group_name IS NOT NULL AND ({in_line}) THEN 1 END"),
        ("due_at", Utc, "CASE WHEN state IN ('scheduled', 'retrying') THEN run_at END"),
        ("expiring_at", Utc, "CASE WHEN finished_at IS NULL THEN expires_at END"),
        ("ended_as", String(12), "CASE WHEN finished_at IS NOT NULL THEN state END"),
    )
    return [Column(name, kind, Computed(value, persisted=True)) for name, kind, value in conditions]


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
        Column("args", LongText, nullable=False),
        Column("codec", String(20), nullable=False),
        Column("title", String(500)),
        Column("identifier", String(200)),
        Column("owner", String(200)),
        Column("visibility", String(20), nullable=False),
        Column("tags", LongText),
        Column("meta", LongText),
        Column("context", LongText),
        Column("options", LongText),
        # Of the columns that say what is called, where and for whom; where rows are signed.
        Column("mac", String(64)),
        # How it went.
        Column("created_at", Utc, nullable=False),
        Column("started_at", Utc),
        Column("finished_at", Utc),
        Column("keep_until", Utc),
        Column("result", LongText),
        Column("reason", LongText),
        Column("error", LongText),
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
        Column("message", LongText),
        Column("failed", Integer, nullable=False),
        Column("links", LongText),
        Column("began_at", Utc),
        Column("updated_at", Utc, nullable=False),
        # A checkpoint outlives its attempt: the next one goes on from it.
        Column("checkpoint", LongText),
    ]


def log_columns() -> list[Column[Any]]:
    return [
        Column("job", Id, primary_key=True),
        Column("start", BigInteger, primary_key=True, autoincrement=False),
        Column("attempt", Integer, primary_key=True, autoincrement=False),
        Column("at", Utc, nullable=False),
        Column("text", LongText, nullable=False),
    ]


def message_columns() -> list[Column[Any]]:
    return [
        Column("number", _COUNTED, primary_key=True, autoincrement=True),
        Column("job", Id, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("ordinal", Integer, nullable=False),
        Column("at", Utc, nullable=False),
        Column("level", String(10), nullable=False),
        Column("text", LongText, nullable=False),
    ]


def failed_item_columns() -> list[Column[Any]]:
    return [
        Column("job", Id, primary_key=True),
        Column("key", String(200), primary_key=True),
        Column("attempt", Integer, nullable=False),
        Column("at", Utc, nullable=False),
        Column("error", LongText, nullable=False),
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
        Column("reason", LongText),
        Column("error_type", String(200)),
        Column("error", LongText),
        Column("traceback", LongText),
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
        Column("queues", LongText),
        Column("priorities", String(20)),
        Column("concurrency", Integer, nullable=False),
        Column("version", String(40), nullable=False),
        Column("started_at", Utc, nullable=False),
        Column("beat_at", Utc, nullable=False),
        Column("lease_until", Utc, nullable=False),
        # What somebody asked of it: stop, reload; its supervisor reads it at each beat.
        Column("told", String(20)),
        # Names of the tasks it knows, as a JSON list; none until it has said so.
        Column("tasks", LongText),
        Column("dead_at", Utc),
        Column("ended_at", Utc),
        Column("reason", LongText),
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
        Column("args", LongText, nullable=False),
        Column("options", LongText),
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
        Column("replaced", LongText),
        Column("seen_at", Utc),
    ]


def fire_columns() -> list[Column[Any]]:
    return [
        Column("schedule", String(200), primary_key=True),
        Column("at", Utc, primary_key=True),
        Column("job", Id),
    ]


def grant_columns() -> list[Column[Any]]:
    return [
        Column("job", Id, primary_key=True),
        Column("attempt", Integer, nullable=False),
        Column("nonce", String(64), nullable=False),
        Column("used_at", Utc),
        # Encrypted, and until when they may be used.
        Column("cookies", LongText),
        Column("until", Utc),
    ]


def file_columns() -> list[Column[Any]]:
    return [
        Column("id", Id, primary_key=True),
        Column("job", Id, nullable=False),
        Column("name", String(300), nullable=False),
        Column("media_type", String(100), nullable=False),
        Column("size", BigInteger, nullable=False),
        Column("place", LongText, nullable=False),
        Column("created_at", Utc, nullable=False),
        Column("expires_at", Utc),
    ]
