"""Storing new jobs for sure: a lost answer neither loses a job nor doubles it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from backburner.errors import StoreUnavailable
from backburner.job import NewJob
from backburner.store.channel import CoreChannel
from backburner.store.dialects.base import DriverConnection, Trouble
from backburner.store.keys import InsertOn, Stored
from backburner.store.parking import parked

if TYPE_CHECKING:
    from backburner.store.store import Store


class Inserts:
    """The door for new jobs in transactions of our own."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, jobs: Sequence[NewJob], size: int) -> Stored:
        """Insert jobs, up to `size` per statement, all of them or none. Raises `StoreUnavailable`.

        What has keys is inserted as far as they allow it. Raises `DuplicateJob`, `IdempotencyMismatch` and
        `KeyBusy`. A connection may have died while it was idle, or with the answer under way: then it is done
        again on a new one, once. The ids, made by us, tell what was stored already.
        """
        if any(job.keys for job in jobs):
            return self._put_keyed(jobs, size)
        jobs = parked(jobs, self._store.clock.now())
        try:
            self._insert(jobs, size)
        except StoreUnavailable as error:
            self._raise_unless_lost(error)
            self._insert_again(jobs, size)
        return Stored(jobs)

    def _put_keyed(self, jobs: Sequence[NewJob], size: int) -> Stored:
        def insert_all(connection: Connection, new: Sequence[NewJob]) -> None:
            self._insert_related(connection, parked(new, self._store.clock.now()), size)

        try:
            stored = self._store.keys.put(jobs, insert_all)
        except StoreUnavailable as error:
            self._raise_unless_lost(error)
            stored = self._put_keyed_again(jobs, insert_all)
        queues = self._store.groups.advance(stored.groups)
        return replace(stored, queues=stored.queues | queues)

    def _put_keyed_again(self, jobs: Sequence[NewJob], insert_all: InsertOn) -> Stored:
        # What was stored by us before has its keys: it does not conflict with itself.
        there = self._stored_ids(jobs)
        try:
            return self._store.keys.put(jobs, insert_all, there)
        except StoreUnavailable:
            raise
        except Exception:
            # The first commit may have arrived after we looked.
            if self._stored_ids(jobs) == there:
                raise
        return self._store.keys.put(jobs, insert_all, self._stored_ids(jobs))

    def _stored_ids(self, jobs: Sequence[NewJob]) -> frozenset[str]:
        return frozenset(self._store.jobs.states([job.id for job in jobs]))

    def _raise_unless_lost(self, error: StoreUnavailable) -> None:
        cause = error.__cause__
        if cause is None or self._store.dialect.trouble(cause) is not Trouble.LOST:
            raise error

    def _insert_again(self, jobs: Sequence[NewJob], size: int) -> None:
        if self._stored(jobs):
            return
        try:
            self._insert(jobs, size)
        except StoreUnavailable:
            raise
        except Exception:
            # The first commit may have arrived after we looked.
            if not self._stored(jobs):
                raise

    def _insert(self, jobs: Sequence[NewJob], size: int) -> None:
        if any(job.more for job in jobs):
            self._store.run(lambda connection: self._insert_related(connection, jobs, size))
            return
        if len(jobs) <= size:
            self._store.jobs.insert(jobs)
            return
        store = self._store

        def work(connection: DriverConnection) -> None:
            now = store.clock.now()
            for start in range(0, len(jobs), size):
                store.dialect.insert(connection, jobs[start : start + size], now)

        with store.borrowed_lane() as lane:
            lane.run(work)

    def _insert_related(self, connection: Connection, jobs: Sequence[NewJob], size: int) -> None:
        """The jobs, what they come after and what they come with, in one transaction."""
        store, now = self._store, self._store.clock.now()
        driver = connection.connection.driver_connection
        store.dependencies.check_on(connection, jobs)
        for start in range(0, len(jobs), size):
            store.dialect.insert(driver, jobs[start : start + size], now)
        store.dependencies.write_on(connection, jobs)
        store.jobs.write_more(CoreChannel(connection), jobs)

    def _stored(self, jobs: Sequence[NewJob]) -> bool:
        # All or none: the last one speaks for all.
        return bool(self._store.jobs.states([jobs[-1].id]))
