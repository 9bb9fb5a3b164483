"""Failures by fingerprint: one row for each job whose latest failure it was, one for each group of the same cause.

Only failures write here: beside the end of the attempt, in its transaction, the row of the job and, the first
time, that of the group. How often a group failed is counted in memory and added every few seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal,
    or_,
    select,
    true,
    update,
)

from backburner.condition import Condition, Exact, Field, Prefix
from backburner.fault import FailureGroup, Fault
from backburner.job import JobFilter
from backburner.outcome import Settlement
from backburner.states import JobState

if TYPE_CHECKING:
    from backburner.store.store import Store

MOST_GROUPS = 1_000
"""As many groups are looked at, the latest first, for the words of an error."""


class Seen(NamedTuple):
    """How often, when last and with which job a group failed since the last time it was written."""

    fault: Fault
    times: int
    at: datetime
    job: str


class Failures:
    """The door to failures and their groups."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._t, self._groups, self._hours = (
            store.schema.failures, store.schema.failure_groups, store.schema.failure_hours,
        )  # fmt: skip

    def note_on(self, connection: Connection, ends: Sequence[Settlement]) -> None:
        """Write which failure each of these jobs has ended an attempt with, in the transaction that says so."""
        failed = sorted((end for end in ends if end.fault is not None), key=lambda end: end.id)
        if not failed:
            return
        now = self._store.clock.now()
        rows = [_row(end, now) for end in failed]
        names = ("fingerprint", "attempt", "final", "at", "task", "queue", "host")
        connection.execute(
            self._store.dialect.upsert(self._t, ["job"], lambda new: {name: new[name] for name in names}), rows
        )
        found = {end.fault.fingerprint: (end.fault, end.id) for end in failed if end.fault is not None}
        first = [_group(*found[key], now) for key in sorted(found)]
        connection.execute(self._store.dialect.insert_new(self._groups), first)

    def count_on(self, connection: Connection, seen: Iterable[Seen]) -> None:
        """Add to groups and their hours what has happened since the last time, in a transaction."""
        # By key and in order: two workers that write at the same time wait, and do not stop one another.
        for one in sorted(seen, key=lambda one: one.fault.fingerprint):
            self._count_on(connection, one)

    def _count_on(self, connection: Connection, one: Seen) -> None:
        g, h, key = self._groups, self._hours, one.fault.fingerprint
        at = literal(one.at, g.c.last_at.type)
        newer = case((g.c.last_at < at, at), else_=g.c.last_at)
        told = {"attempts": g.c.attempts + one.times, "job": one.job, "message": one.fault.message}
        changed = update(g).where(g.c.fingerprint == key).values(last_at=newer, **told)
        if connection.execute(changed).rowcount == 0:
            first = _group(one.fault, one.job, one.at) | {"attempts": one.times}
            connection.execute(self._store.dialect.insert_new(g), [first])
        hour = {"fingerprint": key, "hour": int(one.at.timestamp() // 3600), "attempts": one.times}
        upsert = self._store.dialect.upsert
        added = upsert(h, ["fingerprint", "hour"], lambda new: {"attempts": h.c.attempts + new.attempts})
        connection.execute(added, [hour])

    def groups(self, since: datetime | None = None, limit: int = MOST_GROUPS) -> list[FailureGroup]:
        """Groups that failed since then, the latest first."""
        g = self._groups
        query = select(g).order_by(g.c.last_at.desc()).limit(limit)
        if since is not None:
            query = query.where(g.c.last_at >= since)
        return [FailureGroup(**row) for row in self._store.read(lambda c: c.execute(query).mappings().all())]

    def standing(self, since: datetime, limit: int) -> int:
        """How many groups that failed since then have failed jobs and are not muted, counted up to `limit`."""
        g, t, now = self._groups.c, self._t.c, self._store.clock.now()
        heard = or_(g.muted_at.is_(None), g.muted_until <= now)
        open_ones = select(t.job).where(t.fingerprint == g.fingerprint, t.final == true()).exists()
        rows = select(g.fingerprint).where(g.last_at >= since, heard, open_ones).limit(limit).subquery()
        query = select(func.count()).select_from(rows)
        return int(self._store.read(lambda c: c.execute(query).scalar_one()))

    def group(self, fingerprint: str) -> FailureGroup | None:
        """One group; None when there is none of that fingerprint."""
        query = select(self._groups).where(self._groups.c.fingerprint == fingerprint)
        row = self._store.read(lambda c: c.execute(query).mappings().first())
        return None if row is None else FailureGroup(**row)

    def of_job(self, job_id: str) -> str | None:
        """The fingerprint of the latest failure of a job."""
        query = select(self._t.c.fingerprint).where(self._t.c.job == job_id)
        return self._store.read(lambda c: c.execute(query).scalar())

    def failed(self, fingerprints: Sequence[str], limit: int) -> dict[str, int]:
        """How many jobs are failed with each of these, counted no further than `limit` each."""
        t = self._t.c

        def work(connection: Connection) -> dict[str, int]:
            found = {}
            for key in fingerprints:
                rows = select(t.job).where(t.fingerprint == key, t.final == true()).limit(limit).subquery()
                found[key] = connection.execute(select(func.count()).select_from(rows)).scalar_one()
            return found

        return self._store.read(work)

    def parts(self, fingerprint: str, limit: int) -> tuple[dict[str, int], dict[str, int]]:
        """How many of the latest `limit` jobs that failed so are of each task, and of each host."""
        t = self._t.c
        mine = select(t.task, t.host).where(t.fingerprint == fingerprint, t.final == true())
        rows = mine.order_by(t.job.desc()).limit(limit).subquery().c

        def work(connection: Connection) -> tuple[dict[str, int], dict[str, int]]:
            counted = [
                connection.execute(select(column, func.count()).group_by(column)).all()
                for column in (rows.task, rows.host)
            ]
            tasks, hosts = ({str(name): int(count) for name, count in one} for one in counted)
            return tasks, hosts

        return self._store.read(work)

    def hours(self, fingerprints: Sequence[str], since: datetime) -> dict[str, dict[int, int]]:
        """How many attempts failed so in each hour (counted from 1970) since then."""
        h = self._hours.c
        wanted = and_(h.fingerprint.in_(fingerprints), h.hour >= int(since.timestamp() // 3600))
        found: dict[str, dict[int, int]] = {key: {} for key in fingerprints}
        query = select(h.fingerprint, h.hour, h.attempts).where(wanted)
        for row in self._store.read(lambda c: c.execute(query).all()):
            found[row.fingerprint][row.hour] = row.attempts
        return found

    def mute(self, fingerprint: str, by: str, reason: str | None, until: datetime | None) -> bool:
        """Let a group count in no warning any more; False when there is no such group."""
        told = {"muted_at": self._store.clock.now(), "muted_by": by, "mute_reason": reason, "muted_until": until}
        return self._change(fingerprint, told)

    def unmute(self, fingerprint: str) -> bool:
        """Let a group count in warnings again; False when there is no such group."""
        return self._change(fingerprint, dict.fromkeys(("muted_at", "muted_by", "mute_reason", "muted_until")))

    def forget_on(self, connection: Connection, job_id: str) -> None:
        """A job begins anew: what it failed with before is over."""
        connection.execute(delete(self._t).where(self._t.c.job == job_id))

    def resolved(self, which: JobFilter) -> JobFilter:
        """The same filter with the fingerprints of those groups in the place of words of an error."""
        if not any(condition.field is Field.ERROR for condition in which.conditions):
            return which
        found = tuple(
            self._fingerprints(condition) if condition.field is Field.ERROR else condition
            for condition in which.conditions
        )
        return replace(which, conditions=found)

    def prune(self, before: datetime, limit: int, after: str = "") -> str | None:
        """Forget groups that failed last before then and have no job any more, and hours before then.

        It looks at up to `limit` groups behind the fingerprint `after`, and forgets up to `limit` hours; where to look
        next, None at the end.
        """
        g, h, t, oldest = self._groups.c, self._hours.c, self._t.c, int(before.timestamp() // 3600)
        page = select(g.fingerprint).where(g.fingerprint > after).order_by(g.fingerprint).limit(limit)
        names = self._store.read(lambda c: c.execute(page).scalars().all())
        hours = select(h.fingerprint, h.hour).where(h.fingerprint.in_(names), h.hour < oldest).limit(limit)
        empty = ~select(t.job).where(t.fingerprint == g.fingerprint).exists()
        over = ~select(h.hour).where(h.fingerprint == g.fingerprint).exists()
        old = select(g.fingerprint).where(g.fingerprint.in_(names), g.last_at < before, empty, over)
        forget = delete(self._hours).where(h.fingerprint == bindparam("key"), h.hour == bindparam("at"))

        def work(connection: Connection) -> bool:
            rows = connection.execute(hours).all()
            if rows:
                connection.execute(forget, [{"key": row.fingerprint, "at": row.hour} for row in rows])
            gone = connection.execute(old).scalars().all()
            if gone:
                connection.execute(delete(self._groups).where(g.fingerprint.in_(gone)))
            return len(rows) == limit

        full = bool(names) and self._store.run(work)
        if full:
            return after
        return names[-1] if len(names) == limit else None

    def _change(self, fingerprint: str, told: Mapping[str, Any]) -> bool:
        changed = update(self._groups).where(self._groups.c.fingerprint == fingerprint).values(**told)
        return self._store.run(lambda c: c.execute(changed).rowcount == 1)

    def _fingerprints(self, condition: Condition) -> Condition:
        g = self._groups.c
        wanted: list[ColumnElement[bool]] = []
        for value in condition.values:
            if isinstance(value, Exact | Prefix):
                wanted += [_says(column, value) for column in (g.error_type, g.message)]
        query = select(g.fingerprint).where(or_(*wanted)).order_by(g.last_at.desc()).limit(MOST_GROUPS)
        found = self._store.read(lambda c: c.execute(query).scalars().all())
        return Condition(Field.FINGERPRINT, tuple(Exact(key) for key in sorted(found)), condition.negated)


def _says(column: Any, value: Exact | Prefix) -> ColumnElement[bool]:
    # A text is looked for anywhere: the type of an error is rarely known by its full name.
    look = func.lower(column).contains if isinstance(value, Exact) else func.lower(column).startswith
    return look(value.text.lower(), autoescape=True)


def _row(end: Settlement, now: datetime) -> dict[str, Any]:
    assert end.fault is not None
    final = end.state is JobState.FAILED
    told = {name: getattr(end.fault, name) for name in ("fingerprint", "task", "queue", "host")}
    return {"job": end.id, "attempt": end.attempt, "final": final, "at": now, **told}


def _group(fault: Fault, job: str, now: datetime) -> dict[str, Any]:
    told = {name: getattr(fault, name) for name in ("fingerprint", "error_type", "place", "message", "task")}
    return {**told, "first_at": now, "last_at": now, "job": job}
