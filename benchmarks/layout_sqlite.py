"""The two table layouts on SQLite (WAL, synchronous FULL), and the raw loops that fill and drain them."""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.layout_rows import ARGS, QUEUE, RESULT, Drain, new_id

Finish = Callable[[sqlite3.Connection, float, bytes, list[Any]], int]

TABLE = """
CREATE TABLE jobs (
    position INTEGER PRIMARY KEY, id BLOB NOT NULL, state TEXT NOT NULL, queue TEXT NOT NULL,
    priority INTEGER NOT NULL DEFAULT 0, task TEXT NOT NULL, attempt INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0, crashes INTEGER NOT NULL DEFAULT 0, losses INTEGER NOT NULL DEFAULT 0,
    run_at REAL, expires_at REAL, worker BLOB, created_at REAL NOT NULL, started_at REAL, finished_at REAL,
    args TEXT NOT NULL, codec TEXT NOT NULL, result TEXT, title TEXT, identifier TEXT, owner TEXT,
    visibility TEXT, tags TEXT, meta TEXT, context TEXT, options TEXT, group_name TEXT, slot TEXT,
    rate_key TEXT, batch BLOB, blocked_on TEXT, parents_left INTEGER, unique_key TEXT,
    settled_attempt INTEGER, settled_by BLOB,
    cancel_requested INTEGER NOT NULL DEFAULT 0, message TEXT)
"""
HISTORY = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows)
INSERT INTO jobs (id, state, queue, task, attempt, created_at, started_at, finished_at, args, codec, result,
                  identifier, owner, visibility, settled_attempt, settled_by)
SELECT unhex_ordered(n), CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'succeeded' END, 'default',
       'shop.tasks.import_file_' || (n % 20), 1, 1.79e9 + n * 0.4, 1.79e9 + n * 0.4, 1.79e9 + n * 0.4 + 1,
       :args, 'json', :result, CASE WHEN n % 10 = 0 THEN 'import-' || n END,
       CASE WHEN n % 10 = 0 THEN 'user-' || (n % 1000) END, 'owner', 1, :worker
FROM numbers
"""
LIST_INDEXES = (
    "CREATE UNIQUE INDEX jobs_id ON jobs (id)",
    "CREATE INDEX jobs_task ON jobs (task, id)",
    "CREATE INDEX jobs_ended ON jobs (state, finished_at) WHERE finished_at IS NOT NULL",
    "CREATE INDEX jobs_identifier ON jobs (identifier) WHERE identifier IS NOT NULL",
    "CREATE INDEX jobs_owner ON jobs (owner) WHERE owner IS NOT NULL",
)
LIVE_INDEXES = (
    "CREATE INDEX {table}_claim ON {table} (queue, priority, position) WHERE state = 'queued'",
    "CREATE INDEX {table}_due ON {table} (run_at) WHERE state IN ('scheduled', 'retrying')",
    "CREATE INDEX {table}_owned ON {table} (worker) WHERE state = 'running'",
)
LIVE_TABLE = """
CREATE TABLE live (
    position INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, queue TEXT NOT NULL,
    priority INTEGER NOT NULL DEFAULT 0, run_at REAL, state TEXT NOT NULL, worker BLOB,
    attempt INTEGER NOT NULL DEFAULT 0)
"""
PRAGMAS = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA cache_size = -65536")

INSERT = """
INSERT INTO jobs (id, state, queue, task, created_at, args, codec, identifier, owner, visibility)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_LIVE = """
INSERT INTO live (position, id, queue, state) SELECT position, id, queue, 'queued' FROM jobs WHERE id = ?
"""

CLAIM = """
UPDATE jobs SET state = 'running', attempt = attempt + 1, worker = ?, started_at = ?
WHERE position IN (SELECT position FROM jobs WHERE state = 'queued' AND queue = ?
                    ORDER BY priority, position LIMIT ?)
RETURNING position, attempt, id, task, args
"""
CLAIM_BY_ID = CLAIM.replace("WHERE position IN (SELECT position", "WHERE id IN (SELECT id")
CLAIM_TWO = """
UPDATE live SET state = 'running', attempt = attempt + 1, worker = ?1
WHERE position IN (SELECT position FROM live WHERE state = 'queued' AND queue = ?3
                    ORDER BY priority, position LIMIT ?4)
RETURNING position, attempt, id, (SELECT task FROM jobs WHERE jobs.position = live.position),
          (SELECT args FROM jobs WHERE jobs.position = live.position)
"""

FINISH = """
UPDATE jobs SET state = ?, finished_at = ?, result = ?, worker = NULL, settled_attempt = attempt,
                settled_by = ?
WHERE position = ? AND attempt = ? AND state = 'running'
"""
FINISH_BY_ID = FINISH.replace("position = ?", "id = ?")
FINISH_JSON = """
UPDATE jobs SET state = 'succeeded', finished_at = ?, result = ended.value ->> 2, worker = NULL,
                settled_attempt = attempt, settled_by = ?
FROM json_each(?) AS ended
WHERE jobs.position = ended.value ->> 0 AND jobs.attempt = ended.value ->> 1 AND jobs.state || '' = 'running'
"""
LEAVE = "DELETE FROM live WHERE position = ? AND attempt = ? AND state = 'running'"
FINISH_TWO = """
UPDATE jobs SET state = ?, finished_at = ?, result = ?, started_at = ?, attempt = ?,
                settled_attempt = ?, settled_by = ?
WHERE position = ?
"""


def finish_by_rowid(connection: sqlite3.Connection, now: float, me: bytes, claimed: list[Any]) -> int:
    """End the claimed jobs one statement each, found by rowid; return how many rows matched the fence."""
    return connection.executemany(FINISH, [("succeeded", now, RESULT, me, job[0], job[1]) for job in claimed]).rowcount


def finish_by_id(connection: sqlite3.Connection, now: float, me: bytes, claimed: list[Any]) -> int:
    """The same, found by the UNIQUE index on id."""
    return connection.executemany(
        FINISH_BY_ID, [("succeeded", now, RESULT, me, job[2], job[1]) for job in claimed]
    ).rowcount


def finish_by_json(connection: sqlite3.Connection, now: float, me: bytes, claimed: list[Any]) -> int:
    """End all claimed jobs in one statement that reads them from a JSON array."""
    ended = ",".join(f'[{job[0]},{job[1]},"{RESULT.replace(chr(34), chr(92) + chr(34))}"]' for job in claimed)
    return connection.execute(FINISH_JSON, (now, me, f"[{ended}]")).rowcount


def finish_two(connection: sqlite3.Connection, now: float, me: bytes, claimed: list[Any]) -> int:
    """Delete the live rows and write the wide ones, in the caller's transaction."""
    gone = connection.executemany(LEAVE, [(job[0], job[1]) for job in claimed]).rowcount
    connection.executemany(FINISH_TWO, [("succeeded", now, RESULT, now, job[1], job[1], me, job[0]) for job in claimed])
    return gone


@dataclass(frozen=True)
class Layout:
    """One way to keep jobs on SQLite: its claim, its finish, one table or two, and an index left out."""

    name: str
    claim: str
    finish: Finish
    two_tables: bool = False
    without: str | None = None


ONE = Layout("one", CLAIM, finish_by_rowid)
TWO = Layout("two", CLAIM_TWO, finish_two, two_tables=True)
VARIANTS = (Layout("one, no task list", CLAIM, finish_by_rowid, without="jobs_task"),)
FORMS = (
    Layout("claim by rowid, finish by rowid", CLAIM, finish_by_rowid),
    Layout("claim by id, finish by id", CLAIM_BY_ID, finish_by_id),
    Layout("claim by rowid, finish in one statement from JSON", CLAIM, finish_by_json),
)


def connect(path: Path) -> sqlite3.Connection:
    """Open the file in WAL mode with synchronous FULL; transactions are begun by hand."""
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
    for pragma in PRAGMAS:
        connection.execute(pragma)
    return connection


def ordered_id(number: int) -> bytes:
    """Return an id for history row `number`: 0.4 seconds apart, scattered below the time, as UUIDv7 are."""
    milliseconds = 1_790_000_000_000 + number * 400
    return milliseconds.to_bytes(6, "big") + hash((number, 7)).to_bytes(9, "big", signed=True) + b"\x80"


def load_history(path: Path, layout: Layout, rows: int) -> None:
    """Create the tables of `layout` in a new file with `rows` finished jobs."""
    connection = connect(path)
    connection.create_function("unhex_ordered", 1, ordered_id, deterministic=True)
    connection.execute(TABLE)
    if rows:
        connection.execute(HISTORY, {"rows": rows, "args": ARGS, "result": RESULT, "worker": new_id().bytes})
    if layout.two_tables:
        connection.execute(LIVE_TABLE)
    live = "live" if layout.two_tables else "jobs"
    for statement in (*LIST_INDEXES, *(index.format(table=live) for index in LIVE_INDEXES)):
        connection.execute(statement)
    if layout.without:
        connection.execute(f"DROP INDEX {layout.without}")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def row(number: int) -> tuple[Any, ...]:
    """Return the values of one new job; every tenth has an owner and an identifier."""
    marked = number % 10 == 0
    return (
        new_id().bytes, "queued", QUEUE, f"shop.tasks.import_file_{number % 20}", time.time(), ARGS, "json",
        f"import-{number}" if marked else None, f"user-{number % 1000}" if marked else None, "owner",
    )  # fmt: skip


def insert(path: Path, layout: Layout, jobs: int, *, per_commit: int) -> float:
    """Insert `jobs` rows, `per_commit` in each transaction; return rows per second."""
    connection = connect(path)
    start = time.monotonic()
    for first in range(0, jobs, per_commit):
        rows = [row(number) for number in range(first, min(first + per_commit, jobs))]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, rows)
        if layout.two_tables:
            connection.executemany(INSERT_LIVE, [(values[0],) for values in rows])
        connection.execute("COMMIT")
    rate = jobs / (time.monotonic() - start)
    connection.close()
    return rate


def drain(path: Path, layout: Layout, *, batch: int) -> Drain:
    """Claim and finish batches in one process until the queue is empty."""
    connection = connect(path)
    me = new_id().bytes
    events: list[tuple[float, int]] = []
    start, spent = time.monotonic(), time.process_time()
    while True:
        connection.execute("BEGIN IMMEDIATE")
        claimed = connection.execute(layout.claim, (me, time.time(), QUEUE, batch)).fetchall()
        connection.execute("COMMIT")
        if not claimed:
            break
        connection.execute("BEGIN IMMEDIATE")
        matched = layout.finish(connection, time.time(), me, claimed)
        connection.execute("COMMIT")
        if matched != len(claimed):
            raise SystemExit(f"{layout.name}: finished {matched} of {len(claimed)} claimed jobs")
        events.append((time.monotonic(), len(claimed)))
    spent = time.process_time() - spent
    connection.close()
    return Drain.of(start, events, cpu_seconds=spent)
