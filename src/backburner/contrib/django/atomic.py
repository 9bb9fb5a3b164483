"""`Atomic`: the transaction of Django's that the code which enqueues is in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db import connections

from backburner.job import NewJob
from backburner.watched import Tell, WatchedConnection

if TYPE_CHECKING:
    from backburner.backburner import Backburner


class Atomic:
    """Inside `atomic()` jobs are rows of that transaction: they come with its commit and go with its rollback."""

    def __init__(self, jobs: Backburner, alias: str) -> None:
        self._jobs, self._alias, self._settings = jobs, alias, jobs.settings

    def connection(self) -> WatchedConnection | None:
        """The connection, if it is in a transaction; then what is enqueued goes there."""
        now, own = self._jobs.settings, self._settings
        if (now.url, now.table_prefix) != (own.url, own.table_prefix):
            # A test has put the jobs elsewhere.
            return None
        connection = connections[self._alias]
        if not connection.in_atomic_block and (connection.connection is None or connection.autocommit):
            return None
        if connection.connection is None:
            # `atomic` has connected; whoever closed it in between gets Django's own error, not a lost job.
            connection.ensure_connection()
        # What can be rolled back by itself is a transaction: a bulk around it must not store what was enqueued inside.
        savepoints = tuple(name for name in connection.savepoint_ids if name is not None)
        return WatchedConnection(connection.connection, self._when_ended, savepoints)

    def _when_ended(self, jobs: Sequence[NewJob], tell: Tell) -> bool:
        connection = connections[self._alias]
        if not connection.in_atomic_block:
            # With autocommit switched off nobody learns of the commit.
            return False
        waiting = connection.run_on_commit
        # Of one savepoint, one after the other: told together. What another one holds may be rolled back by itself.
        last = waiting[-1] if waiting else None
        if last is not None and isinstance(last[1], _Told) and last[0] == set(connection.savepoint_ids):
            last[1].add(jobs, tell)
        else:
            connection.on_commit(_Told(jobs, tell), robust=True)
        return True


class _Told:
    """What Django calls behind the commit."""

    def __init__(self, jobs: Sequence[NewJob], tell: Tell) -> None:
        self._told: dict[Any, list[NewJob]] = {tell: list(jobs)}

    def add(self, jobs: Sequence[NewJob], tell: Tell) -> None:
        self._told.setdefault(tell, []).extend(jobs)

    def __call__(self) -> None:
        for tell, jobs in self._told.items():
            tell(jobs)
