"""`Choice`: which jobs a filter means, found by the indexes of those that are few.

Unfinished jobs have partial indexes, which finished ones leave. Asked for them together with an order by id, or with
a column that has an index of its own, databases walk over a million finished jobs instead. So each condition of such
an index is a query of its own here, with a limit that keeps them apart, and what else is wanted is asked of its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Subquery, and_, func, literal, select, union_all

from backburner.job import JobFilter
from backburner.states import FINAL, WAITING, JobState
from backburner.store.asked import COLUMNS, asked
from backburner.store.conditions import ended, queued_alone, queued_in_group, waits_for_time

if TYPE_CHECKING:
    from backburner.store.store import Store

LIVE = WAITING | {JobState.RUNNING}
MOST_LIVE = 20_000
"""Up to so many unfinished jobs are all looked at; of more, the newest ones are soon found by their ids."""
MOST_ENDED = 10_000
"""The same of jobs that ended in some states: a hundred failures may lie behind a million successes."""


class Choice:
    """Finds and counts ids."""

    def __init__(self, store: Store) -> None:
        self._store, self._t = store, store.schema.jobs

    def ids(self, which: JobFilter, limit: int) -> list[str]:
        """The ids of jobs that match, the newest first."""
        which = self._store.failures.resolved(which)
        if not _apart(which):
            return self._ids(which, limit)
        done, live = _halves(which)
        # In this order: what ends between the two looks is found twice, not never.
        found = set(self._live_ids(live, limit)) if live.states else set()
        found.update(self._ids(done, limit) if done.states else ())
        return sorted(found, reverse=True)[:limit]

    def count(self, which: JobFilter, limit: int) -> int:
        """How many match, counting no further than `limit`."""
        which = self._store.failures.resolved(which)
        if not _apart(which):
            return self._count(which, limit)
        done, live = _halves(which)
        found = self._live_count(live, limit) if live.states else 0
        if done.states and found < limit:
            found += self._count(done, limit)
        return min(found, limit)

    def _asked(self, t: Any, which: JobFilter) -> list[ColumnElement[bool]]:
        return asked(self._store.schema, t, which)

    def _ids(self, which: JobFilter, limit: int) -> list[str]:
        rows = self.few_ended(which.states or frozenset(), MOST_ENDED) if _by_state_alone(which) else None
        # The states are asked for again: what is wanted of failures depends on them.
        t = self._t.c if rows is None else rows.c
        query = select(t.id).where(*self._asked(t, which)).order_by(t.id.desc()).limit(limit)
        return list(self._store.read(lambda c: c.execute(query).scalars().all()))

    def _count(self, which: JobFilter, limit: int) -> int:
        matching = select(self._t.c.position).where(*self._asked(self._t.c, which)).limit(limit).subquery()
        return self._store.read(lambda c: c.execute(select(func.count()).select_from(matching)).scalar_one())

    def _live_ids(self, which: JobFilter, limit: int) -> list[str]:
        if (rows := self.few(which.states or LIVE, MOST_LIVE)) is None:
            return self._ids(which, limit)
        wanted = self._asked(rows.c, _of_few(which))
        query = select(rows.c.id).where(*wanted).order_by(rows.c.id.desc()).limit(limit)
        return list(self._store.read(lambda c: c.execute(query).scalars().all()))

    def _live_count(self, which: JobFilter, limit: int) -> int:
        if which == JobFilter(states=which.states):
            return self.number(self._parts(which.states or LIVE), limit)
        if (rows := self.few(which.states or LIVE, MOST_LIVE)) is None:
            return self._count(which, limit)
        query = select(func.count()).select_from(rows).where(*self._asked(rows.c, _of_few(which)))
        return self._store.read(lambda c: c.execute(query).scalar_one())

    def few(self, states: frozenset[JobState], most: int) -> Subquery | None:
        """The unfinished jobs of these states, with what filters ask of them; None when they are more than `most`."""
        parts, t = self._parts(states), self._t.c
        if self.number(parts, most + 1) > most:
            return None
        columns = [t[name] for name in COLUMNS]
        # With room for what comes before they are read.
        limited = [select(*columns).where(part).limit(2 * most).subquery() for part in parts]
        return union_all(*(select(*one.c) for one in limited)).subquery()

    def few_ended(self, states: frozenset[JobState], most: int) -> Subquery | None:
        """The jobs that ended in these states, with what filters ask of them; None when they are more than `most`."""
        t, names = self._t.c, sorted(states)
        if self.number([ended(t, state) for state in names], most + 1) > most:
            return None
        # With a limit the rows are fetched apart, by this index and no other; there is room for what ends meanwhile.
        return select(*(t[name] for name in COLUMNS)).where(ended(t, *names)).limit(2 * most).subquery()

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

    def number(self, parts: Sequence[ColumnElement[bool]], limit: int) -> int:
        """How many rows these conditions have together, counted no further than `limit`."""
        return min(sum(self._numbers(parts, limit)), limit)

    def by_state(self, states: Iterable[JobState], limit: int) -> dict[JobState, int]:
        """How many jobs are in each of these states, counted no further than `limit`; one look for all of them."""
        named = sorted(states)
        conditions = [self._parts(frozenset({one})) if one in LIVE else [ended(self._t.c, one)] for one in named]
        counts = iter(self._numbers([part for parts in conditions for part in parts], limit))
        return {
            state: min(sum(islice(counts, len(parts))), limit) for state, parts in zip(named, conditions, strict=True)
        }

    def _numbers(self, parts: Sequence[ColumnElement[bool]], limit: int) -> Sequence[int]:
        """Of each condition, counted no further than `limit`, by one statement."""
        if not parts:
            return ()
        counted = [select(literal(1)).select_from(self._t).where(part).limit(limit).subquery() for part in parts]
        query = select(*(select(func.count()).select_from(rows).scalar_subquery() for rows in counted))
        return self._store.read(lambda c: c.execute(query).one())


def _of_few(which: JobFilter) -> JobFilter:
    """What is left to ask of unfinished jobs whose states were chosen already."""
    return replace(which, states=None, undismissed=False)


def _by_state_alone(which: JobFilter) -> bool:
    """Whether nothing but the state that jobs ended in can lead to them."""
    ended_so = which.states is not None and which.states < FINAL
    return (
        ended_so and which.task is None and which.owner is None and which.identifier is None and not which.undismissed
    )


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
