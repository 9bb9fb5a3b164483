"""What a person may change of a stored job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import update

from backburner.states import JobState

if TYPE_CHECKING:
    from backburner.store.store import Store


class Edits:
    """The door to it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def arguments(self, job_id: str, args: str, codec: str, mac: str | None) -> bool:
        """Other arguments for a job that is not running, with the row's new signature; False when it runs."""
        t = self._store.schema.jobs
        change = update(t).where(t.c.id == job_id, t.c.state != JobState.RUNNING)
        return self._store.run(lambda c: c.execute(change.values(args=args, codec=codec, mac=mac)).rowcount == 1)
