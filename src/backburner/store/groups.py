"""Serial groups: one job of a group runs at a time, in order. The job that has the group's name in `slot` holds it.

Whoever wants to move a group locks its row in `groups` first. Taking a job never waits for that lock, for somebody
else is at it; what follows from an end does, for somebody else may have looked just before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, FromClause, Row, and_, literal, or_, select, update

from backburner.job import ClaimedJob
from backburner.run_options import Cap
from backburner.states import JobState
from backburner.store.conditions import GROUP, in_line, queued_in_group, queued_in_line, state_is, waits_for_time
from backburner.store.dialects.base import ClaimOrder
from backburner.store.group_rows import GroupRows
from backburner.store.lane import CLAIM, FINISH
from backburner.store.limits import Room
from backburner.store.patience import WaitedInVain, within
from backburner.store.taking import alive, paused_queues, take

if TYPE_CHECKING:
    from backburner.store.store import Store

ARRIVALS = 50
"""Queued jobs of groups that one look finds, and groups that one step moves."""
MANY_ARRIVALS = 500
"""The same while there are lines to be parked: so many does one step park at most."""
FEW, GONE_PAST = 5, 2_000
"""How many queued jobs a look goes past, at most, for the sake of so few groups that others have in hand."""
SWEPT = 500
"""Groups that one sweep looks at."""
LOOKS = 3
"""How often `advance` looks for a head that somebody has in hand. MySQL locks for a moment what it only walks past;
who keeps a head for longer, as a caller's transaction may that replaces it, leaves the group to the sweep.
"""
_CANCELLED = 500


class Arrival(NamedTuple):
    """A queued job of a group, as a look has found it."""

    id: str
    group: str
    task: str


class Step(NamedTuple):
    """What a step brought: jobs taken for this worker, queues that got a head, how many others were parked.

    `full`: tasks whose heads were left, for no more of them may run. `missed`: groups whose head others had in hand.
    `left`: groups that were left, for those and other reasons of this moment.
    """

    taken: list[ClaimedJob]
    queued: set[str]
    parked: int
    full: frozenset[str] = frozenset()
    missed: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()


class Groups:
    """The door to serial groups."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._t = store.schema.jobs
        self.rows: GroupRows = GroupRows(store)

    def arrivals(self, order: ClaimOrder, but: Collection[str] = (), most: int = ARRIVALS) -> list[Arrival]:
        """Queued jobs that `order` may take, the best first, but for those of some groups; without any lock."""
        t = self._t.c
        fitting = [queued_in_group(t), t.queue == order.queue, t.priority.between(*order.priorities)]
        if order.refused:
            fitting.append(t.task.not_in(order.refused))
        query = select(t.id, t.group_name, t.task, t.priority, t.position).where(*fitting)
        query = query.order_by(t.priority, t.position)
        if 0 < len(but) <= FEW:
            # Their lines may be long, and are just being parked by others.
            near = query.limit(GONE_PAST).subquery("near").c
            query = select(near.id, near.group_name, near.task, near.priority, near.position)
            query = query.order_by(near.priority, near.position)
            query = query.where(near.group_name.not_in(sorted(but)))
        elif but:
            query = query.where(t.group_name.not_in(sorted(but)))
        query = query.limit(most)
        return [Arrival(row.id, row.group_name, row.task) for row in self._store.read(lambda c: c.execute(query).all())]

    def claim(self, order: ClaimOrder, arrived: Sequence[Arrival], caps: Callable[[str], Cap | None]) -> Step:
        """Take heads of the groups of these jobs, as many as `order` has room for, and park those of the jobs that
        are behind them. What no look has found yet is left where it is: a line may be long, and is not walked along.

        Empty for a worker that was marked dead, and for a paused queue. `caps(task)` is how many of a task may run.
        """
        names = list(dict.fromkeys(job.group for job in arrived))[:ARRIVALS]
        self.rows.make(names)

        def serves(row: Row[Any]) -> bool:
            low, high = order.priorities
            return row.queue == order.queue and low <= row.priority <= high and row.task not in order.refused

        def work(connection: Connection) -> Step:
            if not alive(self._store, connection, order.worker):
                return Step([], set(), 0)
            paused = paused_queues(self._store, connection)
            room = Room(self._store, connection, order.free, caps, paused, order.lone, order.ahead, order.short)
            mine = self.rows.lock(connection, names, wait=False)

            def hides(head: Row[Any]) -> bool:
                return head.task in room.full or head.group_name in room.lonely

            step = self._step(
                connection, mine, order.worker, lambda row: serves(row) and room.admits(row), arrived, hides
            )
            left = step.missed.union(room.lonely, set(names).difference(mine))
            return step._replace(full=frozenset(room.full), left=left)

        step = self._store.run(work, CLAIM)
        # A row may have been cleaned away since it was made: a worker that ends when it finds nothing must find it.
        return self._store.run(work, CLAIM) if self.rows.made_again(names) and not step.taken else step

    def advance(self, names: Iterable[str], patience: float | None = None) -> set[str]:
        """Queue the next ones of these groups, where nobody holds them; the queues that got one.

        With `patience` it waits so many seconds for somebody who moves one of them; the sweep finds what is left.
        """
        wanted, queued = sorted(set(names)), set[str]()

        def work(connection: Connection) -> Step:
            mine = self.rows.lock(connection, wanted, wait=True)
            return self._step(connection, mine, None, lambda row: False)

        with suppress(WaitedInVain):
            for _ in range(LOOKS):
                if not wanted:
                    break
                self.rows.make(wanted, patience)
                step = self._store.run(within(self._store.dialect, patience, work), FINISH)
                queued |= step.queued
                # A row that was not there to be locked was cleaned away since we made it.
                wanted = sorted(step.missed | self.rows.gone(wanted))
        return queued

    def sweep(self, after: str) -> tuple[list[str], str]:
        """Groups whose parked jobs nobody will take up, from the name `after` on, and where to look next.

        There should be none: only a crash between an end and the step that follows leaves one.
        """
        t, names = self._t.c, self._lines(after)
        # No EXISTS: of that PostgreSQL may make one look at all jobs.
        held = select(t.id).where(t.slot == names.c.name).limit(1).scalar_subquery()
        in_its_line = select(t.blocked_on.is_(None)).where(t.group_name == names.c.name, in_line(t))
        first_is_queued = in_its_line.order_by(t.priority, t.position).limit(1).scalar_subquery()
        goes_on = or_(held.is_not(None), first_is_queued).label("goes_on")
        query = select(names.c.name, goes_on).where(names.c.name.is_not(None)).order_by(names.c.name)
        rows = self._store.read(lambda c: c.execute(query).all())
        return [row.name for row in rows if not row.goes_on], rows[-1].name if len(rows) == SWEPT else ""

    def _lines(self, after: str) -> FromClause:
        """The `name` of each of the next `SWEPT` groups with jobs in line, and perhaps a NULL.

        One statement for all of them: every worker looks every few seconds, in the thread that does all its chores.
        """
        t = self._t.alias().c
        if not self._store.dialect.probes:
            every = select(t.group_name.label("name")).where(in_line(t), t.group_name > after)
            return every.group_by(t.group_name).order_by(t.group_name).limit(SWEPT).subquery("names")

        def following(name: ColumnElement[str]) -> ColumnElement[str]:
            query = select(t.group_name).where(in_line(t), t.group_name > name)
            return query.order_by(t.group_name).limit(1).scalar_subquery()

        # One probe of the index per group, however long its line is.
        names = select(following(literal(after)).label("name"), literal(1).label("place")).cte("names", recursive=True)
        more = and_(names.c.name.is_not(None), names.c.place < SWEPT)
        return names.union_all(select(following(names.c.name), names.c.place + 1).where(more))

    def stopped(self) -> list[tuple[str, str]]:
        """(group, id of the job that failed) of groups with policy stop that have come to their end."""
        t = self._t.c
        query = select(t.slot, t.id).where(
            t.slot.is_not(None), t.group_policy == "stop", t.finished_at.is_not(None)
        )  # fmt: skip
        return [(row.slot, row.id) for row in self._store.read(lambda c: c.execute(query).all())]

    def stop(self, name: str, failed: str) -> int:
        """Cancel what waits in a group whose head has failed for good, and free the group; how many."""
        t, now = self._t.c, self._store.clock.now()
        reason = f"Job {failed} of group {name} failed, and the group's policy is stop."
        # Each as an index says it: what is in line, what waits for a time, what is held back by something else.
        held_back = and_(state_is(t, "blocked"), t.blocked_on.is_not(None), t.blocked_on != GROUP)
        rest = [
            select(t.id).where(t.group_name == name, t.id != failed, kind).limit(_CANCELLED)
            for kind in (in_line(t), waits_for_time(t), held_back)
        ]
        cancelled = {"state": JobState.CANCELLED, "finished_at": now, "reason": reason, "blocked_on": None}
        self.rows.make([name])

        def work(connection: Connection) -> int:
            self.rows.lock(connection, [name], wait=True)
            for some in rest:
                ids = connection.execute(some.with_for_update(skip_locked=True)).scalars().all()
                if ids:
                    connection.execute(update(self._t).where(t.id.in_(ids)).values(**cancelled))
                    return len(ids)
            # What somebody else has in hand is left, and the group with it, to the next look at stopped groups.
            if all(connection.execute(some).first() is None for some in rest):
                connection.execute(update(self._t).where(t.id == failed, t.slot == name).values(slot=None))
            return 0

        gone = 0
        while count := self._store.run(work):
            gone += count
        return gone

    def place(self, job_id: str, name: str, priority: int, position: int, limit: int) -> int:
        """How many waiting jobs of a group stand before this one, plus one; counts no further than `limit`."""
        t = self._t.c
        before = or_(t.priority < priority, and_(t.priority == priority, t.position < position))
        query = select(t.id).where(t.group_name == name, in_line(t), before, t.id != job_id).limit(limit)
        return 1 + len(self._store.read(lambda c: c.execute(query).all()))

    def first(self, name: str) -> str | None:
        """The id of the first job in the line of a group."""
        t = self._t.c
        query = select(t.id).where(t.group_name == name, in_line(t)).order_by(t.priority, t.position).limit(1)
        return self._store.read(lambda c: c.execute(query).scalar())

    def holder(self, name: str) -> str | None:
        """The id of the job that holds a group."""
        query = select(self._t.c.id).where(self._t.c.slot == name)
        return self._store.read(lambda c: c.execute(query).scalar())

    # A step, under the locks of its groups

    def _step(
        self, connection: Connection, names: Sequence[str], worker: str | None, admits: Callable[[Row[Any]], bool],
        arrived: Sequence[Arrival] = (), hides: Callable[[Row[Any]], bool] = lambda row: False,
    ) -> Step:  # fmt: skip
        """`hides(head)`: whether the next look leaves out what is behind a head that `admits` has turned away."""
        if not names:
            return Step([], set(), 0)
        held = self._holders(connection, names)
        heads = self._heads(connection, [name for name in names if name not in held])
        waiting_holders = [row.id for row in held.values() if row.state == JobState.QUEUED]
        rows = self._lock_jobs(connection, [*heads.values(), *waiting_holders])
        locked = {row.id for row in rows}
        missed = frozenset(name for name, head in heads.items() if head not in locked)
        chosen = [row for row in rows if admits(row)]
        others = [row for row in rows if row not in chosen]
        taken: list[ClaimedJob] = []
        if chosen and worker is not None:
            taken = take(self._store, connection, chosen, worker, slot=self._t.c.group_name)
            for row in chosen:
                self._coalesce(connection, row)
        parked_heads = [row.id for row in others if row.state == JobState.BLOCKED]
        if parked_heads:
            change = update(self._t).where(self._t.c.id.in_(parked_heads))
            connection.execute(change.values(state=JobState.QUEUED, blocked_on=None, reason=None))
        queued = {row.queue for row in others if row.state == JobState.BLOCKED}
        # Behind a head that was missed nothing is parked: what is queued there is what the next look finds.
        seen = (held.keys() | heads.keys()) - missed
        parked = self._park(connection, [job.id for job in arrived if job.group in seen and job.id not in locked])
        hidden = [row.group_name for row in others if hides(row)]
        parked += self._park(connection, self._behind(connection, hidden, locked))
        return Step(taken, queued, parked, missed=missed)

    def _holders(self, connection: Connection, names: Sequence[str]) -> dict[str, Any]:
        t = self._t.c
        query = select(t.slot, t.id, t.state).where(t.slot.in_(names))
        return {str(row.slot): row for row in connection.execute(query).all()}

    def _heads(self, connection: Connection, names: Sequence[str]) -> dict[str, str]:
        """The first in line of each of these groups that has one."""
        if not names:
            return {}
        groups, t = self._store.schema.groups, self._t.alias().c
        first = (
            select(t.id)
            .where(t.group_name == groups.c.name, in_line(t))
            .order_by(t.priority, t.position)
            .limit(1)
            .scalar_subquery()
        )
        found = connection.execute(select(groups.c.name, first.label("head")).where(groups.c.name.in_(names)))
        return {row.name: row.head for row in found if row.head is not None}

    def _lock_jobs(self, connection: Connection, ids: Sequence[str]) -> list[Row[Any]]:
        """These jobs as they are now, the best first, without those that somebody else is about to change."""
        if not ids:
            return []
        t = self._t
        query = select(t).where(t.c.id.in_(ids), in_line(t.c)).order_by(t.c.id).with_for_update(skip_locked=True)
        return sorted(connection.execute(query).all(), key=lambda row: (row.priority, row.position))

    def _behind(self, connection: Connection, names: Sequence[str], heads: Collection[str]) -> Sequence[str]:
        """Queued jobs in the lines of these groups without their heads."""
        if not names:
            return []
        t = self._t.c
        query = select(t.id).where(t.group_name.in_(names), queued_in_line(t), t.id.not_in(heads), t.slot.is_(None))
        return connection.execute(query.limit(MANY_ARRIVALS)).scalars().all()

    def _park(self, connection: Connection, behind: Sequence[str]) -> int:
        if not behind:
            return 0
        t = self._t.c
        still = select(t.id).where(t.id.in_(behind), t.state == JobState.QUEUED, t.slot.is_(None))
        ids = connection.execute(still.order_by(t.id).with_for_update(skip_locked=True)).scalars().all()
        if ids:
            change = update(self._t).where(t.id.in_(ids))
            connection.execute(change.values(state=JobState.BLOCKED, blocked_on=GROUP))
        return len(ids)

    def _coalesce(self, connection: Connection, head: Row[Any]) -> None:
        """What waits with a threshold of at least the head's own is done by it."""
        if head.threshold is None:
            return
        t = self._t.c
        query = (
            select(t.id)
            .where(t.group_name == head.group_name, in_line(t), t.threshold >= head.threshold, t.id != head.id)
            .order_by(t.id)
            .with_for_update(skip_locked=True)
        )
        ids = connection.execute(query).scalars().all()
        if ids:
            connection.execute(
                update(self._t)
                .where(t.id.in_(ids))
                .values(
                    state=JobState.SKIPPED, finished_at=self._store.clock.now(), blocked_on=None,
                    reason=f"Job {head.id} of the same group does its work too.",
                )
            )  # fmt: skip
