"""Which files belong to which job; the bytes are in the file store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, or_, select

from backburner.attachment import Attachment
from backburner.job import NewJob
from backburner.store.channel import Channel

if TYPE_CHECKING:
    from backburner.store.store import Store


class Attachments:
    """The door to files of jobs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._t = store.schema.files

    def add(self, attachment: Attachment, on: Connection | None = None) -> None:
        """Remember a file whose bytes are stored already; `on` a connection in its transaction, if given."""
        if on is not None:
            on.execute(insert(self._t), asdict(attachment))
        else:
            self._store.run(lambda c: c.execute(insert(self._t), asdict(attachment)))

    def write(self, channel: Channel, jobs: Sequence[NewJob]) -> None:
        """Write the files that these new jobs come with, in the transaction that stores them."""
        rows = [asdict(file) for job in jobs for file in job.files]
        if rows:
            channel.many(insert(self._t).inline(), rows)

    def get(self, file_id: str) -> Attachment | None:
        """A file that has not expired."""
        t, now = self._t, self._store.clock.now()
        query = select(t).where(t.c.id == file_id, or_(t.c.expires_at.is_(None), t.c.expires_at > now))
        row = self._store.read(lambda c: c.execute(query).mappings().first())
        return None if row is None else Attachment(**row)

    def of_job(self, job_id: str) -> list[Attachment]:
        """The files of a job that have not expired, the oldest first."""
        t, now = self._t, self._store.clock.now()
        query = select(t).where(t.c.job == job_id, or_(t.c.expires_at.is_(None), t.c.expires_at > now)).order_by(t.c.id)
        return [Attachment(**row) for row in self._store.read(lambda c: c.execute(query).mappings().all())]
