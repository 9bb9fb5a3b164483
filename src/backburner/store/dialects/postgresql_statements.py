"""The hot statements of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable

from backburner.relations import PARENTS
from backburner.store.dialects.base import CANCELLED_MEANWHILE, CLAIMED, INSERTED, KEEPS_SLOT, WAITED
from backburner.store.schema import Schema


def insert(schema: Schema) -> str:
    marks = ", ".join(["%s"] * len(INSERTED))
    return f"INSERT INTO {schema.qualified('jobs')} ({', '.join(INSERTED)}) VALUES ({marks})"


def claim(schema: Schema) -> str:
    """One statement: the worker's row is locked so that nobody can mark it dead meanwhile, candidates are
    locked in order past the ones others hold, the rest of a deep batch is kept to short tasks.

    `ANY(ARRAY(...))` makes the update find its rows by primary key whatever the planner believes about the
    number of candidates. The lower bound jumps over index entries that died and are not cleaned up yet.
    """
    jobs, workers, queues = schema.qualified("jobs"), schema.qualified("workers"), schema.qualified("queues")
    returned = ", ".join(f"j.{column}" for column in CLAIMED) + WAITED["postgresql"]
    return f"""
WITH alive AS MATERIALIZED (
    SELECT 1 FROM {workers} WHERE id = %(worker)s::uuid AND dead_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM {queues} WHERE name IN ('*', %(queue)s) AND paused_at IS NOT NULL
        AND (paused_until IS NULL OR paused_until > %(now)s)
    ) AND NOT EXISTS (SELECT 1 FROM {queues} WHERE name = %(queue)s AND most IS NOT NULL) FOR KEY SHARE
), candidates AS MATERIALIZED (
    SELECT id, task, crashes = 0 AND losses = 0 AS sound, repeatable AND crashes = 0 AND losses = 0 AS light
    FROM {jobs}
    WHERE state = 'queued' AND group_name IS NULL AND queue = %(queue)s
      AND (priority, position) >= (%(low_priority)s::smallint, %(low_position)s::bigint)
      AND priority <= %(high_priority)s AND task <> ALL(%(refused)s::text[])
      AND (%(lone)s > 0 OR (crashes = 0 AND losses = 0))
      AND priority <= CASE WHEN %(yielding)s THEN coalesce((
          SELECT priority FROM {jobs} WHERE state = 'queued' AND group_name IS NOT NULL AND queue = %(queue)s
          AND priority >= %(lowest)s AND task <> ALL(%(refused)s::text[])
          ORDER BY priority, position LIMIT 1), 32767) ELSE 32767 END
      AND EXISTS (SELECT 1 FROM alive)
    ORDER BY priority, position LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), placed AS (
    SELECT id, task, sound, light, row_number() OVER () AS place FROM candidates
)
UPDATE {jobs} AS j
SET state = 'running', attempt = j.attempt + 1, worker = %(worker)s::uuid, started_at = %(now)s,
    began_at = NULL, reason = NULL
WHERE j.id = ANY(ARRAY(
    SELECT id FROM placed
    WHERE (place <= %(free)s AND (sound OR place <= %(lone)s)) OR (light AND task = ANY(%(short)s::text[]))
))
RETURNING j.id::text, {returned}"""


def hand_over(schema: Schema) -> str:
    """The heads are found first, by one probe of the index per group, then locked and looked at again."""
    jobs, workers, queues = schema.qualified("jobs"), schema.qualified("workers"), schema.qualified("queues")
    returned = ", ".join(f"j.{column}" for column in CLAIMED) + WAITED["postgresql"]
    return f"""
WITH alive AS MATERIALIZED (
    SELECT 1 FROM {workers} WHERE id = %(worker)s::uuid AND dead_at IS NULL FOR KEY SHARE
), heads AS MATERIALIZED (
    SELECT (
        SELECT h.id FROM {jobs} AS h
        WHERE h.group_name = g.name AND h.group_name IS NOT NULL AND h.state IN ('queued', 'blocked')
          AND (h.state = 'queued' OR h.blocked_on = 'group')
        ORDER BY h.priority, h.position LIMIT 1
    ) AS id
    FROM unnest(%(groups)s::text[]) AS g(name)
    WHERE EXISTS (SELECT 1 FROM alive) AND NOT EXISTS (SELECT 1 FROM {jobs} AS s WHERE s.slot = g.name)
), fitting AS MATERIALIZED (
    SELECT j.id FROM {jobs} AS j
    WHERE j.id = ANY(ARRAY(SELECT id FROM heads)) AND j.state IN ('queued', 'blocked')
      AND (%(any_queue)s OR j.queue = ANY(%(queues)s::text[])) AND j.priority BETWEEN %(low)s AND %(high)s
      AND j.task = ANY(%(tasks)s::text[]) AND j.threshold IS NULL AND j.crashes = 0 AND j.losses = 0
      AND NOT EXISTS (
          SELECT 1 FROM {queues} AS q WHERE (q.name IN ('*', j.queue) AND q.paused_at IS NOT NULL
              AND (q.paused_until IS NULL OR q.paused_until > %(now)s))
              OR (q.name = j.queue AND q.most IS NOT NULL))
      AND NOT EXISTS (
          SELECT 1 FROM {jobs} AS b
          WHERE b.state = 'queued' AND b.group_name IS NULL AND b.queue = j.queue AND b.priority < j.priority)
    FOR UPDATE OF j SKIP LOCKED
)
UPDATE {jobs} AS j
SET state = 'running', attempt = j.attempt + 1, worker = %(worker)s::uuid, started_at = %(now)s,
    began_at = NULL, reason = NULL, blocked_on = NULL, slot = j.group_name
WHERE j.id = ANY(ARRAY(SELECT id FROM fitting))
RETURNING j.id::text, {returned}"""


def settle(schema: Schema) -> str:
    """The fence is (id, attempt, running). The planner is not to know that few run: statistics of a backlog that nobody
    had begun say that none does, and then it compares each running job with each end.
    """
    jobs = schema.qualified("jobs")
    ends = "(v.to_state IN ('succeeded', 'failed', 'cancelled', 'interrupted', 'skipped'))"
    return f"""
UPDATE {jobs} AS j
SET state = CASE WHEN j.cancel_requested AND NOT {ends} THEN 'cancelled' ELSE v.to_state END, worker = NULL,
    slot = CASE WHEN j.group_policy IN ('block', 'stop') AND (NOT j.cancel_requested OR {ends})
        AND (v.to_state IN {KEEPS_SLOT} OR v.blocked_on = '{PARENTS}') THEN j.slot END,
    began_at = NULL, settled_attempt = v.try, settled_by = t.by,
    finished_at = CASE WHEN j.cancel_requested OR {ends} THEN t.now END, result = v.result,
    reason = CASE WHEN j.cancel_requested AND NOT {ends} THEN '{CANCELLED_MEANWHILE}' ELSE v.reason END,
    error = v.error, run_at = coalesce(v.run_at, j.run_at),
    tries = j.tries + v.tries, crashes = j.crashes + v.crashes, losses = j.losses + v.losses,
    blocked_on = CASE WHEN j.cancel_requested THEN NULL ELSE v.blocked_on END, keep_until = v.keep_until
FROM unnest(%s::uuid[], %s::int[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[],
            %s::int[], %s::int[], %s::int[], %s::text[], %s::timestamptz[])
     AS v(job, try, to_state, result, reason, error, run_at, tries, crashes, losses, blocked_on,
          keep_until),
     (SELECT %s::timestamptz AS now, %s::uuid AS by) AS t
WHERE j.id = v.job AND j.attempt = v.try AND CASE WHEN j.state = 'running' THEN true ELSE false END
RETURNING j.id::text"""


def succeed(schema: Schema) -> str:
    """`settle` for plain successes. Of arrays as text: ids, attempts and results."""
    jobs = schema.qualified("jobs")
    return f"""
UPDATE {jobs} AS j
SET state = 'succeeded', worker = NULL, slot = NULL, began_at = NULL, settled_attempt = v.try, settled_by = t.by,
    finished_at = t.now, result = v.result, reason = NULL, error = NULL, blocked_on = NULL, keep_until = NULL
FROM unnest(%s::uuid[], %s::int[], %s::text[]) AS v(job, try, result),
     (SELECT %s::timestamptz AS now, %s::uuid AS by) AS t
WHERE j.id = v.job AND j.attempt = v.try AND CASE WHEN j.state = 'running' THEN true ELSE false END
RETURNING j.id::text"""


def array(items: Iterable[object]) -> str:
    """An array of what needs no quotes, as PostgreSQL reads it: psycopg takes 0.3 us for each element of a list."""
    return f"{{{','.join(map(str, items))}}}"


def texts(items: Iterable[str | None]) -> str:
    """The same of any text."""
    return array("NULL" if item is None else f'"{_escaped(item)}"' for item in items)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
