"""`Search`: any filter on any number of jobs, at a bounded price.

A few conditions have an index that gives all of their jobs, or the newest of them in order. All others are asked of
rows that such an index brought. When those are more than `among`, only the newest are looked at, and whoever asked is
told up to where: the next page goes on from there. So nothing is left out in the end, and no page walks over a table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Subquery, func, literal, select

from backburner.condition import Condition, Exact, Field
from backburner.job import JobFilter
from backburner.states import FINAL, JobState
from backburner.store.asked import COLUMNS, asked, of_failures
from backburner.store.choice import LIVE, Choice
from backburner.store.conditions import ended

if TYPE_CHECKING:
    from backburner.store.store import Store

AMONG = 10_000
"""As many jobs are looked at for what no index finds."""


@dataclass(frozen=True, slots=True)
class Found:
    """Ids of jobs, the newest first. `next` is where the next page begins, None when there is none.

    Not `complete`: only so many of the newest jobs were looked at, and older ones may match.
    """

    ids: tuple[str, ...]
    next: str | None
    complete: bool


@dataclass(frozen=True, slots=True)
class Tally:
    """How many jobs are in each state. Not `complete`: there are as many among those that were looked at."""

    states: dict[JobState, int]
    complete: bool


class Rows(NamedTuple):
    """Rows that may match, with `COLUMNS`; `partial` when there are older ones."""

    rows: Subquery
    which: JobFilter
    partial: bool


class Search:
    """Finds and counts jobs for those who watch."""

    def __init__(self, store: Store) -> None:
        self._store, self._t = store, store.schema.jobs
        self._choice = Choice(store)

    def page(self, which: JobFilter, limit: int, among: int = AMONG) -> Found:
        """A page of ids; the next one is `before=found.next`."""
        which = self._store.failures.resolved(which)
        found: set[str] = set()
        # Down to this id all that match are known: the highest of the ends of what was looked at.
        known: str | None = None
        for rows in self._candidates(which, among):
            t = rows.rows.c
            query = select(t.id).where(*self._asked(t, rows.which)).order_by(t.id.desc()).limit(limit + 1)
            ids = self._store.read(lambda c, query=query: c.execute(query).scalars().all())  # type: ignore[misc]
            found.update(ids)
            if rows.partial and len(ids) <= limit:
                end = self._end(t)
                known = end if known is None or (end is not None and end > known) else known
        ids = sorted((one for one in found if known is None or one >= known), reverse=True)
        if len(ids) > limit:
            return Found(tuple(ids[:limit]), ids[limit - 1], complete=True)
        return Found(tuple(ids), known, complete=known is None)

    def tally(self, which: JobFilter, limit: int, among: int = AMONG) -> Tally:
        """How many match by state, counted no further than `limit` each."""
        which = self._store.failures.resolved(replace(which, before=None))
        states = frozenset(JobState) if which.states is None else which.states
        if which == JobFilter(states=which.states):
            alone = {state: JobFilter(states=frozenset({state})) for state in states}
            return Tally({state: self._choice.count(one, limit) for state, one in alone.items()}, complete=True)
        counted, complete = dict.fromkeys(sorted(states), 0), True
        for rows in self._candidates(which, among):
            t = rows.rows.c
            query = select(t.state, func.count()).where(*self._asked(t, rows.which)).group_by(t.state)
            for state, count in self._store.read(lambda c, query=query: c.execute(query).all()):  # type: ignore[misc]
                counted[JobState(state)] = counted.get(JobState(state), 0) + count
            complete = complete and not rows.partial
        return Tally({state: min(count, limit) for state, count in counted.items()}, complete)

    def _asked(self, t: Any, which: JobFilter) -> list[ColumnElement[bool]]:
        return asked(self._store.schema, t, which)

    def _candidates(self, which: JobFilter, among: int) -> list[Rows]:
        """Rows to look at, in up to two parts: of all states, or unfinished and finished ones apart."""
        t = self._t.c
        lead = self._lead(which)
        if lead is not None:
            return [self._rows(lead, which, among)]
        states = frozenset(JobState) if which.states is None else which.states
        live, done = states & LIVE, states & FINAL
        found: list[Rows] = []
        # Unfinished ones first: what ends between the two looks is found twice, not never.
        few = self._choice.few(live, among) if live else None
        if few is not None:
            found.append(Rows(few, replace(which, states=None), partial=False))
        if live and few is None and done:
            return [self._rows([], which, among)]
        if live and few is None:
            found.append(self._rows([], which, among))
        if done:
            ends = replace(which, states=done)
            task = [t.task == which.task, t.finished_at.is_not(None)] if which.task is not None else []
            found.append(self._by_state(ends, among) or self._rows(task, ends, among))
        return found

    def _by_state(self, which: JobFilter, among: int) -> Rows | None:
        """All jobs that ended in these states, where they are few."""
        states = sorted(which.states or ())
        if len(states) == len(FINAL):
            return None
        t, parts = self._t.c, [ended(self._t.c, state) for state in states]
        if self._choice.number(parts, among + 1) > among:
            return None
        # With a limit the rows are fetched apart, by this index and no other.
        rows = select(*(t[name] for name in COLUMNS)).where(ended(t, *states)).limit(among).subquery()
        return Rows(rows, which, partial=False)

    def _lead(self, which: JobFilter) -> list[ColumnElement[bool]] | None:
        """What an index finds in jobs of any state; None when nothing of that kind is asked for."""
        t = self._t.c
        if which.identifier is not None:
            return [t.identifier == which.identifier]
        for condition in which.conditions:
            if condition.negated:
                continue
            if condition.field in (Field.ID, Field.IDENTIFIER) and _all_exact(condition):
                names = [value.text for value in condition.values if isinstance(value, Exact)]
                return [t.id.in_(names) if condition.field is Field.ID else t.identifier.in_(names)]
            if condition.field is Field.FINGERPRINT:
                f = self._store.schema.failures.c
                before = [f.job < which.before] if which.before is not None else []
                return [t.id.in_(select(f.job).where(of_failures(self._store.schema, which, condition), *before))]
        return None if which.owner is None else [t.owner == which.owner]

    def _rows(self, lead: list[ColumnElement[bool]], which: JobFilter, among: int) -> Rows:
        """The newest jobs of what leads, in order."""
        t = self._t.c
        before = [t.id < which.before] if which.before is not None else []
        newest = (
            select(*(t[name] for name in COLUMNS)).where(*lead, *before).order_by(t.id.desc()).limit(among).subquery()
        )

        def full(connection: Connection) -> bool:
            one = select(literal(1)).select_from(self._t).where(*lead, *before).limit(among + 1).subquery()
            return bool(connection.execute(select(func.count()).select_from(one)).scalar_one() > among)

        return Rows(newest, which, self._store.read(full))

    def _end(self, t: Any) -> str | None:
        """The oldest id that was looked at."""
        # Not min(): PostgreSQL has none of uuid.
        query = select(t.id).order_by(t.id).limit(1)
        return self._store.read(lambda c: c.execute(query).scalar())


def _all_exact(condition: Condition) -> bool:
    return all(isinstance(value, Exact) for value in condition.values)
