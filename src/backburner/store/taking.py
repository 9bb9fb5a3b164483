"""Taking chosen jobs in a transaction of several statements: what the one statement of a plain claim does at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Row, null, or_, select, update

from backburner.job import ClaimedJob
from backburner.states import JobState

if TYPE_CHECKING:
    from backburner.store.store import Store


def alive(store: Store, connection: Connection, worker: str) -> bool:
    """Whether nobody has marked a worker dead; nobody can until the transaction ends."""
    t = store.schema.workers.c
    query = select(t.id).where(t.id == worker, t.dead_at.is_(None)).with_for_update(read=True, key_share=True)
    return connection.execute(query).first() is not None


def paused_queues(store: Store, connection: Connection) -> set[str]:
    """Names of queues that are paused now, `*` among them when all are."""
    t, now = store.schema.queues.c, store.clock.now()
    still = or_(t.paused_until.is_(None), t.paused_until > now)
    return set(connection.execute(select(t.name).where(t.paused_at.is_not(None), still)).scalars())


def take(
    store: Store, connection: Connection, rows: Sequence[Row[Any]], worker: str, slot: ColumnElement[Any] | None = None
) -> list[ClaimedJob]:
    """Make these locked rows of waiting jobs this worker's, in their order."""
    t, now = store.schema.jobs, store.clock.now()
    change = update(t).where(t.c.id.in_([row.id for row in rows]))
    connection.execute(
        change.values(
            state=JobState.RUNNING, attempt=t.c.attempt + 1, worker=worker, started_at=now,
            began_at=None, reason=None, blocked_on=None, slot=null() if slot is None else slot,
        )
    )  # fmt: skip
    return [ClaimedJob._make(_taken(row, name, now) for name in ClaimedJob._fields) for row in rows]


def _taken(row: Row[Any], name: str, now: datetime) -> Any:
    if name == "waited":
        return max(0, (now - row.run_at) // timedelta(milliseconds=1))
    return row.attempt + 1 if name == "attempt" else getattr(row, name)
