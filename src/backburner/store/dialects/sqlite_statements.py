"""The hot statements of SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from backburner.outcome import Settlement
from backburner.store.dialects.base import (
    CANCELLED_MEANWHILE,
    CLAIMED,
    INSERTED,
    KEEPS_SLOT,
    WAITED,
    DriverConnection,
    slot_state,
)
from backburner.store.schema import Schema
from backburner.store.types import to_microseconds


def insert(schema: Schema) -> str:
    marks = ", ".join(["?"] * len(INSERTED))
    return f"INSERT INTO {schema.qualified('jobs')} ({', '.join(INSERTED)}) VALUES ({marks})"


def claim(schema: Schema) -> str:
    jobs, workers, queues = schema.qualified("jobs"), schema.qualified("workers"), schema.qualified("queues")
    return f"""
UPDATE {jobs}
SET state = 'running', attempt = attempt + 1, worker = ?, started_at = ?, began_at = NULL, reason = NULL
WHERE position IN (
    SELECT position FROM (
        SELECT position, task, crashes = 0 AND losses = 0 AS sound, repeatable AND crashes = 0 AND losses = 0 AS light,
               row_number() OVER (ORDER BY priority, position) AS place
        FROM (SELECT position, priority, task, repeatable, crashes, losses FROM {jobs}
              WHERE state = 'queued' AND group_name IS NULL AND queue = ? AND priority BETWEEN ? AND ?
              AND task NOT IN (SELECT value FROM json_each(?)) AND (? > 0 OR (crashes = 0 AND losses = 0))
              AND (NOT ? OR priority <= coalesce((
                  SELECT priority FROM {jobs} WHERE state = 'queued' AND group_name IS NOT NULL AND queue = ?
                  AND priority >= ? AND task NOT IN (SELECT value FROM json_each(?))
                  ORDER BY priority, position LIMIT 1), 32767))
              ORDER BY priority, position LIMIT ?)
    )
    WHERE (place <= ? AND (sound OR place <= ?)) OR (light AND task IN (SELECT value FROM json_each(?)))
) AND EXISTS (SELECT 1 FROM {workers} WHERE id = ? AND dead_at IS NULL)
AND NOT EXISTS (SELECT 1 FROM {queues} WHERE name IN ('*', ?) AND (most IS NOT NULL
                OR (paused_at IS NOT NULL AND (paused_until IS NULL OR paused_until > ?))))
RETURNING id, {", ".join(CLAIMED)}{WAITED["sqlite"]}"""


def hand_over(schema: Schema) -> str:
    jobs, workers, queues = schema.qualified("jobs"), schema.qualified("workers"), schema.qualified("queues")
    return f"""
UPDATE {jobs}
SET state = 'running', attempt = attempt + 1, worker = :worker, started_at = :now, began_at = NULL, reason = NULL,
    blocked_on = NULL, slot = group_name
WHERE position IN (
    SELECT (
        SELECT h.position FROM {jobs} AS h
        WHERE h.group_name = g.value AND h.group_name IS NOT NULL AND h.state IN ('queued', 'blocked')
          AND (h.state = 'queued' OR h.blocked_on = 'group')
        ORDER BY h.priority, h.position LIMIT 1
    ) FROM json_each(:groups) AS g
    WHERE NOT EXISTS (SELECT 1 FROM {jobs} AS s WHERE s.slot = g.value)
) AND (:queues IS NULL OR queue IN (SELECT value FROM json_each(:queues))) AND priority BETWEEN :low AND :high
  AND task IN (SELECT value FROM json_each(:tasks)) AND threshold IS NULL AND crashes = 0 AND losses = 0
  AND EXISTS (SELECT 1 FROM {workers} WHERE id = :worker AND dead_at IS NULL)
  AND NOT EXISTS (
      SELECT 1 FROM {queues} AS q WHERE (q.name IN ('*', {jobs}.queue) AND q.paused_at IS NOT NULL
          AND (q.paused_until IS NULL OR q.paused_until > :now))
          OR (q.name = {jobs}.queue AND q.most IS NOT NULL))
  AND NOT EXISTS (
      SELECT 1 FROM {jobs} AS b
      WHERE b.state = 'queued' AND b.group_name IS NULL AND b.queue = {jobs}.queue
        AND b.priority < {jobs}.priority)
RETURNING id, {", ".join(CLAIMED)}{WAITED["sqlite"]}"""


SETTLED = (
    "position", "id", "attempt", "again", "state", "slot_state", "finished_at", "result", "reason", "error", "run_at",
    "tries", "crashes", "losses", "keep_until", "blocked_on",
)  # fmt: skip
SUCCEEDED = ("position", "id", "attempt", "result")


class Batch:
    """One statement for many rows, `UPDATE ... FROM (VALUES ...)`, of a few sizes, so that each is prepared once.

    `executemany` gives the interpreter away and asks for it again for every row: beside one thread that computes, a
    row then costs 1.4 ms instead of 30 us (500 rows, CPython 3.11, measured on two cores).
    """

    SIZES = 1, 8, 64, 300, 1_000

    def __init__(self, statement: str, columns: Sequence[str]) -> None:
        self._columns = len(columns)
        named = ", ".join(f"column{number} AS {name}" for number, name in enumerate(columns, 1))
        row = f"({', '.join('?' * self._columns)})"
        self._texts = {
            size: statement.format(rows=f"(SELECT {named} FROM (VALUES {', '.join([row] * size)}))")
            for size in self.SIZES
        }

    def run(self, connection: DriverConnection, common: Sequence[Any], rows: Sequence[Sequence[Any]]) -> int:
        """Run it; how many rows it changed. `common` are the values before those of the rows."""
        changed = 0
        for start in range(0, len(rows), self.SIZES[-1]):
            piece = rows[start : start + self.SIZES[-1]]
            size = next(size for size in self.SIZES if size >= len(piece))
            # Rows of NULL find nothing.
            rest = (None,) * ((size - len(piece)) * self._columns)
            changed += connection.execute(self._texts[size], (*common, *chain.from_iterable(piece), *rest)).rowcount
        return changed


def settle(schema: Schema) -> Batch:
    """Of `settle_row`s; common are who settles and the time."""
    jobs = schema.qualified("jobs")
    return Batch(
        f"""
UPDATE {jobs} AS j
SET state = CASE WHEN v.again AND cancel_requested THEN 'cancelled' ELSE v.state END, worker = NULL, began_at = NULL,
    slot = CASE WHEN group_policy IN ('block', 'stop') AND v.slot_state IN {KEEPS_SLOT}
                AND NOT (v.again AND cancel_requested) THEN slot END,
    settled_attempt = v.attempt, settled_by = ?, finished_at = CASE WHEN cancel_requested THEN ? ELSE v.finished_at END,
    result = v.result, reason = CASE WHEN v.again AND cancel_requested THEN '{CANCELLED_MEANWHILE}' ELSE v.reason END,
    error = v.error, run_at = coalesce(v.run_at, j.run_at), tries = j.tries + v.tries,
    crashes = j.crashes + v.crashes, losses = j.losses + v.losses, keep_until = v.keep_until,
    blocked_on = CASE WHEN cancel_requested THEN NULL ELSE v.blocked_on END
FROM {{rows}} AS v
WHERE j.position = v.position AND j.id = v.id AND j.attempt = v.attempt AND j.state = 'running'""",
        SETTLED,
    )


def settle_row(s: Settlement, now: int) -> tuple[Any, ...]:
    again = not s.state.final
    return (
        s.position, s.id, s.attempt, again, s.state, slot_state(s), None if again else now, s.result, s.reason, s.error,
        None if s.run_at is None else to_microseconds(s.run_at), s.tries, s.crashes, s.losses,
        None if s.keep_until is None else to_microseconds(s.keep_until), s.blocked_on,
    )  # fmt: skip


def succeed(schema: Schema) -> Batch:
    """`settle` for plain successes of jobs without a group, at half its cost: it touches fewer indexes.

    Of `succeed_row`s; common are who settles and the time.
    """
    jobs = schema.qualified("jobs")
    return Batch(
        f"""
UPDATE {jobs} AS j
SET state = 'succeeded', worker = NULL, began_at = NULL, settled_attempt = v.attempt, settled_by = ?, finished_at = ?,
    result = v.result, reason = NULL, error = NULL
FROM {{rows}} AS v
WHERE j.position = v.position AND j.id = v.id AND j.attempt = v.attempt AND j.state = 'running' AND j.slot IS NULL""",
        SUCCEEDED,
    )


def succeed_row(s: Settlement) -> tuple[Any, ...]:
    return s.position, s.id, s.attempt, s.result
