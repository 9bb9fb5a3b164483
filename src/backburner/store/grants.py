"""Grants of route jobs, each good for one request; and cookies that such a request needs, encrypted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Exists, and_, delete, exists, insert, or_, select, update

from backburner.job import NewJob
from backburner.states import FINAL, JobState
from backburner.store.channel import Channel

if TYPE_CHECKING:
    from backburner.store.store import Store


class Grants:
    """The door to them. There is one row per job: an attempt's grant takes the place of those before."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._t = store.schema.grants

    def give(self, job_id: str, attempt: int, nonce: str) -> None:
        """Remember the grant of an attempt; nothing happens when a later one has one already."""
        t = self._t
        statement = self._store.dialect.upsert(
            t,
            ["job"],
            # The attempt last: what may change asks for it.
            lambda new: {"nonce": new["nonce"], "used_at": None, "attempt": new["attempt"]},
            lambda new: t.c.attempt <= new["attempt"],
        )
        row = {"job": job_id, "attempt": attempt, "nonce": nonce}
        self._store.run(lambda c: c.execute(statement, row))

    def use(self, job_id: str, attempt: int, nonce: str) -> bool:
        """Use up a grant; False when it was used, when another took its place, or when the attempt is over."""
        t, runs = self._t, self._runs(job_id, attempt)
        statement = (
            update(t)
            .where(t.c.job == job_id, t.c.attempt == attempt, t.c.nonce == nonce, t.c.used_at.is_(None), runs)
            .values(used_at=self._store.clock.now())
        )
        return self._store.run(lambda c: c.execute(statement).rowcount == 1)

    def write(self, channel: Channel, jobs: Sequence[NewJob]) -> None:
        """Write the cookies that these new jobs come with, in the transaction that stores them."""
        rows = [
            {"job": job.id, "attempt": 0, "nonce": "", "cookies": job.cookies.ciphertext, "until": job.cookies.until}
            for job in jobs
            if job.cookies is not None
        ]
        if rows:
            channel.many(insert(self._t).inline(), rows)

    def cookies(self, job_id: str) -> str | None:
        """The cookies of a job; None when they were wiped or are over."""
        t = self._t.c
        query = select(t.cookies).where(t.job == job_id, t.until > self._store.clock.now())
        return self._store.read(lambda c: c.execute(query).scalar())

    def wipe(self, job_id: str, attempt: int | None = None) -> None:
        """Remove what there is of a job; with `attempt` only if that is the one that runs."""
        statement = delete(self._t).where(self._t.c.job == job_id)
        if attempt is not None:
            statement = statement.where(self._runs(job_id, attempt))
        self._store.run(lambda c: c.execute(statement))

    def prune(self, limit: int) -> int:
        """Remove cookies that are over, or of a job that is, with their rows; how many."""
        t, jobs = self._t, self._store.schema.jobs.c
        ended = exists().where(jobs.id == t.c.job, jobs.state.in_(sorted(FINAL)))
        over = or_(t.c.until <= self._store.clock.now(), and_(t.c.until.is_not(None), ended))
        old = select(t.c.job).where(over).limit(limit)

        def work(connection: Connection) -> int:
            ids = connection.execute(old).scalars().all()
            if ids:
                connection.execute(delete(t).where(t.c.job.in_(ids)))
            return len(ids)

        return self._store.run(work)

    def _runs(self, job_id: str, attempt: int) -> Exists:
        jobs = self._store.schema.jobs.c
        return exists().where(jobs.id == job_id, jobs.attempt == attempt, jobs.state == JobState.RUNNING)
