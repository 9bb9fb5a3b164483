"""Stored schedules: what they say, and each of their fire times once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from backburner.errors import DuplicateJob, InvalidOption, ScheduleNotFound
from backburner.job import NewJob
from backburner.schedule import Fire, Schedule, subject_of
from backburner.store.channel import CoreChannel
from backburner.store.parking import parked

if TYPE_CHECKING:
    from backburner.store.store import Store

BATCH = 500
PATIENCE = 0.25
"""Seconds a fire waits for a transaction that wants the key of its job: all chores of a worker wait with it."""
_REPLACED = 20
"""How many definitions that were replaced are remembered for each schedule."""
_DEFINITION = ("task", "args", "options", "kind", "spec", "zone", "missed", "bound", "digest")
_TIMING = ("kind", "spec", "zone")


class Schedules:
    """The door to schedules and their fires.

    A schedule's row is locked while it fires, and the key of `fires` takes each time once, whatever else goes
    wrong. The row of the fire, the job and the next time are one transaction.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._t, self._fires = store.schema.schedules, store.schema.fires

    def all(self) -> list[Schedule]:
        """Every schedule, by name."""
        query = select(self._t).order_by(self._t.c.name)
        return [_schedule(row) for row in self._store.read(lambda c: c.execute(query).all())]

    def get(self, name: str) -> Schedule:
        """One schedule. Raises `ScheduleNotFound`."""
        row = self._store.read(lambda c: c.execute(select(self._t).where(self._t.c.name == name)).first())
        if row is None:
            raise ScheduleNotFound(name)
        return _schedule(row)

    def add(self, schedule: Schedule) -> None:
        """Store a new schedule. Raises `InvalidOption` when its name is taken."""
        statement = insert(self._t).values(**asdict(schedule))
        try:
            self._store.run(lambda c: c.execute(statement))
        except IntegrityError as error:
            problem = "is taken by another schedule"
            raise InvalidOption("name", schedule.name, problem, "Choose another, or remove it") from error

    def redefine(self, schedule: Schedule, before: Schedule) -> bool:
        """Put a definition in the place of `before`; False when somebody else was quicker."""
        now = self._store.clock.now()
        said: dict[str, Any] = {name: getattr(schedule, name) for name in _DEFINITION}
        said |= {"version": before.version + 1, "disabled": False, "seen_at": now}
        said["replaced"] = json.dumps([*_remembered(before, schedule), before.digest][-_REPLACED:])
        if any(getattr(schedule, name) != getattr(before, name) for name in _TIMING):
            said |= {"anchor": schedule.anchor, "next_at": schedule.times.after(now)}
        same = and_(self._t.c.name == before.name, self._t.c.digest == before.digest, self._t.c.source == "code")
        return bool(self._store.run(lambda c: c.execute(update(self._t).where(same).values(**said)).rowcount))

    def seen(self, digests: Sequence[str], every: float) -> None:
        """Note that these definitions are still in somebody's code, unless that was noted `every` seconds ago."""
        now = self._store.clock.now()
        t = self._t.c
        old = or_(t.seen_at.is_(None), t.seen_at <= now - timedelta(seconds=every), t.disabled.is_(True))
        self._mark(and_(t.source == "code", t.digest.in_(digests), old), {"seen_at": now, "disabled": False})

    def disable_unseen(self, seconds: float) -> None:
        """Disable schedules that nobody's code has had for so long."""
        t, before = self._t.c, self._store.clock.now() - timedelta(seconds=seconds)
        self._mark(and_(t.source == "code", t.disabled.is_(False), t.seen_at < before), {"disabled": True})

    def pause(self, name: str, by: str | None, reason: str | None) -> None:
        """Let it fire no more until it is resumed. Raises `ScheduleNotFound`."""
        self._say(name, {"paused_at": self._store.clock.now(), "paused_by": by, "reason": reason})

    def resume(self, name: str) -> None:
        """Go on with the next time from now on. Raises `ScheduleNotFound`."""
        schedule = self.get(name)
        if schedule.paused_at is not None:
            following = schedule.times.after(self._store.clock.now())
            self._say(name, {"paused_at": None, "paused_by": None, "reason": None, "next_at": following})

    def move(self, schedule: Schedule, next_at: datetime | None) -> None:
        """Set another next time, unless it has moved meanwhile."""
        same = and_(self._t.c.name == schedule.name, self._t.c.next_at == schedule.next_at)
        self._store.run(lambda c: c.execute(update(self._t).where(same).values(next_at=next_at)))

    def remove(self, name: str) -> None:
        """Remove it; what it fired stays until it is cleaned away. Raises `ScheduleNotFound`."""
        if not self._store.run(lambda c: c.execute(delete(self._t).where(self._t.c.name == name)).rowcount):
            raise ScheduleNotFound(name)

    def due(self) -> list[str]:
        """The names of schedules that are due, the most overdue first."""
        t = self._t.c
        query = select(t.name).where(self._active(), t.next_at <= self._store.clock.now())
        return list(self._store.read(lambda c: c.execute(query.order_by(t.next_at).limit(BATCH)).scalars()))

    def next_due(self) -> datetime | None:
        """When the next schedule is due; None when there is none."""
        query = select(func.min(self._t.c.next_at)).where(self._active())
        return self._store.read(lambda c: c.execute(query).scalar())

    def fire(self, name: str, new_id: Callable[[], str]) -> list[NewJob]:
        """Enqueue what is due of a schedule, and move it on; nothing when somebody else is at it."""
        t, now = self._t, self._store.clock.now()
        mine = select(t).where(t.c.name == name, self._active(), t.c.next_at <= now).with_for_update(skip_locked=True)

        def work(connection: Connection) -> list[NewJob]:
            row = connection.execute(mine).first()
            if row is None:
                return []
            schedule = _schedule(row)
            times = schedule.due(now)
            jobs = {at: self._made(schedule, new_id(), now, at) for at in self._free(connection, name, times)}
            stood, fresh = self._insert(connection, jobs, groups)
            self._take(connection, name, stood)
            moved: dict[str, Any] = {"next_at": schedule.times.after(now)}
            if times:
                moved["last_at"] = times[-1]
            connection.execute(update(t).where(t.c.name == name).values(**moved))
            return fresh

        groups: set[str] = set()
        made = self._store.run(work)
        if groups:
            self._store.groups.advance(groups)
        return made

    def fire_now(self, name: str, job_id: str) -> tuple[NewJob, str]:
        """Enqueue a job of a schedule, besides its times; its row, and the id of the job that stands for it.

        Raises `ScheduleNotFound`, and `DuplicateJob` where its options say so.
        """
        schedule, now = self.get(name), self._store.clock.now()
        row = self._made(schedule, job_id, now, now)
        made = self._store.inserts.put([row], 1).instead.get(job_id, job_id)

        def work(connection: Connection) -> None:
            at = now
            while not self._free(connection, name, [at]):
                at += timedelta(microseconds=1)
            self._take(connection, name, {at: made})

        self._store.run(work)
        return row, made

    def fires(self, name: str, limit: int) -> list[Fire]:
        """When a schedule fired and which jobs that made, the latest first."""
        t = self._fires.c
        query = select(t.schedule, t.at, t.job).where(t.schedule == name).order_by(t.at.desc()).limit(limit)
        return [Fire(*row) for row in self._store.read(lambda c: c.execute(query).all())]

    def prune(self, before: datetime) -> int:
        """Forget fires from before that time, up to `BATCH`; how many."""
        t = self._fires.c
        old = select(t.schedule, t.at).where(t.at < before).order_by(t.at).limit(BATCH)

        def work(connection: Connection) -> int:
            rows = connection.execute(old).all()
            by_name: dict[str, list[datetime]] = {}
            for row in rows:
                by_name.setdefault(row.schedule, []).append(row.at)
            for name in sorted(by_name):
                connection.execute(delete(self._fires).where(t.schedule == name, t.at.in_(by_name[name])))
            return len(rows)

        found = self._store.read(lambda c: c.execute(old.limit(1)).first())
        return 0 if found is None else self._store.run(work)

    def _made(self, schedule: Schedule, job_id: str, now: datetime, at: datetime) -> NewJob:
        """The job of the fire time `at`. Raises `DecodeError` when its secrets do not open here."""
        job = self._store.vault.moved(schedule.job(job_id, now, at), subject_of(schedule.name))
        return self._store.sealed(job)

    def _active(self) -> ColumnElement[bool]:
        t = self._t.c
        return and_(t.disabled.is_(False), t.paused_at.is_(None), t.next_at.is_not(None))

    def _free(self, connection: Connection, name: str, times: Sequence[datetime]) -> list[datetime]:
        """Those of these times at which it has not fired yet: the clock may have been set back."""
        t = self._fires.c
        taken = set(connection.execute(select(t.at).where(t.schedule == name, t.at.in_(times))).scalars())
        return [at for at in times if at not in taken]

    def _insert(
        self, connection: Connection, jobs: Mapping[datetime, NewJob], groups: set[str]
    ) -> tuple[dict[datetime, str | None], list[NewJob]]:
        """Store jobs as far as their keys allow it: which job stands for each time, and those that are new.

        `groups` are told that they may have to go on, after the commit.
        """
        now, channel = self._store.clock.now(), CoreChannel(connection)
        stood: dict[datetime, str | None] = {at: job.id for at, job in jobs.items()}
        if not any(job.keys for job in jobs.values()):
            if jobs:
                self._store.jobs.insert_on(connection, parked(list(jobs.values()), now))
            return stood, list(jobs.values())
        fresh: list[NewJob] = []
        for at, job in jobs.items():
            try:
                stored = self._store.keys.insert_on(
                    channel, [job], lambda new: self._store.jobs.insert_on(connection, new), PATIENCE
                )
            except DuplicateJob:
                # There is one already, and its options say that this is no run then.
                stood[at] = None
                continue
            stood[at] = stored.instead.get(job.id, job.id)
            fresh += stored.jobs
            groups |= stored.groups
        return stood, fresh

    def _take(self, connection: Connection, name: str, stood: Mapping[datetime, str | None]) -> None:
        if stood:
            rows = [{"schedule": name, "at": at, "job": job} for at, job in stood.items()]
            connection.execute(insert(self._fires), rows)

    def _mark(self, which: ColumnElement[bool], said: dict[str, Any]) -> None:
        """Change these rows, but for those that somebody else has: he does, or the next round will."""
        t = self._t
        free = select(t.c.name).where(which).order_by(t.c.name).with_for_update(skip_locked=True)

        def work(connection: Connection) -> None:
            names = connection.execute(free).scalars().all()
            if names:
                connection.execute(update(t).where(t.c.name.in_(names)).values(**said))

        if self._store.read(lambda c: c.execute(select(t.c.name).where(which).limit(1)).first()) is not None:
            self._store.run(work)

    def _say(self, name: str, said: dict[str, Any]) -> None:
        if not self._store.run(
            lambda c: c.execute(update(self._t).where(self._t.c.name == name).values(**said)).rowcount
        ):
            raise ScheduleNotFound(name)


def older(schedule: Schedule, stored: Schedule) -> bool:
    """Whether a definition is one that the stored one took the place of."""
    return schedule.digest in json.loads(stored.replaced or "[]")


def _remembered(before: Schedule, schedule: Schedule) -> list[str]:
    return [digest for digest in json.loads(before.replaced or "[]") if digest not in (schedule.digest, before.digest)]


def _schedule(row: Row[Any]) -> Schedule:
    return Schedule(**row._mapping)
