"""`Choice`: which jobs a filter means, found by the indexes of those that are few.

Unfinished jobs have partial indexes, which finished ones leave. Asked for them together with an order by id, or with
a column that has an index of its own, databases walk over a million finished jobs instead. So each condition of such
an index is a query of its own here, with a limit that keeps them apart, and what else is wanted is asked of its rows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Subquery, and_, func, literal, select, union_all

from backburner.job import JobFilter
from backburner.states import FINAL, WAITING, JobState
from backburner.store.conditions import ended, queued_alone, queued_in_group, waits_for_time

if TYPE_CHECKING:
    from backburner.store.store import Store

LIVE = WAITING | {JobState.RUNNING}
MOST_LIVE = 20_000
"""Up to so many unfinished jobs are all looked at; of more, the newest ones are soon found by their ids."""


class Choice:
    """Finds and counts ids."""

    def __init__(self, store: Store) -> None:
        self._store, self._t = store, store.schema.jobs

    def ids(self, which: JobFilter, limit: int) -> list[str]:
        """The ids of jobs that match, the newest first."""
        if not _apart(which):
            return self._ids(which, limit)
        done, live = _halves(which)
        # In this order: what ends between the two looks is found twice, not never.
        found = set(self._live_ids(live, limit)) if live.states else set()
        found.update(self._ids(done, limit) if done.states else ())
        return sorted(found, reverse=True)[:limit]

    def count(self, which: JobFilter, limit: int) -> int:
        """How many match, counting no further than `limit`."""
        if not _apart(which):
            return self._count(which, limit)
        done, live = _halves(which)
        found = self._live_count(live, limit) if live.states else 0
        if done.states and found < limit:
            found += self._count(done, limit)
        return min(found, limit)

    def _ids(self, which: JobFilter, limit: int) -> list[str]:
        t = self._t.c
        query = select(t.id).where(*conditions(t, which)).order_by(t.id.desc()).limit(limit)
        return list(self._store.read(lambda c: c.execute(query).scalars().all()))

    def _count(self, which: JobFilter, limit: int) -> int:
        matching = select(self._t.c.position).where(*conditions(self._t.c, which)).limit(limit).subquery()
        return self._store.read(lambda c: c.execute(select(func.count()).select_from(matching)).scalar_one())

    def _live_ids(self, which: JobFilter, limit: int) -> list[str]:
        if (rows := self._few(which)) is None:
            return self._ids(which, limit)
        wanted = conditions(rows.c, replace(which, states=None))
        query = select(rows.c.id).where(*wanted).order_by(rows.c.id.desc()).limit(limit)
        return list(self._store.read(lambda c: c.execute(query).scalars().all()))

    def _live_count(self, which: JobFilter, limit: int) -> int:
        if which == JobFilter(states=which.states):
            return self._number(self._parts(which.states or LIVE), limit)
        if (rows := self._few(which)) is None:
            return self._count(which, limit)
        query = select(func.count()).select_from(rows).where(*conditions(rows.c, replace(which, states=None)))
        return self._store.read(lambda c: c.execute(query).scalar_one())

    def _few(self, which: JobFilter) -> Subquery | None:
        """The unfinished jobs of these states, with what filters ask of them; None when they are many."""
        parts, t = self._parts(which.states or LIVE), self._t.c
        if self._number(parts, MOST_LIVE + 1) > MOST_LIVE:
            return None
        asked = (t.id, t.task, t.queue, t.identifier, t.owner, t.tags, t.created_at)
        limited = [select(*asked).where(part).limit(MOST_LIVE).subquery() for part in parts]
        return union_all(*(select(*one.c) for one in limited)).subquery()

    def _parts(self, states: frozenset[JobState]) -> list[ColumnElement[bool]]:
        """Conditions of one index each, which together say: in one of these unfinished states."""
        t = self._t.c
        found: list[ColumnElement[bool]] = []
        if JobState.QUEUED in states:
            found += [queued_alone(t), queued_in_group(t)]
        if timed := states & {JobState.SCHEDULED, JobState.RETRYING}:
            found.append(and_(waits_for_time(t), t.state.in_(sorted(timed))))
        if JobState.BLOCKED in states:
            found.append(and_(t.blocked_on.is_not(None), t.state == JobState.BLOCKED))
        if JobState.RUNNING in states:
            found.append(and_(t.worker.is_not(None), t.state == JobState.RUNNING))
        return found

    def _number(self, parts: Sequence[ColumnElement[bool]], limit: int) -> int:
        """How many rows these conditions have together, counted no further than `limit`."""

        def work(connection: Connection) -> int:
            found = 0
            for part in parts:
                rows = select(literal(1)).select_from(self._t).where(part).limit(limit - found).subquery()
                found += connection.execute(select(func.count()).select_from(rows)).scalar_one()
                if found >= limit:
                    break
            return found

        return self._store.read(work)


def conditions(t: Any, which: JobFilter) -> list[ColumnElement[bool]]:
    """What a filter says of the columns `t`."""
    found: list[ColumnElement[bool]] = []
    if which.states is not None:
        states = sorted(which.states)
        found.append(ended(t, *states) if which.states <= FINAL else t.state.in_(states))
    exact = ((t.task, which.task), (t.queue, which.queue), (t.identifier, which.identifier), (t.owner, which.owner))
    found += [column == value for column, value in exact if value is not None]
    if which.tag is not None:
        # Tags are stored as a JSON list of strings. Not LIKE: on SQLite it takes "Red" for "red".
        found.append(func.replace(t.tags, json.dumps(which.tag), "") != t.tags)
    if which.created_after is not None:
        found.append(t.created_at >= which.created_after)
    if which.created_before is not None:
        found.append(t.created_at < which.created_before)
    if which.before is not None:
        found.append(t.id < which.before)
    return found


def _apart(which: JobFilter) -> bool:
    """Whether finished and unfinished jobs are looked for apart: when a state is asked for, or a task.

    The index of tasks has finished jobs alone. An identifier is its own short way to all of them.
    """
    if which.identifier is not None:
        return False
    return which.task is not None if which.states is None else bool(which.states & LIVE)


def _halves(which: JobFilter) -> tuple[JobFilter, JobFilter]:
    states = frozenset(JobState) if which.states is None else which.states
    return replace(which, states=states & FINAL), replace(which, states=states & LIVE)
