"""The hot statements of MariaDB and MySQL, and what they are sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from backburner.job import ClaimedJob
from backburner.outcome import Settlement
from backburner.relations import PARENTS
from backburner.store.dialects.base import CANCELLED_MEANWHILE, CLAIMED, INSERTED, KEEPS_SLOT, ClaimOrder
from backburner.store.schema import Schema
from backburner.store.types import to_naive


def insert(schema: Schema) -> str:
    marks = ", ".join(["%s"] * len(INSERTED))
    return f"INSERT INTO {schema.qualified('jobs')} ({', '.join(INSERTED)}) VALUES ({marks})"


def alive(schema: Schema) -> str:
    """One row when the worker was not marked dead and the queue is neither paused nor capped."""
    return (
        f"SELECT 1 FROM {schema.qualified('workers')} WHERE id = %s AND dead_at IS NULL AND NOT EXISTS ("
        f"SELECT 1 FROM {schema.qualified('queues')} WHERE name IN ('*', %s) AND (most IS NOT NULL "
        "OR (paused_at IS NOT NULL AND (paused_until IS NULL OR paused_until > %s)))) LOCK IN SHARE MODE"
    )


def look(schema: Schema) -> tuple[str, str]:
    """Candidates in order, locked past those that others hold; and the condition of a claim that yields to groups.

    The lower bound is no row comparison: by that MySQL does not enter an index.
    """
    jobs = schema.qualified("jobs")
    look = (
        f"SELECT id, {', '.join(CLAIMED)}, run_at, repeatable AND crashes = 0 AND losses = 0 FROM {jobs} "
        "WHERE ready = 0 AND queue = %s AND priority BETWEEN %s AND %s AND (priority > %s OR position >= %s) "
        "AND task NOT IN %s AND (%s > 0 OR (crashes = 0 AND losses = 0)) {above_groups}"
        "ORDER BY priority, position LIMIT %s FOR UPDATE SKIP LOCKED"
    )
    above_groups = (
        f"AND priority <= coalesce((SELECT priority FROM {jobs} WHERE ready = 1 AND queue = %s AND priority >= %s "
        "AND task NOT IN %s ORDER BY priority, position LIMIT 1), 32767) "
    )
    return look, above_groups


_TASK, _CRASHES, _LOSSES = (ClaimedJob._fields.index(name) for name in ("task", "crashes", "losses"))


def chosen(rows: Sequence[Any], order: ClaimOrder) -> Iterator[Any]:
    """Those of the candidates that `look` brought which a worker takes."""
    short = set(order.short)
    for place, row in enumerate(rows):
        lone = row[_CRASHES] or row[_LOSSES]
        if (place < order.free and (place < order.lone or not lone)) or (row[-1] and row[_TASK] in short):
            yield row


# Long even where the column is short: what is too long for a column of JSON_TABLE silently becomes NULL.
_TEXT = "MEDIUMTEXT CHARACTER SET utf8mb4"
_SENT = ("position BIGINT", "id CHAR(32)", "try INT", "to_state VARCHAR(12)", "again INT", "tries INT", "crashes INT",
         "losses INT", f"result {_TEXT}", f"reason {_TEXT}", f"error {_TEXT}", "run_at CHAR(26)",
         f"blocked_on {_TEXT}", "keep_until CHAR(26)")  # fmt: skip
"""What a settlement sends, in the order of `settle_row`."""


def settle_row(s: Settlement) -> list[Any]:
    return [
        s.position, s.id.replace("-", ""), s.attempt, s.state, int(not s.state.final), s.tries, s.crashes, s.losses,
        s.result, s.reason, s.error, _written(s.run_at), s.blocked_on, _written(s.keep_until),
    ]  # fmt: skip


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else to_naive(moment).isoformat(" ", "microseconds")


def settle(schema: Schema) -> str:
    """The fence is (id, attempt, running). No column that is assigned is asked for: MySQL may do either first.

    Told which index to use, for it would read all of a small table, and wait for each row that somebody has locked.
    """
    columns = ", ".join(f"{column} PATH '$[{place}]'" for place, column in enumerate(_SENT))
    return f"""
UPDATE JSON_TABLE(%s, '$[*]' COLUMNS ({columns})) AS v
STRAIGHT_JOIN (SELECT %s AS me, %s AS moment) AS t
STRAIGHT_JOIN {schema.qualified("jobs")} AS j FORCE INDEX (PRIMARY) ON j.position = v.position
SET j.state = IF(v.again AND j.cancel_requested, 'cancelled', v.to_state), j.worker = NULL, j.began_at = NULL,
    j.slot = IF(j.group_policy IN ('block', 'stop') AND NOT (v.again AND j.cancel_requested)
                AND (v.to_state IN {KEEPS_SLOT} OR v.blocked_on = '{PARENTS}'), j.slot, NULL),
    j.settled_attempt = v.try, j.settled_by = t.me,
    j.finished_at = IF(v.again AND NOT j.cancel_requested, NULL, t.moment), j.result = v.result,
    j.reason = IF(v.again AND j.cancel_requested, '{CANCELLED_MEANWHILE}', v.reason), j.error = v.error,
    j.run_at = coalesce(v.run_at, j.run_at), j.tries = j.tries + v.tries, j.crashes = j.crashes + v.crashes,
    j.losses = j.losses + v.losses, j.keep_until = v.keep_until,
    j.blocked_on = IF(j.cancel_requested, NULL, v.blocked_on)
WHERE j.id = UNHEX(v.id) AND j.attempt = v.try AND j.state = 'running'"""


def heads(schema: Schema) -> str:
    """The first in line of those of these groups that nobody holds."""
    jobs = schema.qualified("jobs")
    return (
        f"SELECT (SELECT h.position FROM {jobs} AS h WHERE h.in_line = 1 AND h.group_name = g.name "
        f"ORDER BY h.priority, h.position LIMIT 1) FROM {schema.qualified('groups')} AS g WHERE g.name IN %s "
        f"AND NOT EXISTS (SELECT 1 FROM {jobs} AS s WHERE s.slot = g.name)"
    )


def fitting(schema: Schema) -> str:
    """Those of these heads that may be taken at once, looked at again under locks."""
    jobs, queues = schema.qualified("jobs"), schema.qualified("queues")
    columns = ", ".join(f"j.{column}" for column in CLAIMED)
    return f"""
SELECT j.id, {columns}, j.run_at FROM {jobs} AS j
WHERE j.position IN %s AND j.in_line = 1 AND j.priority BETWEEN %s AND %s AND j.task IN %s AND j.threshold IS NULL
  AND j.crashes = 0 AND j.losses = 0
  AND NOT EXISTS (
      SELECT 1 FROM {queues} AS q WHERE (q.name IN ('*', j.queue) AND q.paused_at IS NOT NULL
          AND (q.paused_until IS NULL OR q.paused_until > %s)) OR (q.name = j.queue AND q.most IS NOT NULL))
  AND NOT EXISTS (SELECT 1 FROM {jobs} AS b WHERE b.ready = 0 AND b.queue = j.queue AND b.priority < j.priority)
  {{in_queues}}FOR UPDATE SKIP LOCKED"""


def take(schema: Schema, slot: str = "") -> str:
    return (
        f"UPDATE {schema.qualified('jobs')} SET state = 'running', attempt = attempt + 1, worker = %s, "
        f"started_at = %s, began_at = NULL, reason = NULL{slot} WHERE position IN %s"
    )
