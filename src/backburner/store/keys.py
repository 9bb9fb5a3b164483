"""Keys: names that one job may have at a time. The database decides who, also when the first one rolls back.

Keys are written before their jobs, sorted by name, in the same transaction. Order of locks: keys by name, then
jobs by id; whoever comes from a job leaves out keys that somebody else has locked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from backburner.errors import DuplicateJob, KeyBusy, StoreUnavailable
from backburner.job import Key, NewJob
from backburner.states import WAITING, JobState, allowed
from backburner.store.channel import Channel, CoreChannel, savepoint
from backburner.store.conditions import GROUP
from backburner.store.conflicts import Conflicts, KeyRow, held
from backburner.store.dialects.base import Trouble
from backburner.store.key_rows import PAGE, KeyRows
from backburner.store.patience import WaitedInVain, patiently

if TYPE_CHECKING:
    from backburner.store.store import Store

WAIT = 5.0
"""Seconds an enqueue waits for another transaction that wants the same key."""
_ROUNDS = 5
_ONE_BY_ONE = 4


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of new jobs.

    `jobs` were inserted, to run. `instead` has the id of each new job that is not there as it was handed in, and
    of the job that stands for it. `groups` may have to go on, `queues` may have got something else, and something
    may wait for `parents` that are done.
    """

    jobs: Sequence[NewJob]
    instead: Mapping[str, str] = field(default_factory=dict)
    groups: frozenset[str] = frozenset()
    queues: frozenset[str] = frozenset()
    parents: frozenset[str] = frozenset()


Insert = Callable[[Sequence[NewJob]], None]
InsertOn = Callable[[Connection, Sequence[NewJob]], None]


class Keys:
    """The door to keys."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._t, self._k = store.schema.jobs, store.schema.keys
        self._look = KeyRows(store)

    def put(self, jobs: Sequence[NewJob], insert_all: InsertOn, there: frozenset[str] = frozenset()) -> Stored:
        """Insert jobs as far as their keys allow it, in a transaction of our own; `there` are stored already.

        Raises `DuplicateJob`, `IdempotencyMismatch`, `KeyBusy` and `StoreUnavailable`.
        """
        store = self._store

        def work(connection: Connection) -> Stored:
            channel = CoreChannel(connection)
            with self._patiently(channel, _names(jobs), ours=True):
                return self._write(channel, jobs, lambda new: insert_all(connection, new), there, ours=True)

        try:
            return store.run(work, patience=WAIT)
        except StoreUnavailable as error:
            cause = error.__cause__
            if not store.dialect.single_writer or cause is None or store.dialect.trouble(cause) is not Trouble.BUSY:
                raise
            raise KeyBusy(_names(jobs), WAIT) from error

    def held(self, names: Sequence[str]) -> bool:
        """Whether some job has one of these keys now."""

        def look(connection: Connection) -> bool:
            channel = CoreChannel(connection)
            rows = self._look.rows(channel, names, ours=True)
            return len(self._free(channel, rows)) < len(rows)

        return self._store.read(look)

    def held_on(self, connection: Connection, names: Sequence[str]) -> set[str]:
        """Those of these keys that somebody has locked at this moment; the others are locked."""
        wanted = select(self._k.c.name).where(self._k.c.name.in_(names)).order_by(self._k.c.name)
        there = connection.execute(wanted).scalars().all()
        return set(there).difference(connection.execute(wanted.with_for_update(skip_locked=True)).scalars())

    def insert_on(
        self, channel: Channel, jobs: Sequence[NewJob], insert_all: Insert, wait: float | None = None
    ) -> Stored:
        """`put` in the caller's transaction, which goes on whatever becomes of it; `insert_all` inserts.

        It waits `wait` seconds for others who want the same keys, `WAIT` unless said.
        """
        dialect = self._store.dialect
        if not any(job.keys or job.more for job in jobs):
            insert_all(jobs)
            return Stored(jobs)
        with savepoint(channel, single_writer=dialect.single_writer, probed=dialect.name == "mysql"):
            if not any(job.keys for job in jobs):
                insert_all(jobs)
                return Stored(jobs)
            with self._patiently(channel, _names(jobs), ours=False, wait=wait):
                return self._write(channel, jobs, insert_all, frozenset(), ours=False)

    def retake(self, connection: Connection, job_id: str) -> None:
        """Give a job that is to run again its key again. Raises `DuplicateJob` and `KeyBusy`."""
        t = self._t.c
        found = connection.execute(select(t.unique_key, t.state).where(t.id == job_id)).first()
        if found is None or found.unique_key is None or not allowed("retry", JobState(found.state)):
            return
        channel = CoreChannel(connection)
        with self._patiently(channel, (found.unique_key,), ours=True):
            self._retake(channel, job_id, found.unique_key)

    def _retake(self, channel: Channel, job_id: str, name: str) -> None:
        # How long it was to be unique is said by the row; without one, while it lives.
        mine = {"job": job_id, "scope": "live", "until": None, "digest": None}
        row = None
        for _ in range(_ROUNDS):
            channel.change(self._store.dialect.insert_new(self._k).values(name=name, **mine))
            row = self._look.rows(channel, [name], lock=True).get(name)
            if row is not None:
                break
        else:
            # Each time it was cleaned away between the two.
            raise KeyBusy((name,), WAIT)
        if row.job == job_id:
            return
        if held(row, self._look.states(channel, [row.job]).get(row.job)):
            raise DuplicateJob(name, row.job)
        renewed = {"job": job_id, "digest": None} if row.scope != "until" else mine
        channel.change(update(self._k).where(self._k.c.name == name).values(**renewed))

    def forget(self, connection: Connection, ids: Sequence[str], *, periods: bool) -> None:
        """Remove the keys of jobs that are deleted; those with a time only with `periods`."""
        k = self._k.c
        query = select(k.name).where(k.job.in_(ids)).with_for_update(skip_locked=True)
        if not periods:
            query = query.where(k.scope != "until")
        names = connection.execute(query).scalars().all()
        if names:
            connection.execute(delete(self._k).where(k.name.in_(names)))

    def prune(self, after: str, limit: int) -> tuple[int, str]:
        """Remove free keys among `limit` from the name `after` on; how many, and where to look next."""
        k = self._k.c

        def work(connection: Connection) -> int:
            channel = CoreChannel(connection)
            free = self._free(channel, self._look.rows(channel, names, lock=True, skip_locked=True))
            if free:
                connection.execute(delete(self._k).where(k.name.in_(free)))
            return len(free)

        page = select(k.name).where(k.name > after).order_by(k.name).limit(limit)
        names = list(self._store.read(lambda c: c.execute(page).scalars().all()))
        if not names:
            return 0, ""

        def look(connection: Connection) -> set[str]:
            channel = CoreChannel(connection)
            return self._free(channel, self._look.rows(channel, names, ours=True))

        free = self._store.read(look)
        return (self._store.run(work) if free else 0), names[-1] if len(names) == limit else ""

    # One transaction

    def _write(
        self, channel: Channel, jobs: Sequence[NewJob], insert_all: Insert, there: frozenset[str], *, ours: bool
    ) -> Stored:
        fresh = [job for job in jobs if job.id not in there]
        rows = self._claim(channel, fresh)
        decided = self._decide(channel, fresh, rows, ours)
        self._settle_keys(channel, decided, rows)
        groups, queues = self._change_winners(channel, decided)
        ended = decided.skipped.keys() | decided.cancelled.keys()
        stored = [decided.stored[job.id] for job in fresh if job.id in decided.stored]
        waiting = [job for job in stored if job.id not in ended]
        # Apart, for what will not run must not be taken for the head of its group; first, for others may name it.
        for some in ([job for job in stored if job.id in ended], waiting):
            if some:
                insert_all(some)
        self._end(channel, decided)
        self._come_after(channel, decided)
        parents = frozenset(parent for parents in decided.behind.values() for parent in parents)
        parents |= decided.cancelled.keys() - decided.mine
        # What is not as it was handed in stands for itself: whoever wants to know looks at its row.
        itself = {job_id: job_id for job_id in decided.skipped.keys() | decided.behind.keys()}
        return Stored(waiting, itself | decided.instead, groups, queues, parents)

    def _claim(self, channel: Channel, jobs: Sequence[NewJob]) -> dict[str, KeyRow]:
        """Write the keys that are not there, and read them all; those that may change hands are locked."""
        wanted: dict[str, tuple[str, Key]] = {}
        for job in jobs:
            for key in job.keys:
                wanted.setdefault(key.name, (job.id, key))
        changing = {key.name for job in jobs for key in job.keys if key.on_conflict in ("replace", "debounce")}
        found: dict[str, KeyRow] = {}
        for _ in range(_ROUNDS):
            missing = sorted(wanted.keys() - found.keys())
            if not missing:
                return found
            if self._insert_keys(channel, [_row(name, *wanted[name]) for name in missing]):
                return found | {name: _ours(*wanted[name]) for name in missing}
            rows = self._look.rows(channel, missing)
            changed = sorted((changing & rows.keys()) | self._free(channel, rows, {job.id for job in jobs}))
            # What is not locked is another's, whatever becomes of him from here on: only under its lock is a key taken.
            taken = {name: row._replace(seen=True) for name, row in rows.items() if name not in changed}
            found |= taken | self._look.rows(channel, changed, lock=True)
        raise KeyBusy(tuple(sorted(wanted.keys() - found.keys())), WAIT)

    def _insert_keys(self, channel: Channel, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Insert keys that are not there, waiting for those who do the same; True when it is certain that all were."""
        statement = self._store.dialect.insert_new(self._k)
        if len(rows) > _ONE_BY_ONE:
            channel.many(statement, rows)
            return False
        return sum(channel.change(statement.values(**row)) for row in rows) == len(rows)

    def _decide(self, channel: Channel, jobs: Sequence[NewJob], rows: Mapping[str, KeyRow], ours: bool) -> Conflicts:
        mine = frozenset(job.id for job in jobs)
        known = self._look.known(channel, sorted({row.job for row in rows.values()} - mine))
        eager = {
            rows[key.name].job for job in jobs for key in job.keys if key.on_conflict in ("replace", "debounce")
        } & {job_id for job_id, job in known.items() if job.state in WAITING}
        # Not what somebody has in hand: he may be taking it, and then a transaction of the caller's, which may be
        # long, would keep it from ending. It counts as running.
        locked = self._look.lock(channel, sorted(eager), skip_locked=not ours)
        if eager:
            known |= self._look.known(channel, sorted(eager - set(locked)))
            known |= self._look.known_locked(channel, sorted(locked))
            known |= self._look.with_parents(channel, {job_id: known[job_id] for job_id in locked})
        decided = Conflicts(rows, known, frozenset(locked), mine)
        for job in jobs:
            decided.add(job)
        return decided

    def _settle_keys(self, channel: Channel, decided: Conflicts, rows: Mapping[str, KeyRow]) -> None:
        """Let each key be whose it is now: most are already."""
        k = self._k.c
        unused = [name for name, row in rows.items() if row.job in decided.mine and name not in decided.owners]
        for start in range(0, len(unused), PAGE):
            channel.change(delete(self._k).where(k.name.in_(unused[start : start + PAGE])))
        changed = [
            {f"new_{column}": value for column, value in _row(name, job_id, key).items()}
            for name, (job_id, key) in sorted(decided.owners.items())
            if rows[name].job != job_id
        ]
        if changed:
            new: dict[str, Any] = {column: bindparam(f"new_{column}") for column in ("job", "scope", "until", "digest")}
            channel.many(update(self._k).where(k.name == bindparam("new_name")).values(**new), changed)

    def _change_winners(self, channel: Channel, decided: Conflicts) -> tuple[frozenset[str], frozenset[str]]:
        """Give winners their new time; the groups that may have to go on, the queues that got something."""
        groups = {decided.known[job_id].group for job_id in decided.cancelled if job_id in decided.known}
        queues: set[str] = set()
        for job_id in sorted(decided.moved):
            winner, new = decided.known[job_id], decided.moved[job_id]
            due = new.run_at <= max(self._store.clock.now(), new.created_at)
            values: dict[str, Any] = {"run_at": new.run_at, "expires_at": new.expires_at}
            in_line = winner.state is JobState.QUEUED or winner.blocked_on == GROUP
            if due and winner.state is JobState.SCHEDULED:
                values |= {"state": JobState.QUEUED, "reason": None}
                queues.add(winner.queue)
            elif not due and in_line:
                values |= {"state": JobState.SCHEDULED, "blocked_on": None}
                groups.add(winner.group)
            channel.change(update(self._t).where(self._t.c.id == job_id).values(**values))
        return frozenset(group for group in groups if group is not None), frozenset(queues)

    def _end(self, channel: Channel, decided: Conflicts) -> None:
        """End what was replaced or is not needed."""
        ended = {job_id: (JobState.CANCELLED, reason) for job_id, reason in decided.cancelled.items()}
        ended |= {job_id: (JobState.SKIPPED, reason) for job_id, reason in decided.skipped.items()}
        if not ended:
            return
        end = (
            update(self._t)
            .where(self._t.c.id == bindparam("end_id"))
            .values(
                state=bindparam("end_state"), reason=bindparam("end_reason"), finished_at=bindparam("end_at"),
                blocked_on=None, slot=None,
            )
        )  # fmt: skip
        now = self._store.clock.now()
        rows = [
            {"end_id": job_id, "end_state": str(state), "end_reason": reason, "end_at": now}
            for job_id, (state, reason) in sorted(ended.items())
        ]
        channel.many(end, rows)

    def _come_after(self, channel: Channel, decided: Conflicts) -> None:
        d = self._store.schema.dependencies
        rows = [
            {"child": child, "parent": parent, "milestone": "", "policy": "run"}
            for child, parents in sorted(decided.behind.items())
            for parent in parents
            if all(known.job != parent for known in decided.stored[child].parents)
        ]
        if rows:
            channel.many(insert(d).inline(), rows)
            self._store.dependencies.expect()

    def _free(self, channel: Channel, rows: Mapping[str, KeyRow], ours: Collection[str] = ()) -> set[str]:
        """The names of these keys that anybody may take; `ours` are jobs about to be stored."""
        others = {name: row for name, row in rows.items() if row.job not in ours}
        states = self._look.states(channel, sorted({row.job for row in others.values()}))
        return {name for name, row in others.items() if not held(row, states.get(row.job))}

    @contextmanager
    def _patiently(
        self, channel: Channel, names: tuple[str, ...], *, ours: bool, wait: float | None = None
    ) -> Iterator[None]:
        """Wait for others, but not for ever. Raises `KeyBusy`."""
        seconds = WAIT if wait is None else wait
        try:
            with patiently(self._store.dialect, channel, seconds, ours=ours):
                yield
        except WaitedInVain as error:
            raise KeyBusy(names, seconds) from error


def _row(name: str, job_id: str, key: Key) -> dict[str, Any]:
    return {"name": name, "job": job_id, "scope": key.scope, "until": key.until, "digest": key.digest}


def _ours(job_id: str, key: Key) -> KeyRow:
    return KeyRow(job_id, key.scope, over=False, digest=key.digest)


def _names(jobs: Sequence[NewJob]) -> tuple[str, ...]:
    return tuple(sorted({key.name for job in jobs for key in job.keys}))
