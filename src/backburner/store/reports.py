"""Read-only looks at many jobs at once, for those who watch: nothing heavy is read, one query each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal, null, or_, select

from backburner.attachment import Attachment
from backburner.ids import is_id
from backburner.job import Job, JobFilter
from backburner.progress import LogLine, Message
from backburner.store.conditions import in_line, queued_alone, queued_in_group
from backburner.store.job_rows import job_of_row

if TYPE_CHECKING:
    from backburner.store.store import Store

_HEAVY = {"args": literal("{}"), "result": null(), "options": null(), "context": null(), "meta": null()}
"""Columns that may be long, and what stands in their place."""


class Reports:
    """The door for pages, streams and lists."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._glance = _glance_select(store)

    def glance(self, ids: Sequence[str]) -> dict[str, Job]:
        """The jobs of these ids that exist, without arguments, result, options, context and meta."""
        known = [job_id for job_id in ids if is_id(job_id)]
        if not known:
            return {}
        query = self._glance.where(self._store.schema.jobs.c.id.in_(known))
        return {job.id: job for job in map(job_of_row, self._store.read(lambda c: c.execute(query).all()))}

    def page(self, which: JobFilter, limit: int) -> list[Job]:
        """Jobs that match, the newest first, as `glance` reads them."""
        ids = self._store.jobs.ids(which, limit)
        found = self.glance(ids)
        return [found[job_id] for job_id in ids if job_id in found]

    def unfinished_of(self, owner: str, among: int) -> int:
        """How many of the latest `among` jobs of an owner are not finished."""
        t = self._store.schema.jobs.c
        latest = select(t.finished_at).where(t.owner == owner).order_by(t.id.desc()).limit(among).subquery()
        query = select(func.count()).select_from(latest).where(latest.c.finished_at.is_(None))
        return self._store.read(lambda c: c.execute(query).scalar_one())

    def next_since(self, queues: Iterable[str]) -> dict[str, datetime]:
        """For each of these queues that has a job ready: since when the next one to be taken could run."""
        t = self._store.schema.jobs.c
        first = select(t.run_at).order_by(t.priority, t.position).limit(1)

        def look(connection: Connection) -> dict[str, datetime | None]:
            return {
                queue: connection.execute(first.where(queued_alone(t), t.queue == queue)).scalar() for queue in queues
            }

        return {queue: since for queue, since in self._store.read(look).items() if since is not None}

    def line_of_queue(self, queue: str, limit: int) -> list[str]:
        """The ids of the next jobs to be taken of a queue; those of groups are not among them."""
        t = self._store.schema.jobs.c
        query = select(t.id).where(queued_alone(t), t.queue == queue).order_by(t.priority, t.position).limit(limit)
        return list(self._store.read(lambda c: c.execute(query).scalars().all()))

    def line_of_group(self, name: str, limit: int) -> list[str]:
        """The ids of the job that holds a group, if one does, and of the next ones in its line."""
        t = self._store.schema.jobs.c
        waiting = select(t.id).where(in_line(t), t.group_name == name).order_by(t.priority, t.position).limit(limit)
        holder = self._store.groups.holder(name)
        found = [
            job_id for job_id in self._store.read(lambda c: c.execute(waiting).scalars().all()) if job_id != holder
        ]
        return found if holder is None else [holder, *found]

    def queued(self, queues: Iterable[str], limit: int) -> dict[str, int]:
        """How many jobs of each of these queues could be taken, counted no further than `limit`."""
        t = self._store.schema.jobs.c

        def count(connection: Connection, queue: str) -> int:
            found = 0
            for ready in (queued_alone(t), queued_in_group(t)):
                rows = select(t.position).where(ready, t.queue == queue).limit(limit - found).subquery()
                found += connection.execute(select(func.count()).select_from(rows)).scalar_one()
            return found

        return self._store.read(lambda c: {queue: count(c, queue) for queue in queues})

    def latest(self, column: str, among: int) -> list[str]:
        """What the latest `among` jobs have as task, queue, owner, identifier, or among their tags (`tag`)."""
        t = self._store.schema.jobs.c
        wanted = t.tags if column == "tag" else t[column]
        rows = select(t.id, wanted.label("value")).order_by(t.id.desc()).limit(among).subquery().c
        query = select(rows.value).where(rows.value.is_not(None))
        found = self._store.read(lambda c: c.execute(query).scalars().all())
        return [tag for text in found for tag in json.loads(text)] if column == "tag" else list(found)

    def log_after(self, starts: Mapping[str, int], limit: int) -> dict[str, list[LogLine]]:
        """Live output of each of these jobs from its offset on, in order; `limit` pieces in all."""
        if not starts:
            return {}
        t = self._store.schema.log.c
        wanted = or_(*(and_(t.job == job_id, t.start >= start) for job_id, start in starts.items()))
        query = select(t.job, t.start, t.text, t.at).where(wanted).order_by(t.job, t.start, t.attempt).limit(limit)
        found: dict[str, list[LogLine]] = {}
        for row in self._store.read(lambda c: c.execute(query).all()):
            found.setdefault(str(row.job), []).append(LogLine(row.start, row.text, row.at))
        return found

    def log_from(self, job_id: str, offset: int, limit: int) -> list[LogLine]:
        """Live output of a job from the piece on that holds this offset, in order; at most `limit` pieces."""
        if not is_id(job_id):
            return []
        t = self._store.schema.log.c
        holding = select(func.max(t.start)).where(t.job == job_id, t.start <= offset).scalar_subquery()
        first = func.coalesce(holding, 0)
        query = select(t.start, t.text, t.at).where(t.job == job_id, t.start >= first)
        query = query.order_by(t.start, t.attempt).limit(limit)
        rows = self._store.read(lambda c: c.execute(query).all())
        return [LogLine(row.start, row.text, row.at) for row in rows]

    def messages_after(self, numbers: Mapping[str, int]) -> dict[str, list[tuple[int, Message]]]:
        """Messages of each of these jobs behind a number, with their own numbers, the oldest first."""
        if not numbers:
            return {}
        t = self._store.schema.messages.c
        wanted = or_(*(and_(t.job == job_id, t.number > number) for job_id, number in numbers.items()))
        query = select(t.job, t.number, t.level, t.text, t.at, t.ordinal).where(wanted).order_by(t.number)
        found: dict[str, list[tuple[int, Message]]] = {}
        for row in self._store.read(lambda c: c.execute(query).all()):
            found.setdefault(str(row.job), []).append((row.number, Message(row.level, row.text, row.at, row.ordinal)))
        return found

    def files_of(self, ids: Sequence[str]) -> dict[str, list[Attachment]]:
        """The files of these jobs that have not expired, the oldest first."""
        known = [job_id for job_id in ids if is_id(job_id)]
        if not known:
            return {}
        t, now = self._store.schema.files.c, self._store.clock.now()
        alive = or_(t.expires_at.is_(None), t.expires_at > now)
        query = select(self._store.schema.files).where(t.job.in_(known), alive).order_by(t.id)
        found: dict[str, list[Attachment]] = {}
        for row in self._store.read(lambda c: c.execute(query).mappings().all()):
            found.setdefault(str(row["job"]), []).append(Attachment(**row))
        return found

    def file(self, file_id: str) -> Attachment | None:
        """What is known of a file, even one past its life; None when nothing is."""
        if not is_id(file_id):
            return None
        files = self._store.schema.files
        row = self._store.read(lambda c: c.execute(select(files).where(files.c.id == file_id)).mappings().first())
        return None if row is None else Attachment(**row)


def _glance_select(store: Store) -> Select[Any]:
    jobs, progress = store.schema.jobs, store.schema.progress
    current = and_(progress.c.job == jobs.c.id, progress.c.attempt == jobs.c.attempt)
    light = [column for column in jobs.c if column.name not in _HEAVY]
    empty: list[ColumnElement[Any]] = [value.label(name) for name, value in _HEAVY.items()]
    shown = [column.label(f"p_{column.name}") for column in progress.c if column.name != "checkpoint"]
    return select(*light, *empty, *shown).select_from(jobs.outerjoin(progress, current))
