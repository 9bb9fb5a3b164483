"""`Search`: any filter on any number of jobs, at a bounded price.

A few conditions have an index that gives all of their jobs, or the newest of them in order. All others are asked of
rows that such an index brought. When those are more than `among`, only the newest are looked at, and whoever asked is
told up to where: the next page goes on from there. So nothing is left out in the end, and no page walks over a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    Subquery,
    func,
    literal,
    select,
    true,
    union_all,
)

from backburner.condition import Condition, Exact, Field, Order
from backburner.job import JobFilter
from backburner.states import FINAL, JobState
from backburner.store.asked import COLUMNS, asked, of_failures
from backburner.store.choice import LIVE, Choice

if TYPE_CHECKING:
    from backburner.store.store import Store

AMONG = 5_000
"""As many jobs are looked at for what no index finds."""
COUNTED = 2_000
"""So many for the counts beside a page: those of few jobs are exact, and no page waits for those of many."""
FEW = 500
"""So many are looked at first, for a page: what is frequent is among them."""


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
    """How many jobs are in each state. Of the states of `open` there are as many among those that were looked at.

    Of a state with `limit` jobs there may be more either way.
    """

    states: dict[JobState, int]
    open: frozenset[JobState] = frozenset()

    @property
    def complete(self) -> bool:
        """Whether all were looked at."""
        return not self.open


class Rows(NamedTuple):
    """Rows that may match, with `COLUMNS`, and what is still to be asked of them.

    `end` is the id of the oldest one that is looked at; None when all are.
    """

    rows: Subquery
    which: JobFilter
    end: str | None = None


class Lead(NamedTuple):
    """The column of ids that an index gives in order, where it has to be looked, and what is still to be asked."""

    id: Any
    where: tuple[ColumnElement[bool], ...]
    which: JobFilter


class Search:
    """Finds and counts jobs for those who watch."""

    def __init__(self, store: Store) -> None:
        self._store, self._t = store, store.schema.jobs
        self._choice = Choice(store)

    def page(self, which: JobFilter, limit: int, among: int = AMONG) -> Found:
        """A page of ids; the next one is `before=found.next`."""
        which = self._store.failures.resolved(which)
        if among > FEW and which.task is not None:
            # Of one task the index brings the newest, so few of them are enough for a page.
            found = self._page(which, limit, FEW, among)
            if found.complete:
                return found
        elif among > FEW and self._lead(which) is None:
            ids = self._among_newest(which, limit)
            if len(ids) > limit:
                return Found(tuple(ids[:limit]), ids[limit - 1], complete=True)
        return self._page(which, limit, among)

    def _among_newest(self, which: JobFilter, limit: int) -> Sequence[str]:
        """Those of the very newest jobs that match, one more than the limit at most: one look, mostly enough."""
        t, before = self._t.c, [] if which.before is None else [self._t.c.id < which.before]
        newest = select(t.id).where(*before).order_by(t.id.desc()).limit(FEW).subquery()
        columns = [t[name] for name in COLUMNS]
        rows = select(*columns).join_from(newest, self._t, newest.c.id == t.id).limit(FEW).subquery().c
        query = select(rows.id).where(*self._asked(rows, which)).order_by(rows.id.desc()).limit(limit + 1)
        return self._store.read(partial(_scalars, query))

    def _page(self, which: JobFilter, limit: int, among: int, most_live: int | None = None) -> Found:
        parts = self._candidates(which, among, most_live)
        looks = []
        for place, rows in enumerate(parts):
            t = rows.rows.c
            look = select(t.id, literal(place).label("part")).where(*self._asked(t, rows.which))
            looks.append(look.order_by(t.id.desc()).limit(limit + 1).subquery())
        # By one statement: it sees each job in one state, so a job that goes from part to part is in one of them.
        query = union_all(*(select(*look.c) for look in looks)) if looks else None
        found = [] if query is None else self._store.read(partial(_all, query))
        # Down to this id all that match are known: the highest of the ends of what was looked at.
        known: str | None = None
        for place, rows in enumerate(parts):
            if rows.end is not None and sum(row.part == place for row in found) <= limit:
                known = max(known or "", rows.end)
        ids = sorted({row.id for row in found if known is None or row.id >= known}, reverse=True)
        if len(ids) > limit:
            return Found(tuple(ids[:limit]), ids[limit - 1], complete=True)
        return Found(tuple(ids), known, complete=known is None)

    def in_order(self, which: JobFilter, order: Order, limit: int, skip: int = 0, among: int = AMONG) -> Found | None:
        """A page of ids in another order; None where more jobs match than are looked at. `next` is how many to skip."""
        which = self._store.failures.resolved(replace(which, before=None))
        found: dict[str, Any] = {}
        for rows in self._candidates(which, among):
            if rows.end is not None:
                return None
            t, value = rows.rows.c, self._t.c[order.column]
            query = select(self._t.c.id, value).join_from(rows.rows, self._t, t.id == self._t.c.id)
            found |= {
                row[0]: row[1] for row in self._store.read(partial(_all, query.where(*self._asked(t, rows.which))))
            }
        # Those without a value are the last ones either way.
        with_value = [job for job, value in found.items() if value is not None]
        ids = sorted(with_value, key=lambda job: (found[job], job), reverse=order.descending)
        ids += sorted(found.keys() - {*with_value}, reverse=True)
        more = str(skip + limit) if len(ids) > skip + limit else None
        return Found(tuple(ids[skip : skip + limit]), more, complete=True)

    def tally(self, which: JobFilter, limit: int, among: int | None = None, *, thorough: bool = False) -> Tally:
        """How many match by state, counted no further than `limit` each, among `AMONG` if `thorough`."""
        # Unfinished ones are all counted where a page looks at all of them.
        most_live = AMONG if among is None else among
        among = among or (AMONG if thorough else COUNTED)
        which = self._store.failures.resolved(replace(which, before=None))
        states = frozenset(JobState) if which.states is None else which.states
        if which == JobFilter(states=which.states):
            return Tally(self._choice.by_state(states, limit))
        counted, open_states = dict.fromkeys(sorted(states), 0), frozenset[JobState]()
        for rows in self._candidates(which, among, most_live):
            t = rows.rows.c
            query = select(t.state, func.count()).where(*self._asked(t, rows.which)).group_by(t.state)
            for state, count in self._store.read(partial(_all, query)):
                counted[JobState(state)] = counted.get(JobState(state), 0) + count
            if rows.end is not None:
                open_states |= states if rows.which.states is None else rows.which.states
        return Tally({state: min(count, limit) for state, count in counted.items()}, open_states)

    def _asked(self, t: Any, which: JobFilter) -> list[ColumnElement[bool]]:
        return asked(self._store.schema, t, which)

    def _candidates(self, which: JobFilter, among: int, most_live: int | None = None) -> list[Rows]:
        """Rows to look at, in up to two parts: of all states, or unfinished and finished ones apart.

        Unfinished ones come first: who looks at the parts one after the other sees a job that ends meanwhile twice
        rather than never. They are looked at apart while they are no more than `most_live`, `among` unless said.
        """
        failures = any(condition.field is Field.FINGERPRINT and not condition.negated for condition in which.conditions)
        wanted = frozenset(JobState) if which.states is None else which.states
        if failures and JobState.FAILED in wanted and len(wanted) > 1:
            # Apart, as the index has them: together it would give no order.
            others = replace(which, states=wanted - {JobState.FAILED})
            of_failed = replace(which, states=frozenset({JobState.FAILED}))
            return [*self._candidates(others, among), *self._candidates(of_failed, among)]
        lead = self._lead(which)
        if lead is not None:
            return [self._rows(lead, among)]
        t, everything = self._t.c, Lead(self._t.c.id, (), which)
        states = frozenset(JobState) if which.states is None else which.states
        live, done = states & LIVE, states & FINAL
        few = self._choice.few(live, among if most_live is None else most_live) if live else None
        if live and few is None:
            return [self._rows(everything, among)]
        found = [] if few is None else [Rows(few, replace(which, states=None))]
        if done:
            ends = replace(which, states=done)
            of_task = (t.task == which.task, t.finished_at.is_not(None))
            lead = Lead(t.id, of_task if which.task is not None else (), ends)
            found.append(self._by_state(ends, among) or self._rows(lead, among))
        return found

    def _by_state(self, which: JobFilter, among: int) -> Rows | None:
        """All jobs that ended in these states, where they are few."""
        if which.states is None or len(which.states) == len(FINAL):
            return None
        rows = self._choice.few_ended(which.states, among)
        return None if rows is None else Rows(rows, which)

    def _lead(self, which: JobFilter) -> Lead | None:
        """What an index finds in jobs of any state; None when nothing of that kind is asked for."""
        t = self._t.c
        if which.identifier is not None:
            return Lead(t.id, (t.identifier == which.identifier,), replace(which, identifier=None))
        for condition in which.conditions:
            if condition.negated:
                continue
            rest = replace(which, conditions=tuple(one for one in which.conditions if one is not condition))
            if condition.field in (Field.ID, Field.IDENTIFIER) and _all_exact(condition):
                names = [value.text for value in condition.values if isinstance(value, Exact)]
                column = t.id if condition.field is Field.ID else t.identifier
                return Lead(t.id, (column.in_(names),), rest)
            if condition.field is Field.FINGERPRINT:
                failures = self._store.schema.failures.c
                return Lead(failures.job, (of_failures(self._store.schema, which, condition),), rest)
        return None if which.owner is None else Lead(t.id, (t.owner == which.owner,), replace(which, owner=None))

    def _rows(self, lead: Lead, among: int) -> Rows:
        """The newest jobs of what leads, in order."""
        t, before = self._t.c, lead.which.before
        where = (*lead.where, lead.id < before) if before is not None else lead.where
        ordered = select(lead.id).where(*where).order_by(lead.id.desc())
        end = self._store.read(partial(_scalar, ordered.offset(among - 1).limit(1)))
        if end is not None:
            # Down to there, and no other bound: those that come or end meanwhile push none out.
            where = (*where, lead.id >= end)
            ordered = select(lead.id).where(*where).order_by(lead.id.desc())
        # The limits keep statements apart; there is room for what comes meanwhile.
        most = 2 * among
        columns, ids, dialect = [t[name] for name in COLUMNS], ordered.limit(most).subquery(), self._store.dialect
        if dialect.looks_up and (lead.where or lead.id is not t.id):
            row = select(*columns).where(t.id == ids.c[0]).limit(1).lateral()
            # With the id that has the order: who asks for the newest of them stops as soon as there are enough.
            others = [column for column in row.c if column.name != t.id.name]
            ordered_rows = select(ids.c[0].label(t.id.name), *others).select_from(ids.join(row, true()))
            newest = ordered_rows.limit(most).subquery()
        elif dialect.orders_rows and lead.id is t.id:
            newest = select(*columns).where(*where).order_by(t.id.desc()).limit(most).subquery()
        else:
            newest = select(*columns).join_from(ids, self._t, ids.c[0] == t.id).limit(most).subquery()
        return Rows(newest, lead.which, end)


def _all_exact(condition: Condition) -> bool:
    return all(isinstance(value, Exact) for value in condition.values)


def _all(query: Select[Any] | CompoundSelect[Any], connection: Connection) -> Sequence[Any]:
    return connection.execute(query).all()


def _scalar(query: Select[Any], connection: Connection) -> Any:
    return connection.execute(query).scalar()


def _scalars(query: Select[Any], connection: Connection) -> Sequence[Any]:
    return connection.execute(query).scalars().all()
