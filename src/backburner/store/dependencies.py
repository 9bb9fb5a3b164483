"""What comes after what: rows written with the jobs, and the joiner that lets jobs go on whose parents are done.

A dependency is open while `met_at` is NULL, and `parents_left` of the child is the number of its open ones. Both
change together, under a lock on the child's row: so each dependency is counted once, whoever else is at it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, insert, or_, select, tuple_, update

from backburner.clock import boot_seconds
from backburner.errors import UnknownParent
from backburner.job import NewJob
from backburner.relations import MISSED, PARENTS, REACHED, WAIT
from backburner.states import FINAL, JobState
from backburner.store.channel import CoreChannel
from backburner.store.lane import FINISH
from backburner.store.patience import WaitedInVain, patiently

if TYPE_CHECKING:
    from backburner.store.store import Store

PAGE = 100
"""Parents, or children, of one statement: few enough that the database looks each of them up by its key."""
FLAG_SECONDS = 0.25
"""How long it is taken as known whether anything is open at all."""
PATIENCE = 0.25
"""Seconds a hint waits for a child that somebody else has locked; then that child is left to the sweep."""
_FIRST = "00000000-0000-0000-0000-000000000000"

Owners = Callable[[Sequence[str]], Mapping[str, str | None]]
"""The owners of those of these jobs that exist."""


class _Step(NamedTuple):
    """What one transaction of the joiner brought, and the child up to which it has looked; "" at the last."""

    last: str
    queues: set[str]
    cancelled: list[str]
    groups: set[str]


class Dependencies:
    """The door to what comes after what."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._jobs, self._d = store.schema.jobs, store.schema.dependencies
        self._p, self._m = self._jobs.alias("parent"), store.schema.milestones
        self._known, self._known_at = False, float("-inf")

    # Written with the jobs

    def check_on(self, connection: Connection, jobs: Sequence[NewJob]) -> None:
        """`check` over a connection of SQLAlchemy's, before it stores these jobs. Raises `UnknownParent`."""
        if any(job.parents for job in jobs):
            self.check(jobs, lambda ids: self._owners(connection, ids))

    def write_on(self, connection: Connection, jobs: Sequence[NewJob]) -> None:
        """Write what these new jobs come after, in the transaction that stores them."""
        rows = dependency_rows(jobs)
        if rows:
            connection.execute(insert(self._d), [dict(zip(DEPENDENCY, row, strict=True)) for row in rows])
            self.expect()

    def check(self, jobs: Sequence[NewJob], owners: Owners) -> None:
        """Raise `UnknownParent` for a parent that is neither stored nor among `jobs`, or that is somebody else's.

        `owners` asks over the connection that will store the jobs.
        """
        found: dict[str, str | None] = {job.id: job.owner for job in jobs}
        wanted = sorted({parent.job for job in jobs for parent in job.parents} - found.keys())
        for start in range(0, len(wanted), PAGE):
            found.update(owners(wanted[start : start + PAGE]))
        # A transaction of the caller's may see the database as it was when it began.
        unseen = [job_id for job_id in wanted if job_id not in found]
        for start in range(0, len(unseen), PAGE):
            part = unseen[start : start + PAGE]
            found.update(self._store.read(lambda c, part=part: self._owners(c, part)))  # type: ignore[misc]
        for job in jobs:
            for parent in job.parents:
                theirs = found.get(parent.job)
                if parent.job not in found or (job.owner and theirs and job.owner != theirs):
                    raise UnknownParent(parent.job)

    def expect(self) -> None:
        """Take note that something is open."""
        self._known, self._known_at = True, boot_seconds()

    def _owners(self, connection: Connection, ids: Sequence[str]) -> dict[str, str | None]:
        t = self._jobs.c
        return {row.id: row.owner for row in connection.execute(select(t.id, t.owner).where(t.id.in_(ids)))}

    # Joined

    def follow(self, ended: Sequence[str]) -> set[str]:
        """`join` for jobs that have just ended: costs next to nothing while nobody waits for any job."""
        if not self._any_open():
            return set()
        d = self._d.c
        waited: set[str] = set()
        for start in range(0, len(ended), PAGE):
            query = select(d.parent).where(d.met_at.is_(None), d.parent.in_(ended[start : start + PAGE])).distinct()
            waited.update(self._store.read(lambda c, q=query: c.execute(q).scalars().all()))  # type: ignore[misc]
        return self.join(waited)

    def join(self, parents: Iterable[str], *, patient: bool = True) -> set[str]:
        """Let go on what waits for these jobs as far as they are done; the queues that got something.

        What is cancelled by it takes along what waits for that. Children that somebody else has locked are left to
        the sweep, at once or, `patient`, after one wait of `PATIENCE`.
        """
        queues: set[str] = set()
        groups: set[str] = set()
        ahead = sorted(set(parents))
        while ahead:
            part, ahead = ahead[:PAGE], ahead[PAGE:]
            more, last = True, ""
            while more:
                # On behind the last child: those that others have locked are not to hide the rest.
                step, patient = self._joined(part, last, patient=patient)
                queues |= step.queues
                groups |= step.groups
                ahead += step.cancelled
                more, last = bool(step.last), step.last
        return queues | self._store.groups.advance(groups)

    def _joined(self, parents: Sequence[str], after: str, *, patient: bool) -> tuple[_Step, bool]:
        """One step, and whether another one may wait. Others of ours have a child for milliseconds, a caller's
        transaction for as long as it likes.
        """
        if patient:
            with suppress(WaitedInVain):
                return self._store.run(lambda c: self._step(c, parents, after, patient=True), FINISH), True
        return self._store.run(lambda c: self._step(c, parents, after, patient=False), FINISH), False

    def sweep(self, after: str) -> tuple[list[str], str]:
        """Of the parents of open dependencies from `after` on, those that are done; and where to look next.

        The way of what no hint came for: a crash, or an end that nobody told.
        """
        d = self._d.c
        page = select(d.parent).where(d.met_at.is_(None), d.parent > (after or _FIRST)).order_by(d.parent).limit(PAGE)

        def work(connection: Connection) -> tuple[list[str], str]:
            found = connection.execute(page).scalars().all()
            if not found:
                return [], ""
            due = self._due(sorted(set(found)), d.parent).distinct()
            return list(connection.execute(due).scalars()), found[-1] if len(found) == PAGE else ""

        return self._store.read(work)

    def _any_open(self) -> bool:
        now = boot_seconds()
        if now - self._known_at >= FLAG_SECONDS:
            query = select(self._d.c.child).where(self._d.c.met_at.is_(None)).limit(1)
            self._known = self._store.read(lambda c: c.execute(query).first()) is not None
            self._known_at = now
        return self._known

    def _due(self, parents: Sequence[str], *columns: Any) -> Select[Any]:
        """Open dependencies on these jobs that are met, or can never be."""
        d, p, m = self._d, self._p, self._m
        joined = d.outerjoin(p, p.c.id == d.c.parent).outerjoin(m, and_(m.c.job == p.c.id, m.c.name == d.c.milestone))
        done = or_(p.c.id.is_(None), p.c.state.in_(sorted(FINAL)), m.c.job.is_not(None))
        return select(*columns).select_from(joined).where(d.c.met_at.is_(None), d.c.parent.in_(parents), done)

    def _step(self, connection: Connection, parents: Sequence[str], after: str, *, patient: bool) -> _Step:
        d = self._d.c
        query = self._due(parents, d.child).where(d.child > (after or _FIRST)).distinct().order_by(d.child).limit(PAGE)
        ids = list(connection.execute(query).scalars())
        if not ids:
            return _Step("", set(), [], set())
        last = ids[-1] if len(ids) == PAGE else ""
        locked = self._locked(connection, ids, patient=patient)
        ids = [row.id for row in locked]
        # Looked at again under the locks: somebody else may have counted some of them meanwhile.
        wanted = (d.child, d.parent, d.milestone, d.policy, self._p.c.state, self._m.c.job.label("reached"))
        facts = connection.execute(self._due(parents, *wanted).where(d.child.in_(ids))).all()
        self._mark(connection, facts)
        by_child: dict[str, list[Row[Any]]] = {}
        for fact in facts:
            by_child.setdefault(fact.child, []).append(fact)
        moves = Moves(self._store)
        for row in locked:
            if row.id in by_child:
                moves.count(row, by_child[row.id])
        return _Step(last, *moves.make(connection))

    def _locked(self, connection: Connection, ids: Sequence[str], *, patient: bool) -> Sequence[Row[Any]]:
        """These children as they are now, under locks. Raises `WaitedInVain`; without patience leaves some out."""
        t = self._jobs.c
        columns: tuple[Any, ...] = (t.id, t.state, t.blocked_on, t.parents_left, t.run_at, t.queue, t.slot)
        query = select(*columns).where(t.id.in_(ids)).order_by(t.id).with_for_update(skip_locked=not patient)
        waiting = patiently(self._store.dialect, CoreChannel(connection), PATIENCE, ours=True)
        with waiting if patient else nullcontext():
            return connection.execute(query).all()

    def _mark(self, connection: Connection, facts: Sequence[Row[Any]]) -> None:
        """The dependencies are met. Of those that a running job asked for it stays known how."""
        by_end: dict[str | None, list[tuple[str, str, str]]] = {}
        for fact in facts:
            end = None if fact.policy != WAIT else MISSED if _missed(fact) else REACHED
            by_end.setdefault(end, []).append((fact.child, fact.parent, fact.milestone))
        d, now = self._d.c, self._store.clock.now()
        for end, keys in by_end.items():
            which = (
                # The ids once more by themselves: by triples alone SQLite would walk over all rows.
                d.child.in_({key[0] for key in keys}),
                d.parent.in_({key[1] for key in keys}),
                tuple_(d.child, d.parent, d.milestone).in_(keys),
            )
            values = {"met_at": now} if end is None else {"met_at": now, "policy": end}
            connection.execute(update(self._d).where(*which).values(**values))


class Moves:
    """What becomes of locked children, gathered so that few statements do it."""

    def __init__(self, store: Store) -> None:
        self._store, self._now = store, store.clock.now()
        self._left: dict[int, list[str]] = {}
        self._ready: dict[JobState, list[Row[Any]]] = {}
        self._cancelled: dict[str, list[Row[Any]]] = {}

    def count(self, row: Row[Any], facts: Sequence[Row[Any]]) -> None:
        """Some dependencies of a child are met, or can never be."""
        left = max(0, row.parents_left - len(facts))
        if row.state != JobState.BLOCKED or row.blocked_on != PARENTS:
            # It does not wait any more: somebody cancelled it, or let it go.
            self._left.setdefault(left, []).append(row.id)
        elif failed := next((fact for fact in facts if fact.policy == "cancel" and not _succeeded(fact)), None):
            self._cancelled.setdefault(_reason(failed), []).append(row)
        elif left:
            self._left.setdefault(left, []).append(row.id)
        else:
            state = JobState.SCHEDULED if row.run_at > self._now else JobState.QUEUED
            self._ready.setdefault(state, []).append(row)

    def make(self, connection: Connection) -> tuple[set[str], list[str], set[str]]:
        """Do it: the queues that got something, the jobs that are cancelled, the groups they held."""
        jobs, d = self._store.schema.jobs, self._store.schema.dependencies

        def change(ids: Iterable[str], **values: Any) -> None:
            connection.execute(update(jobs).where(jobs.c.id.in_(list(ids))).values(**values))

        for left, ids in self._left.items():
            change(ids, parents_left=left)
        for state, rows in self._ready.items():
            change((row.id for row in rows), state=state, blocked_on=None, reason=None, parents_left=0)
        for reason, rows in self._cancelled.items():
            change(
                (row.id for row in rows), state=JobState.CANCELLED, finished_at=self._now, reason=reason,
                blocked_on=None, slot=None, parents_left=0,
            )  # fmt: skip
        cancelled = [row for rows in self._cancelled.values() for row in rows]
        if cancelled:
            # Nothing more waits for its other parents: they may be cleaned away.
            rest: list[ColumnElement[bool]] = [d.c.child.in_([row.id for row in cancelled]), d.c.met_at.is_(None)]
            connection.execute(update(d).where(*rest).values(met_at=self._now))
        queues = {row.queue for row in self._ready.get(JobState.QUEUED, ())}
        return queues, [row.id for row in cancelled], {row.slot for row in cancelled if row.slot is not None}


DEPENDENCY = ("child", "parent", "milestone", "policy")
"""The columns that an enqueue writes, in the order of `dependency_rows`."""


def dependency_rows(jobs: Iterable[NewJob]) -> list[tuple[str, str, str, str]]:
    """The values of `DEPENDENCY` for what these jobs come after."""
    return [(job.id, parent.job, parent.milestone, parent.policy) for job in jobs for parent in job.parents]


def _succeeded(fact: Row[Any]) -> bool:
    return fact.reached is not None if fact.milestone else fact.state == JobState.SUCCEEDED


def _missed(fact: Row[Any]) -> bool:
    return bool(fact.milestone) and fact.reached is None


def _reason(fact: Row[Any]) -> str:
    ended = f"is {fact.state}" if fact.state is not None else "was deleted"
    what = f" without reaching {fact.milestone!r}" if fact.milestone else ""
    return f"It was to come after job {fact.parent}, which {ended}{what}."
