"""Stored jobs: insert, read, list, cancel, retry, delete."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Connection,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from backburner.errors import JobBusy, JobNotFound, WrongState
from backburner.ids import is_id
from backburner.job import Job, JobFilter, NewJob
from backburner.outcome import AttemptRecord, NoticeWrite
from backburner.relations import LAUNCH, LAUNCH_ALONE, PARENTS
from backburner.states import WAITING, JobState, allowed
from backburner.store.channel import Channel, CoreChannel
from backburner.store.choice import Choice
from backburner.store.conditions import GROUP, queued_alone
from backburner.store.dialects.base import INSERTED, first_state
from backburner.store.job_rows import job_of, job_of_row, job_select
from backburner.store.patience import run_patiently

if TYPE_CHECKING:
    from backburner.store.store import Store

_DELETE_BATCH = 500
_TURNS = (GROUP, LAUNCH, LAUNCH_ALONE)
"""`blocked_on` of jobs whose turn comes by itself: let go by hand they would lose their place, or their secrets."""


class Jobs:
    """The door to stored jobs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._t = store.schema.jobs
        self._select = job_select(store)
        self._choice = Choice(store)

    def insert(self, jobs: Sequence[NewJob]) -> None:
        """Insert jobs in a transaction of our own: all of them or none."""
        store = self._store
        with store.borrowed_lane() as lane:
            now = store.clock.now()
            lane.run(lambda connection: store.dialect.insert(connection, jobs, now), atomic=len(jobs) > 1)

    def insert_on(self, connection: Connection, jobs: Sequence[NewJob]) -> None:
        """Insert jobs in the caller's transaction: inserts, and a look at what they come after."""
        now = self._store.clock.now()
        self._store.dependencies.check_on(connection, jobs)
        connection.execute(
            insert(self._t).inline(),
            [{name: _value(job, name, now) for name in INSERTED} for job in jobs],
        )
        self._store.dependencies.write_on(connection, jobs)
        self.write_more(CoreChannel(connection), jobs)

    def write_more(self, channel: Channel, jobs: Sequence[NewJob]) -> None:
        """Write the files and cookies that these new jobs come with, in the transaction that stores them."""
        self._store.attachments.write(channel, jobs)
        self._store.grants.write(channel, jobs)

    def tell_on(self, connection: Connection, job_id: str, notice: NoticeWrite) -> None:
        """Store the calls of notifiers, and on the job that this was done. May be repeated."""
        now = self._store.clock.now()
        connection.execute(update(self._t).where(self._t.c.id == job_id).values(options=notice.options))
        rows = [{name: _value(call, name, now) for name in INSERTED} for call in notice.calls]
        connection.execute(self._store.dialect.insert_new(self._t).inline(), rows)

    def get(self, job_id: str) -> Job:
        """One job. Raises `JobNotFound`."""
        _check_id(job_id)
        row = self._store.read(lambda c: c.execute(self._select.where(self._t.c.id == job_id)).first())
        if row is None:
            raise JobNotFound(job_id)
        return job_of_row(row)

    def get_on(self, channel: Channel, job_id: str) -> Job:
        """`get` as the transaction of a connection sees it."""
        rows = channel.rows(self._select.where(self._t.c.id == job_id))
        if not rows:
            raise JobNotFound(job_id)
        return job_of(rows[0])

    def get_many(self, ids: Sequence[str]) -> dict[str, Job]:
        """The jobs of these ids that exist."""
        known = [job_id for job_id in ids if is_id(job_id)]
        rows = self._store.read(lambda c: c.execute(self._select.where(self._t.c.id.in_(known))).all())
        return {job.id: job for job in map(job_of_row, rows)}

    def states(self, ids: Sequence[str]) -> dict[str, JobState]:
        """The state of each of these jobs that exists: the cheapest way to watch."""
        known = [job_id for job_id in ids if is_id(job_id)]
        query = select(self._t.c.id, self._t.c.state).where(self._t.c.id.in_(known))
        rows = self._store.read(lambda c: c.execute(query).all())
        return {row.id: JobState(row.state) for row in rows}

    def find(self, which: JobFilter, limit: int) -> list[Job]:
        """Jobs that match, the newest first."""
        ids = self.ids(which, limit)
        found = self.get_many(ids)
        return [found[job_id] for job_id in ids if job_id in found]

    def ids(self, which: JobFilter, limit: int) -> list[str]:
        """The ids of jobs that match, the newest first."""
        return self._choice.ids(which, limit)

    def count(self, which: JobFilter, limit: int) -> int:
        """How many match, counting no further than `limit`."""
        return self._choice.count(which, limit)

    def unfinished_identifiers(self, identifiers: Sequence[str], include_running: bool) -> set[str]:
        """Which of these identifiers belong to jobs that are not finished."""
        states = WAITING | {JobState.RUNNING} if include_running else WAITING
        query = select(self._t.c.identifier).where(self._t.c.identifier.in_(identifiers), self._t.c.state.in_(states))
        return {name for name in self._store.read(lambda c: c.execute(query).scalars().all()) if name}

    def attempts(self, job_id: str) -> list[tuple[int, AttemptRecord]]:
        """What is kept of the attempts of a job, the oldest first; a clean short success leaves none."""
        if not is_id(job_id):
            return []
        t = self._store.schema.attempts
        rows = self._store.read(
            lambda c: c.execute(select(t).where(t.c.job == job_id).order_by(t.c.attempt)).mappings().all()
        )
        names = AttemptRecord.__dataclass_fields__
        return [(row["attempt"], AttemptRecord(**{name: row[name] for name in names})) for row in rows]

    def position_in_line(self, job: Job, limit: int = 1000) -> int:
        """How many queued jobs stand before this one in its queue, plus one; counts no further than `limit`."""
        t = self._t.c
        before = (
            select(t.position)
            .where(
                queued_alone(t),
                t.queue == job.queue,
                or_(t.priority < job.priority, and_(t.priority == job.priority, t.position < job.position)),
            )
            .limit(limit)
            .subquery()
        )
        return 1 + self._store.read(lambda c: c.execute(select(func.count()).select_from(before)).scalar_one())

    def cancel(self, job_id: str, reason: str) -> set[str]:
        """Cancel a waiting job at once, ask a running one to stop; the queues that got work by it.

        A failed job that holds its group gives it up. Raises `JobNotFound`, `JobBusy`, and `WrongState` when the job
        is done.
        """
        _check_id(job_id)
        t, now = self._t, self._store.clock.now()
        holding = and_(t.c.state == JobState.FAILED, t.c.slot.is_not(None))
        at_once = (
            update(t)
            .where(t.c.id == job_id, or_(t.c.state.in_(WAITING), holding))
            .values(state=JobState.CANCELLED, finished_at=now, reason=reason, blocked_on=None, slot=None)
        )
        request = update(t).where(t.c.id == job_id, t.c.state == JobState.RUNNING).values(cancel_requested=True)

        def work(connection: Connection) -> bool:
            # Between the two a worker may take the job or give it back: hence the second look at waiting.
            done = any(connection.execute(statement).rowcount for statement in (at_once, request, at_once))
            if done:
                self._store.failures.forget_on(connection, job_id)
            return done

        if not run_patiently(self._store, job_id, work):
            raise WrongState(job_id, self.get(job_id).state, "cancel", "a job that is not done")
        group = self._store.read(lambda c: c.execute(select(t.c.group_name).where(t.c.id == job_id)).scalar())
        return set() if group is None else self._store.groups.advance([group])

    def retry(self, job_id: str, *, waiting: bool = True) -> None:
        """Put a finished or held job back in line, at its end, with fresh counters.

        One that waits for others is let go, when `waiting`; one that has ended waits again for parents that are
        not done; one whose turn comes by itself is left alone. Its outcome stays as an attempt. It takes its
        unique key again. Raises `JobNotFound`, `WrongState`, `DuplicateJob` and `KeyBusy`.
        """
        _check_id(job_id)
        t, now, waits = self._t, self._store.clock.now(), self._store.waits

        def work(connection: Connection) -> str | None:
            self._store.keys.retake(connection, job_id)
            row = connection.execute(select(t).where(t.c.id == job_id).with_for_update()).mappings().first()
            if row is None:
                raise JobNotFound(job_id)
            kept_waiting = _TURNS if waiting else (*_TURNS, PARENTS)
            if not allowed("retry", JobState(row["state"])) or row["blocked_on"] in kept_waiting:
                return str(row["state"])
            left = waits.renew_on(connection, job_id, let_go=row["state"] == JobState.BLOCKED)
            self._keep_outcome(connection, row)
            self._store.failures.forget_on(connection, job_id)
            if row["state"] == JobState.SUCCEEDED:
                # It came to its end: once more means from the beginning, not from where it stopped.
                progress, milestones = self._store.schema.progress, self._store.schema.milestones
                connection.execute(update(progress).where(progress.c.job == job_id).values(checkpoint=None))
                connection.execute(delete(milestones).where(milestones.c.job == job_id))
            connection.execute(
                update(t)
                .where(t.c.id == job_id)
                .values(
                    state=JobState.BLOCKED if left else JobState.QUEUED, blocked_on=PARENTS if left else None,
                    parents_left=left, position=self._store.dialect.next_position(connection), run_at=now,
                    expires_at=None, tries=0, crashes=0, losses=0, result=None, reason=None, error=None,
                    cancel_requested=False, started_at=None, finished_at=None, keep_until=None,
                )
            )  # fmt: skip
            return None

        state = self._store.run(work)
        if state is not None:
            raise WrongState(job_id, state, "retry", "a finished or held job")

    def delete(self, job_id: str) -> set[str]:
        """Remove a job that is not running; the queues that got work by it.

        Raises `JobNotFound`, `JobBusy` and `WrongState`.
        """
        _check_id(job_id)
        count, queues = self.delete_many([job_id])
        if count == 0:
            raise WrongState(job_id, self.get(job_id).state, "delete", "a job that is not running")
        return queues

    def delete_many(self, ids: Sequence[str]) -> tuple[int, set[str]]:
        """Remove those of these jobs that are not running; how many, and the queues that got work by it.

        Of several, those that a transaction of the caller's holds are left. Raises `JobBusy`.
        """
        t = self._t.c
        names = select(t.group_name).where(t.id.in_(ids), t.group_name.is_not(None)).distinct()
        groups = self._store.read(lambda c: c.execute(names).scalars().all())
        if not ids:
            return 0, set()
        try:
            count = run_patiently(self._store, ids[0], lambda c: self.delete_rows(c, ids, periods=True))
        except JobBusy:
            if len(ids) == 1 or self._store.dialect.single_writer:
                raise
            count = run_patiently(
                self._store, ids[0], lambda c: self.delete_rows(c, self.free_on(c, ids), periods=True)
            )  # fmt: skip
        return count, self._store.groups.advance(groups)

    def free(self, ids: Sequence[str]) -> list[str]:
        """Those of these jobs that no transaction of anybody's holds at this moment, nor their keys, in their order."""
        t = self._t.c

        def look(connection: Connection) -> set[str]:
            there = self.free_on(connection, ids)
            found = connection.execute(select(t.id, t.unique_key).where(t.id.in_(there))).all()
            held = self._store.keys.held_on(connection, [row.unique_key for row in found if row.unique_key is not None])
            return {row.id for row in found if row.unique_key not in held}

        there = self._store.run(look)
        return [job_id for job_id in ids if job_id in there]

    def free_on(self, connection: Connection, ids: Sequence[str]) -> Sequence[str]:
        """Lock those of these jobs that nobody holds, by id; which."""
        t = self._t.c
        query = select(t.id).where(t.id.in_(ids)).order_by(t.id).with_for_update(skip_locked=True)
        return connection.execute(query).scalars().all()

    def delete_rows(self, connection: Connection, ids: Sequence[str], *, periods: bool = False) -> int:
        """Delete these jobs but for running ones, with all that is kept of them; how many jobs went.

        What was to be unique for a period stays so, but with `periods`.
        """
        schema, gone = self._store.schema, 0
        for start in range(0, len(ids), _DELETE_BATCH):
            part = ids[start : start + _DELETE_BATCH]
            t = self._t.c
            doomed = connection.execute(
                select(t.id).where(t.id.in_(part), t.state != JobState.RUNNING).order_by(t.id).with_for_update()
            ).scalars()
            batch = list(doomed)
            self._store.keys.forget(connection, batch, periods=periods)
            for table in (
                schema.progress,
                schema.log,
                schema.messages,
                schema.failed_items,
                schema.attempts,
                schema.milestones,
                schema.grants,
                schema.failures,
            ):
                connection.execute(delete(table).where(table.c.job.in_(batch)))
            # What waits for these keeps its rows: the joiner finds that they are gone.
            connection.execute(delete(schema.dependencies).where(schema.dependencies.c.child.in_(batch)))
            # Files are removed by the pruner, which also knows where their bytes are.
            files = schema.files
            connection.execute(update(files).where(files.c.job.in_(batch)).values(expires_at=self._store.clock.now()))
            gone += connection.execute(delete(self._t).where(t.id.in_(batch))).rowcount
        return gone

    def _keep_outcome(self, connection: Connection, row: Any) -> None:
        """The end of the last attempt as an attempt row, unless it has one."""
        t = self._store.schema.attempts
        if row["attempt"] == 0 or row["finished_at"] is None:
            return
        connection.execute(
            self._store.dialect.insert_new(t).values(
                job=row["id"],
                attempt=row["attempt"],
                outcome=row["state"],
                worker=row["settled_by"],
                host="",
                pid=0,
                started_at=row["started_at"] or row["finished_at"],
                finished_at=row["finished_at"],
                reason=row["reason"],
                error=row["error"],
            )
        )


def _check_id(text: str) -> None:
    # PostgreSQL refuses to compare a uuid with what is none.
    if not is_id(text):
        raise JobNotFound(text)


def _value(job: NewJob, name: str, now: datetime) -> Any:
    return first_state(job, now) if name == "state" else getattr(job, name)
