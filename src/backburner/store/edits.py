"""What may be changed of a stored job beside its state."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select, update

from backburner.dismissal import DISMISSED, dismissed, undismissed
from backburner.errors import WrongState
from backburner.ids import is_id
from backburner.job import Job
from backburner.states import JobState
from backburner.store.patience import run_patiently

if TYPE_CHECKING:
    from backburner.store.store import Store


class Edits:
    """The door to it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def arguments(self, job_id: str, args: str, codec: str, mac: str | None) -> bool:
        """Other arguments for a job that is not running, with the row's new signature; False when it runs.

        Raises `JobBusy`.
        """
        t = self._store.schema.jobs
        change = update(t).where(t.c.id == job_id, t.c.state != JobState.RUNNING)
        told = change.values(args=args, codec=codec, mac=mac)
        return run_patiently(self._store, job_id, lambda c: c.execute(told).rowcount == 1)

    def meta(self, job_id: str, change: Callable[[str | None], str]) -> None:
        """Other `meta` for a job in whatever state; nothing happens when it is gone. `change` may be called again."""
        t = self._store.schema.jobs

        def write(connection: Connection) -> None:
            # Locked, so that of two who change different parts neither undoes what the other did.
            row = connection.execute(select(t.c.meta).where(t.c.id == job_id).with_for_update()).first()
            if row is not None:
                connection.execute(update(t).where(t.c.id == job_id).values(meta=change(row.meta)))

        if is_id(job_id):
            self._store.run(write)

    def dismiss(self, job: Job) -> None:
        """Put a finished job away from its owner's list. Raises `WrongState`."""
        if not job.done:
            raise WrongState(job.id, job.state, "dismiss", "a finished job")
        self.meta(job.id, dismissed)

    def undismiss(self, job: Job) -> None:
        """Take it back into the list: it will have another end, which its owner has not seen."""
        if DISMISSED in (job.meta or ""):
            self.meta(job.id, undismissed)

    def meta_of(self, job_id: str) -> str | None:
        """The `meta` of a job; None when it has none, or is gone."""
        if not is_id(job_id):
            return None
        query = select(self._store.schema.jobs.c.meta).where(self._store.schema.jobs.c.id == job_id)
        return self._store.read(lambda c: c.execute(query).scalar())
