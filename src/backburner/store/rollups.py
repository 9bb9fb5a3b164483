"""Rollups: one row per worker, minute, queue and task, inserted; later merged to fewer and longer ones.

What was counted stands in one row of its queue and task at each moment, of whatever span: who reads adds up all of
them. With the first merge it is added to a row of everything as well, which has neither queue nor task: the chart of
all jobs reads a few hundred rows, however many tasks there are.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, not_, or_, select

from backburner.histogram import Histogram
from backburner.ids import Ids
from backburner.rollup import Rollup, added, minute_of
from backburner.store.report_columns import COUNTS, RUNS, WAITS

if TYPE_CHECKING:
    from backburner.store.failures import Seen
    from backburner.store.store import Store

HOUR, DAY = 60, 1_440
PARTS = ((0, 1, 2), (1, 5, 7), (5, HOUR, 7 * HOUR), (HOUR, 4 * HOUR, 8 * DAY))
"""From which span to which, in minutes, and how old it is by then."""
WHOLES = ((1, 5, 2 * HOUR + 5), (5, HOUR, 26 * HOUR), (HOUR, 4 * HOUR, 8 * DAY))
"""The same of rows of everything."""
KEPT = 35 * DAY
SPANS = (0, 1, 5, HOUR, 4 * HOUR)
KEYS_KEPT = 6 * HOUR
_WRITTEN = -1
_SUMMED = (*COUNTS, *WAITS, *RUNS)
_PERIODS = 20
"""Periods of one level that a round merges."""
_ROWS = 2_000


class Rollups:
    """The door to rollups."""

    def __init__(self, store: Store) -> None:
        self._store, self._t = store, store.schema.rollups
        self._ids = Ids()
        self._summed = [func.sum(self._t.c[name]).label(name) for name in _SUMMED]

    def write(
        self, rollups: Iterable[Rollup], worker: str | None, seen: Iterable[Seen] = (), key: str | None = None
    ) -> None:
        """Insert what was counted, and add the failures that were seen among it, in one transaction.

        With a `key`, a UUID, once however often it is asked for, for `KEYS_KEPT` minutes.
        """
        counted, failed = list(rollups), list(seen)

        def work(connection: Connection) -> None:
            if key is None or self._mark(connection, key):
                self.write_on(connection, counted, worker)
                self._store.failures.count_on(connection, failed)

        if counted or failed:
            self._store.run(work)

    def write_on(self, connection: Connection, rollups: Iterable[Rollup], worker: str | None) -> None:
        """Insert what was counted, in a transaction."""
        rows = [_row(one, 0) | {"id": self._ids.new(), "worker": worker} for one in rollups]
        if rows:
            connection.execute(insert(self._t), rows)

    def _mark(self, connection: Connection, key: str) -> bool:
        """Note that what has this key is written; False when it was. A row of no span is in no sum."""
        row = {"id": key, "span": _WRITTEN, "minute": minute_of(self._store.clock.now()), "queue": "", "task": ""}
        mark = self._store.dialect.insert_new(self._t).values(**row)
        # SQLAlchemy asks for the number of inserted rows only when told to.
        return connection.execute(mark, execution_options={"preserve_rowcount": True}).rowcount == 1

    def write_depths(self, minute: int, depths: Mapping[str, int]) -> None:
        """Insert how many jobs wait in each queue; whoever comes first in a minute."""
        rows = [
            {"id": _depth_id(minute, queue), "span": 0, "minute": minute, "queue": queue, "task": "", "waiting": count}
            for queue, count in sorted(depths.items())
        ]
        if rows:
            self._store.run(lambda c: c.execute(self._store.dialect.insert_new(self._t), rows))

    def series(self, since: int, step: int, queue: str | None = None, task: str | None = None) -> list[Rollup]:
        """What happened since a minute, in steps of so many minutes; steps in which nothing did are left out."""
        t = self._t.c
        slot = (t.minute - t.minute % step).label("slot")
        query = self._sums(slot).where(*self._since(since, queue, task)).group_by(slot).order_by(slot)
        rows = self._store.read(lambda c: c.execute(query).all())
        return [_rollup(row, int(row.slot), queue or "", task or "") for row in rows]

    def by_queue(self, since: int) -> dict[str, Rollup]:
        """What happened since a minute, by queue."""
        return self._by(self._t.c.queue, since)

    def by_task(self, since: int) -> dict[str, Rollup]:
        """What happened since a minute, by task."""
        return self._by(self._t.c.task, since)

    def depths(self, since: int, step: int) -> dict[str, dict[int, int]]:
        """How many jobs waited in each queue at most, in steps of so many minutes."""
        t = self._t.c
        slot = (t.minute - t.minute % step).label("slot")
        of_depth = t.waiting.is_not(None)
        query = select(t.queue, slot, func.max(t.waiting).label("waiting")).where(*self._span(since), of_depth)
        found: dict[str, dict[int, int]] = {}
        for row in self._store.read(lambda c: c.execute(query.group_by(t.queue, slot)).all()):
            found.setdefault(row.queue, {})[int(row.slot)] = int(row.waiting)
        return found

    def merge(self, now: int) -> bool:
        """Merge what is old enough to longer spans, and forget what is too old; True when there is more to do.

        `now` is a minute. Any number of workers may do it at the same time.
        """
        more = [self._merge(level, now, whole=False) for level in PARTS]
        more += [self._merge(level, now, whole=True) for level in WHOLES]
        t = self._t.c
        for span, kept in ((SPANS[-1], KEPT), (_WRITTEN, KEYS_KEPT)):
            old = select(t.id).where(t.span == span, t.minute < now - kept).limit(_ROWS)
            gone = self._store.read(lambda c, old=old: c.execute(old).scalars().all())  # type: ignore[misc]
            if gone:
                self._store.run(lambda c, gone=gone: c.execute(delete(self._t).where(t.id.in_(gone))))  # type: ignore[misc]
        return any(more)

    def _merge(self, level: tuple[int, int, int], now: int, *, whole: bool) -> bool:
        """Merge periods of one level; True when there are more than a round takes."""
        span, longer, age = level
        for _ in range(_PERIODS):
            first = self._first(span, whole=whole)
            if first is None or first - first % longer + longer > now - age:
                return False
            self._store.run(partial(self._join, span=span, start=first - first % longer, longer=longer, whole=whole))
        return True

    def _join(self, connection: Connection, *, span: int, start: int, longer: int, whole: bool) -> None:
        t = self._t.c
        mine = select(t.id).where(t.span == span, t.minute >= start, t.minute < start + longer, self._kind(whole))
        # Locked, and in order: a second one waits, and then finds that they are gone.
        ids = connection.execute(mine.order_by(t.id).limit(_ROWS).with_for_update()).scalars().all()
        if not ids:
            return
        together = self._sums(t.queue, t.task, func.max(t.waiting).label("waiting")).where(t.id.in_(ids))
        rows = connection.execute(together.group_by(t.queue, t.task)).all()
        merged = [(_rollup(row, start, row.queue, row.task), row.waiting) for row in rows]
        counted = [one for one, waiting in merged if waiting is None]
        if span == 0 and counted:
            merged.append((added(counted, start), None))
        connection.execute(
            insert(self._t),
            [_row(one, longer) | {"id": self._ids.new(), "worker": None, "waiting": depth} for one, depth in merged],
        )
        connection.execute(delete(self._t).where(t.id.in_(ids)))

    def _first(self, span: int, *, whole: bool) -> int | None:
        query = select(func.min(self._t.c.minute)).where(self._t.c.span == span, self._kind(whole))
        return self._store.read(lambda c: c.execute(query).scalar())

    def _kind(self, whole: bool) -> ColumnElement[bool]:
        everything = and_(self._t.c.queue == "", self._t.c.task == "")
        return everything if whole else not_(everything)

    def _by(self, column: Any, since: int) -> dict[str, Rollup]:
        wanted = (*self._span(since), self._t.c.waiting.is_(None), self._kind(whole=False))
        query = self._sums(column.label("name")).where(*wanted).group_by(column)
        rows = self._store.read(lambda c: c.execute(query).all())
        return {row.name: _rollup(row, since, row.name, "") for row in rows}

    def _sums(self, *columns: Any) -> Any:
        return select(*columns, *self._summed)

    def _span(self, since: int) -> list[ColumnElement[bool]]:
        return [self._t.c.span.in_(SPANS), self._t.c.minute >= since]

    def _since(self, since: int, queue: str | None, task: str | None) -> list[ColumnElement[bool]]:
        t = self._t.c
        found = [*self._span(since), t.waiting.is_(None)]
        if queue is None and task is None:
            # What no merge has come to yet is in no row of everything.
            return [*found, or_(self._kind(whole=True), t.span == 0)]
        if queue is not None:
            found.append(t.queue == queue)
        if task is not None:
            found.append(t.task == task)
        return [*found, self._kind(whole=False)]


def _row(one: Rollup, span: int) -> dict[str, Any]:
    counts: Sequence[int] = (*one.ends, *one.waits.counts, *one.runs.counts)
    return {
        "span": span, "minute": one.minute, "queue": one.queue, "task": one.task,
        **dict(zip(_SUMMED, counts, strict=True)),
    }  # fmt: skip


def _rollup(row: Row[Any], minute: int, queue: str, task: str) -> Rollup:
    found = row._mapping
    ends, waits, runs = (tuple(int(found[name]) for name in names) for names in (COUNTS, WAITS, RUNS))
    return Rollup(minute, queue, task, ends, Histogram(waits), Histogram(runs))


def _depth_id(minute: int, queue: str) -> str:
    """One for each queue and minute: whoever comes second finds it there."""
    return str(uuid.UUID(bytes=hashlib.sha256(f"{minute} {queue}".encode()).digest()[:16]))
