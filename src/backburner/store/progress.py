"""What running jobs report: fenced writes, and reads for those who wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, case, delete, func, select, tuple_
from sqlalchemy.sql import ColumnElement

from backburner.link import dumped
from backburner.progress import FailedItem, LogLine, Message, Progress, ProgressWrite
from backburner.states import JobState
from backburner.store.types import characters

if TYPE_CHECKING:
    from backburner.store.store import Store

_KEPT = ("checkpoint", "began_at")
"""Columns a flush leaves as they are when it has nothing new for them."""


class ProgressRows:
    """The door to progress, live output, messages and failed items."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._s = store.schema

    def write(self, writes: Sequence[ProgressWrite]) -> set[str]:
        """Store what jobs report, in one transaction; the ids of the jobs whose attempt still owns them."""
        return self._store.run(lambda connection: self.write_on(connection, writes))

    def write_on(self, connection: Connection, writes: Sequence[ProgressWrite]) -> set[str]:
        """`write` inside a transaction. The rows are locked: between this look and the commit nobody can
        take the job over, so a worker that lost its lease changes nothing.
        """
        t = self._s.jobs.c
        mine = [(write.job, write.attempt) for write in writes]
        running = (
            select(t.id)
            # The ids once more by themselves: by pairs alone SQLite would walk over all jobs.
            .where(
                t.id.in_([job for job, _ in mine]),
                tuple_(t.id, t.attempt).in_(mine),
                t.state == JobState.RUNNING,
            )
            .order_by(t.id)
            .with_for_update(read=True)
        )
        owned = set(connection.execute(running).scalars())
        accepted = [write for write in writes if write.job in owned]
        self._upsert(connection, accepted)
        self._append(connection, self._s.log, [(w, line._asdict()) for w in accepted for line in w.log])
        self._append(connection, self._s.messages, [(w, m._asdict()) for w in accepted for m in w.messages])
        self._fail_items(connection, accepted)
        return owned

    def checkpoint(self, job_id: str) -> str | None:
        """Where the last attempt that saved a checkpoint stands."""
        t = self._s.progress.c
        query = select(t.checkpoint).where(t.job == job_id)
        return self._store.read(lambda c: c.execute(query).scalar())

    def log(self, job_id: str, after: int = 0, limit: int = 1000) -> list[LogLine]:
        """Live output from offset `after` on, in order."""
        t = self._s.log.c
        query = (
            select(t.start, t.text, t.at)
            .where(t.job == job_id, t.start >= after)
            .order_by(t.start, t.attempt)
            .limit(limit)
        )
        return [LogLine(*row) for row in self._store.read(lambda c: c.execute(query).all())]

    def log_end(self, job_id: str) -> int:
        """The offset after the last stored character."""
        t = self._s.log.c
        query = select(t.start, t.text).where(t.job == job_id).order_by(t.start.desc()).limit(1)
        row = self._store.read(lambda c: c.execute(query).first())
        return 0 if row is None else int(row.start) + len(row.text)

    def messages(self, job_id: str) -> list[Message]:
        """The messages for the people who wait, the oldest first."""
        t = self._s.messages.c
        query = select(t.level, t.text, t.at, t.ordinal).where(t.job == job_id).order_by(t.number)
        return [Message(*row) for row in self._store.read(lambda c: c.execute(query).all())]

    def failed_items(self, job_id: str, limit: int = 10_000) -> list[FailedItem]:
        """Which items could not be done, and why, in the order of their keys."""
        t = self._s.failed_items.c
        query = select(t.key, t.error, t.at).where(t.job == job_id).order_by(t.key).limit(limit)
        return [FailedItem(*row) for row in self._store.read(lambda c: c.execute(query).all())]

    def failed_count(self, job_id: str) -> int:
        """How many items could not be done."""
        t = self._s.failed_items
        query = select(func.count()).select_from(t).where(t.c.job == job_id)
        return self._store.read(lambda c: c.execute(query).scalar_one())

    def trim_log(self, job_id: str, below: int) -> None:
        """Drop output that ends before an offset: the log keeps its tail."""
        t = self._s.log
        before = (t.c.start < below, t.c.start + characters(t.c.text) <= below)
        self._store.run(lambda c: c.execute(delete(t).where(t.c.job == job_id, *before)))

    def _upsert(self, connection: Connection, writes: Sequence[ProgressWrite]) -> None:
        shown = [write for write in writes if write.progress is not None]
        silent = [write for write in writes if write.progress is None and write.checkpoint is not None]
        self._upsert_rows(connection, shown, _KEPT, ())
        self._upsert_rows(connection, silent, ("checkpoint",), tuple(_row(Progress())))

    def _upsert_rows(
        self,
        connection: Connection,
        writes: Sequence[ProgressWrite],
        kept: Sequence[str],
        kept_within_attempt: Sequence[str],
    ) -> None:
        if not writes:
            return
        t, now = self._s.progress, self._store.clock.now()
        rows = [
            _row(write.progress or Progress()) | {
                "job": write.job, "attempt": write.attempt, "updated_at": now, "checkpoint": write.checkpoint,
            }
            for write in writes
        ]  # fmt: skip

        def changes(new: Any) -> dict[str, ColumnElement[Any]]:
            found: dict[str, ColumnElement[Any]] = {n: new[n] for n in rows[0] if n not in {"job", "attempt"}}
            found |= {name: func.coalesce(new[name], t.c[name]) for name in kept}
            same = t.c.attempt == new["attempt"]
            found |= {name: case((same, t.c[name]), else_=new[name]) for name in kept_within_attempt}
            return found | {"attempt": new["attempt"]}

        statement = self._store.dialect.upsert(t, ["job"], changes, lambda new: t.c.attempt <= new["attempt"])
        connection.execute(statement, rows)

    def _append(
        self, connection: Connection, table: Any, entries: Sequence[tuple[ProgressWrite, dict[str, Any]]]
    ) -> None:
        if entries:
            rows = [{"job": write.job, "attempt": write.attempt} | entry for write, entry in entries]
            connection.execute(self._store.dialect.insert_new(table), rows)

    def _fail_items(self, connection: Connection, writes: Sequence[ProgressWrite]) -> None:
        t = self._s.failed_items
        for write in writes:
            if write.anew:
                connection.execute(delete(t).where(t.c.job == write.job, t.c.attempt < write.attempt))
        rows = [
            {"job": write.job, "attempt": write.attempt} | item._asdict()
            for write in writes
            for item in write.failed_items
        ]
        if rows:
            statement = self._store.dialect.upsert(
                t, ["job", "key"], lambda new: {name: new[name] for name in ("attempt", "at", "error")}
            )
            connection.execute(statement, rows)


def _row(progress: Progress) -> dict[str, Any]:
    return {
        "done": progress.done,
        "total": progress.total,
        "unit": progress.unit,
        "stage": progress.stage,
        "message": progress.message,
        "failed": progress.failed,
        "links": dumped(progress.links),
        "began_at": progress.began_at,
    }
