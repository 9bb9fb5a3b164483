"""`Sight`: one job as a reader saw it, and the JSON that a visitor gets of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, overload
from urllib.parse import quote

from backburner.attachment import Attachment
from backburner.control import Control
from backburner.job import Job
from backburner.progress import Progress
from backburner.states import JobState
from backburner.title import readable
from backburner.web.access import Visitor
from backburner.web.bodies import FileBody, JobBody, ProgressBody, Verb
from backburner.web.links import Links

_VERBS: tuple[Verb, ...] = ("cancel", "retry", "tell", "dismiss", "delete")


@dataclass(frozen=True, slots=True)
class Sight:
    """A job, its place in line, and its files once it is done."""

    job: Job
    place: int | None = None
    files: tuple[Attachment, ...] = ()

    @property
    def pulse(self) -> tuple[object, ...]:
        """What changes whenever anything changes that a visitor can see, live output included."""
        job, progress = self.job, self.job.progress
        updated = progress.updated_at if progress is not None else None
        return (
            *(job.state, job.attempt, job.cancel_requested, job.run_at, job.finished_at),
            *(job.reason, job.blocked_on, updated, self.place),
        )


def look(control: Control, ids: Sequence[str], places: Mapping[str, int | None] | None = None) -> dict[str, Sight]:
    """What there is to see of these jobs. `places` in line that are known are not counted again."""
    return seen(control, control.glance(ids), places or {})


def seen(control: Control, jobs: Mapping[str, Job], places: Mapping[str, int | None]) -> dict[str, Sight]:
    """Jobs with what else belongs to their sight."""
    files = control.files_of([job.id for job in jobs.values() if job.done])
    return {
        job.id: Sight(
            job,
            places[job.id] if job.id in places else control.place_in_line(job),
            tuple(files.get(job.id, ())),
        )
        for job in jobs.values()
    }


class Wording:
    """Puts jobs into JSON. `root` is the path under which the app is mounted, `token` goes along in links.

    `tells` says that there is somebody who tells people when a job is done.
    """

    def __init__(
        self, visitor: Visitor, root: str, links: Links, token: str | None = None, *, tells: bool = False
    ) -> None:
        self._visitor, self._root, self.links, self._tells = visitor, root, links.of, tells
        self._query = f"?token={quote(token, safe='')}" if token else ""

    def job(self, sight: Sight) -> JobBody:
        """Everything this visitor may know of the job."""
        job = sight.job
        found: JobBody = {
            "id": job.id,
            "title": title_of(job),
            "task": job.task,
            "queue": job.queue,
            "state": job.state,
            "done": job.done,
            "reason": job.reason,
            "blocked_on": job.blocked_on,
            "cancel_requested": job.cancel_requested,
            "place": sight.place,
            "attempt": job.attempt,
            "tries": job.tries,
            "max_attempts": job.max_attempts,
            "identifier": job.identifier,
            "tags": list(job.tags),
            "created_at": moment(job.created_at),
            "run_at": moment(job.run_at),
            "started_at": moment(job.started_at),
            "finished_at": moment(job.finished_at),
            "expires_at": moment(job.expires_at),
            "progress": progress_of(job.progress),
            "links": [link.body for link in self.links(job.progress)],
            "files": [self.file(file) for file in sight.files],
            "actions": [verb for verb in _VERBS if (verb != "tell" or self._tells) and self._visitor.may(verb, job)],
            "href": self.href(f"/jobs/{job.id}"),
        }
        if self._visitor.operator:
            found["owner"], found["priority"] = job.owner, job.priority
            found["error"], found["worker"] = job.error, job.worker
        return found

    def file(self, file: Attachment) -> FileBody:
        """A file and where to get it."""
        return {
            "id": file.id,
            "name": file.name,
            "media_type": file.media_type,
            "size": file.size,
            "href": self.href(f"/files/{file.id}"),
        }

    def href(self, path: str) -> str:
        """A path of ours as the visitor's browser has to ask for it."""
        return f"{self._root}{path}{self._query}"


def title_of(job: Job) -> str:
    """What people call the job: its title, else its task's name made readable."""
    return job.title or readable(job.task)


def progress_of(progress: Progress | None) -> ProgressBody | None:
    """How far it is; None when nothing was reported."""
    if progress is None:
        return None
    return {
        "done": _number(progress.done),
        "total": None if progress.total is None else _number(progress.total),
        "unit": progress.unit,
        "share": progress.share,
        "stage": progress.stage,
        "message": progress.message,
        "failed": progress.failed,
        "began_at": moment(progress.began_at),
        "updated_at": moment(progress.updated_at),
    }


def final_mark(job: Job) -> str:
    """The event id of this end of the job; an end after a retry has another."""
    finished = job.finished_at.timestamp() if job.finished_at is not None else 0.0
    return f"done-{job.attempt}-{finished:.3f}"


def etag_of(body: Mapping[str, Any]) -> str:
    """The mark of exactly this answer."""
    return f'"{hashlib.sha256(json.dumps(body).encode()).hexdigest()[:24]}"'


def retry_after(job: Job, now: datetime) -> int:
    """Seconds after which asking again may bring something new."""
    if job.state is JobState.RUNNING:
        return 1
    if job.state in (JobState.SCHEDULED, JobState.RETRYING):
        return int(min(max((job.run_at - now).total_seconds(), 1), 60))
    return 2


@overload
def moment(value: datetime) -> str: ...


@overload
def moment(value: datetime | None) -> str | None: ...


def moment(value: datetime | None) -> str | None:
    """A time as ISO 8601 in UTC, to the millisecond."""
    return None if value is None else value.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _number(value: float) -> float:
    return int(value) if float(value).is_integer() else value
