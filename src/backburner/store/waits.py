"""Running jobs and the others they wait for: milestones, waits that end an attempt, and waits that would never end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, and_, delete, insert, select, update

from backburner.job import Dependency, Parent
from backburner.outcome import Settlement
from backburner.relations import MISSED, PARENTS, REACHED, WAIT
from backburner.states import FINAL, WAITING, JobState

if TYPE_CHECKING:
    from backburner.store.store import Store

LOCK = "waits"
"""The row of `limits` that is locked while waits are written: so of two that would wait for each other one sees it."""
MOST_WALKED = 10_000
"""Jobs that the look for a circle visits at most. Beyond, a wait is let pass: a person can still cancel it."""
KEEPS_SLOT = ("block", "stop")
"""Policies of groups whose member holds the group while it waits for other jobs."""
_PAGE = 100


class Standing(NamedTuple):
    """How it stands with what a job waits for. `told` is how an earlier wait for the same ended, when it has."""

    state: JobState | None
    reached: bool
    told: str | None


class Waits:
    """The door to milestones, and to what running jobs wait for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._jobs, self._d, self._m = store.schema.jobs, store.schema.dependencies, store.schema.milestones

    # Milestones

    def reach(self, job_id: str, attempt: int, name: str, connection: Connection | None = None) -> bool:
        """A running job has reached a milestone; False when this attempt does not own it any more.

        Durable when it returns, but on a `connection`: then with its commit. Once reached it stays so.
        """
        t, now = self._jobs.c, self._store.clock.now()
        # Shared: nobody can take the job over until the commit.
        mine = select(t.id).where(t.id == job_id, t.attempt == attempt, t.state == JobState.RUNNING)
        row = {"job": job_id, "name": name, "attempt": attempt, "at": now}

        def work(connection: Connection) -> bool:
            if connection.execute(mine.with_for_update(read=True)).first() is None:
                return False
            connection.execute(self._store.dialect.insert_new(self._m), [row])
            return True

        return self._store.run(work) if connection is None else work(connection)

    def milestones(self, job_id: str) -> dict[str, datetime]:
        """What a job has reached, and when, the first one first."""
        m = self._m.c
        query = select(m.name, m.at).where(m.job == job_id).order_by(m.at, m.name)
        return {row.name: row.at for row in self._store.read(lambda c: c.execute(query).all())}

    # Waits

    def of(self, job_id: str, limit: int = 1000) -> list[Dependency]:
        """What a job comes after and waits for, the open ones first."""
        d, p = self._d, self._jobs
        query = (
            select(d.c.parent, d.c.milestone, d.c.policy, d.c.met_at, p.c.state, p.c.title, p.c.task)
            .select_from(d.outerjoin(p, p.c.id == d.c.parent))
            .where(d.c.child == job_id)
            .order_by(d.c.met_at.is_not(None), d.c.parent, d.c.milestone)
            .limit(limit)
        )
        return [
            Dependency(
                Parent(row.parent, row.milestone, row.policy), row.met_at is not None,
                None if row.state is None else JobState(row.state), row.title or row.task,
            )
            for row in self._store.read(lambda c: c.execute(query).all())
        ]  # fmt: skip

    def standing(self, child: str, parent: Parent) -> Standing:
        """How it stands with what a job asks for."""
        t, m, d = self._jobs.c, self._m.c, self._d.c
        told = select(d.policy).where(
            d.child == child, d.parent == parent.job, d.milestone == parent.milestone, d.met_at.is_not(None)
        )
        state = select(t.state).where(t.id == parent.job)
        reached = select(m.name).where(m.job == parent.job, m.name == parent.milestone)

        def work(connection: Connection) -> Standing:
            # In this order: what ends in between is seen as ended.
            known = connection.execute(told).scalar()
            found = connection.execute(state).scalar()
            return Standing(
                None if found is None else JobState(found), connection.execute(reached).first() is not None, known
            )

        return self._store.read(work)

    def circle(self, child: str, parent: str) -> list[str]:
        """By which jobs `parent` waits for `child`, both included; empty when it does not."""
        return self._store.read(lambda connection: self._chain(connection, parent, child, {}))

    def admit_on(self, connection: Connection, settlements: Sequence[Settlement]) -> Sequence[Settlement]:
        """These ends of attempts, but that a wait in a circle is back in line: its next attempt is told."""
        if not any(settlement.parents for settlement in settlements):
            return settlements
        self._lock(connection)
        edges: dict[str, list[str]] = {}
        admitted = []
        for settlement in settlements:
            wanted = [parent.job for parent in settlement.parents]
            if any(self._chain(connection, job, settlement.id, edges) for job in wanted):
                settlement = settlement._replace(state=JobState.QUEUED, blocked_on=None, reason=None, parents=())
            elif wanted:
                edges[settlement.id] = wanted
            admitted.append(settlement)
        return admitted

    def write_on(self, connection: Connection, settlements: Sequence[Settlement]) -> None:
        """Write what jobs wait for, in the transaction that blocks them; once, however often it is repeated."""
        t, d = self._jobs.c, self._d.c
        for settlement in settlements:
            if not settlement.parents:
                continue
            blocked = (t.id == settlement.id, t.attempt == settlement.attempt, t.state == JobState.BLOCKED)
            uncounted = and_(t.blocked_on == PARENTS, t.parents_left == 0)
            count = update(self._jobs).where(*blocked, uncounted).values(parents_left=len(settlement.parents))
            if not connection.execute(count).rowcount:
                # Cancelled meanwhile, or written by an earlier commit whose answer was lost.
                continue
            for parent in settlement.parents:
                same = (d.child == settlement.id, d.parent == parent.job, d.milestone == parent.milestone)
                connection.execute(delete(self._d).where(*same))
                row = {"child": settlement.id, "parent": parent.job, "milestone": parent.milestone, "policy": WAIT}
                connection.execute(insert(self._d), [row])
            self._store.dependencies.expect()

    def renew_on(self, connection: Connection, job_id: str, *, let_go: bool) -> int:
        """For an operator's retry, under the job's lock: of how many of its parents it waits for the end again.

        Of those that are not done, as when they are retried too; with `let_go` of none. What its attempts had
        waited for is forgotten.
        """
        d, p, m = self._d, self._jobs, self._m
        mine = d.c.child == job_id
        connection.execute(delete(d).where(mine, d.c.policy.in_((WAIT, REACHED, MISSED))))
        joined = d.join(p, p.c.id == d.c.parent).outerjoin(m, and_(m.c.job == p.c.id, m.c.name == d.c.milestone))
        undone = (p.c.state.not_in(sorted(FINAL)), m.c.job.is_(None))
        query = select(d.c.parent, d.c.milestone).select_from(joined).where(mine, *undone)
        rows = [] if let_go else connection.execute(query).all()
        if rows:
            self._lock(connection)
        again = [row for row in rows if not self._chain(connection, row.parent, job_id, {})]
        connection.execute(update(d).where(mine, d.c.met_at.is_(None)).values(met_at=self._store.clock.now()))
        for row in again:
            same = and_(d.c.parent == row.parent, d.c.milestone == row.milestone)
            connection.execute(update(d).where(mine, same).values(met_at=None))
        if again:
            self._store.dependencies.expect()
        return len(again)

    def _lock(self, connection: Connection) -> None:
        limits = self._store.schema.limits
        locked = select(limits.c.name).where(limits.c.name == LOCK).with_for_update()
        if connection.execute(locked).first() is None:
            # Once in the life of a database: made here, or waited for until who makes it commits.
            connection.execute(self._store.dialect.insert_new(limits), [{"name": LOCK}])
            connection.execute(locked).all()

    def _chain(self, connection: Connection, first: str, last: str, more: Mapping[str, Sequence[str]]) -> list[str]:
        """By which jobs `first` waits for `last`; `more` are waits that are not stored yet."""
        if first == last:
            return [first]
        came: dict[str, str] = {first: ""}
        ahead = [first]
        while ahead and len(came) < MOST_WALKED:
            part, ahead = ahead[:_PAGE], ahead[_PAGE:]
            edges = [(child, parent) for child in part for parent in more.get(child, ())]
            for child, parent in edges + self._edges(connection, part):
                if parent in came:
                    continue
                came[parent] = child
                if parent == last:
                    return _path(came, last)
                ahead.append(parent)
        return []

    def _edges(self, connection: Connection, jobs: Sequence[str]) -> list[tuple[str, str]]:
        """(job, job it waits for): by dependency, and behind the holder of a group that keeps its slot meanwhile."""
        d, t, holder = self._d, self._jobs, self._jobs.alias("holder")
        waiting = t.c.state.in_(sorted(WAITING))
        open_ones = (
            select(d.c.child, d.c.parent)
            .select_from(d.join(t, t.c.id == d.c.child))
            .where(d.c.child.in_(jobs), d.c.met_at.is_(None), waiting)
        )
        behind = (
            select(t.c.id, holder.c.id)
            .select_from(t.join(holder, holder.c.slot == t.c.group_name))
            .where(t.c.id.in_(jobs), waiting, holder.c.id != t.c.id, holder.c.group_policy.in_(KEEPS_SLOT))
        )
        return [(row[0], row[1]) for query in (open_ones, behind) for row in connection.execute(query)]


def _path(came: Mapping[str, str], last: str) -> list[str]:
    path = [last]
    while came[path[-1]]:
        path.append(came[path[-1]])
    return path[::-1]
