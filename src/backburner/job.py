"""`Job`, one stored call: the value that enqueue returns and lists are made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from backburner.attachment import Attachment
from backburner.captured import read as read_context
from backburner.condition import Condition
from backburner.destination import Destinations
from backburner.progress import Progress
from backburner.states import JobState


class JobControl(Protocol):
    """What a `Job` asks of the Backburner it came from."""

    def get(self, job_id: str) -> Job: ...
    def wait(self, job: Job, seconds: float) -> bool: ...
    async def await_done(self, job: Job, seconds: float) -> bool: ...
    def lead(self, job_id: str, destinations: Destinations) -> None: ...
    def result_of(self, job: Job) -> Any: ...
    def cancel(self, job_id: str) -> Job: ...
    def retry(self, job_id: str) -> Job: ...
    def delete(self, job_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Job:
    """One stored call, as it was when it was read. Times are aware and in UTC.

    `attempt` counts claims and is never reset; `tries` counts failures of the task itself, `crashes` deaths
    of the process proven to be its doing, `losses` deaths around it. Its `repr` has no values of the app: services
    that collect errors keep what they find in variables.
    """

    id: str
    task: str
    state: JobState
    queue: str
    priority: int
    created_at: datetime
    run_at: datetime
    args: str = field(default="{}", repr=False)
    codec: str = "json"
    position: int = 0
    attempt: int = 0
    tries: int = 0
    crashes: int = 0
    losses: int = 0
    max_attempts: int | None = None
    title: str | None = None
    identifier: str | None = None
    owner: str | None = None
    visibility: str = "owner"
    tags: tuple[str, ...] = ()
    meta: str | None = field(default=None, repr=False)
    context: str | None = field(default=None, repr=False)
    options: str | None = None
    repeatable: bool = True
    expires_at: datetime | None = None
    group: str | None = None
    group_policy: str | None = None
    threshold: int | None = None
    unique_key: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    worker: str | None = None
    result_text: str | None = field(default=None, repr=False)
    reason: str | None = None
    error: str | None = None
    blocked_on: str | None = None
    cancel_requested: bool = False
    progress: Progress | None = None
    uncommitted: bool = False
    control: JobControl | None = field(default=None, repr=False, compare=False)

    @property
    def done(self) -> bool:
        """True when the job has reached a final state."""
        return self.state.final

    @property
    def name(self) -> str:
        """What people call it: the title, else the task's name."""
        return self.title or self.task

    @property
    def captured(self) -> dict[str, Any]:
        """The values that were captured when it was enqueued, by name. Raises `DecodeError`."""
        return read_context(self.context)

    def refresh(self) -> Job:
        """The job as it is now. Raises `JobNotFound` when it was cleaned away."""
        return self._control().get(self.id)

    def wait(self, seconds: float) -> bool:
        """True as soon as the job is done, False after `seconds` at most.

        Raises `WaitInsideTransaction` when the job's enqueue has not been committed yet.
        """
        return self._control().wait(self, seconds)

    def result(self) -> Any:
        """What the task returned; raises `NotFinished` or `JobFailed` when there is nothing."""
        return self._control().result_of(self)

    def cancel(self) -> Job:
        """Cancel it: at once while it waits, by request while it runs."""
        return self._control().cancel(self.id)

    def retry(self) -> Job:
        """Run a finished job again under the same id."""
        return self._control().retry(self.id)

    def delete(self) -> None:
        """Remove a job that is not running, with all that is kept of it."""
        self._control().delete(self.id)

    def _control(self) -> JobControl:
        if self.control is None:
            raise RuntimeError("this Job value was made without a Backburner behind it; use jobs.get(id)")
        return self.control


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are meant; what is None does not matter. `before` is an id: older jobs than that one.

    `conditions` are asked for beside all else: they say what a single value cannot. `undismissed` leaves
    out finished jobs that their owner has put away.
    """

    states: frozenset[JobState] | None = None
    task: str | None = None
    queue: str | None = None
    tag: str | None = None
    identifier: str | None = None
    owner: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    before: str | None = None
    conditions: tuple[Condition, ...] = ()
    visibilities: frozenset[str] | None = None
    undismissed: bool = False


def ready_counts(jobs: Iterable[NewJob]) -> dict[str, dict[int, int]]:
    """How many of these jobs there are by queue and priority: what a bell is told."""
    counts: dict[str, dict[int, int]] = {}
    for job in jobs:
        of_queue = counts.setdefault(job.queue, {})
        of_queue[job.priority] = of_queue.get(job.priority, 0) + 1
    return counts


class ClaimedJob(NamedTuple):
    """What a worker gets when it claims a job: all it needs to run it, nothing else."""

    id: str
    position: int
    attempt: int
    task: str
    args: str
    codec: str
    queue: str
    priority: int
    tries: int
    crashes: int
    losses: int
    max_attempts: int | None
    repeatable: bool
    options: str | None
    context: str | None
    title: str | None
    expires_at: datetime | None
    group_name: str | None = None
    group_policy: str | None = None
    threshold: int | None = None
    owner: str | None = None
    mac: str | None = None
    waited: int = 0
    """Milliseconds from when it could run to when it was taken."""

    def __repr__(self) -> str:
        """Without arguments, which may be secret."""
        return f"<ClaimedJob {self.id}, attempt {self.attempt}, of {self.task}>"


@dataclass(frozen=True, slots=True)
class Key:
    """A name that at most one job may have at a time, and what happens to the second one.

    `scope` is live, kept, or until (then `until` says when it ends). `digest` tells requests apart that must
    be the same under one name. `on_conflict` is existing, replace, reject, skip or debounce.
    """

    name: str
    scope: str
    on_conflict: str
    until: datetime | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Parent:
    """What a job waits for: the end of another, or a milestone of it. `policy` is cancel or run."""

    job: str
    milestone: str = ""
    policy: str = "cancel"

    def __str__(self) -> str:
        return f"milestone {self.milestone!r} of job {self.job}" if self.milestone else f"job {self.job}"


class Dependency(NamedTuple):
    """What a job waits for, or has waited for, with the other one as it is now; that is None when it is gone."""

    parent: Parent
    met: bool
    state: JobState | None
    name: str | None


class SealedCookies(NamedTuple):
    """Cookies that a job may use until then, encrypted."""

    ciphertext: str
    until: datetime


class NewJob(NamedTuple):
    """A job about to be inserted; the store adds state and position.

    `keys`, `parents`, `files` and `cookies` have tables of their own, and come and go with it.
    """

    id: str
    task: str
    args: str
    codec: str
    queue: str
    priority: int
    created_at: datetime
    run_at: datetime
    title: str | None = None
    identifier: str | None = None
    owner: str | None = None
    visibility: str = "owner"
    tags: str | None = None
    meta: str | None = None
    context: str | None = None
    options: str | None = None
    max_attempts: int | None = None
    repeatable: bool = True
    expires_at: datetime | None = None
    group_name: str | None = None
    group_policy: str | None = None
    threshold: int | None = None
    unique_key: str | None = None
    blocked_on: str | None = None
    parents_left: int = 0
    mac: str | None = None
    keys: tuple[Key, ...] = ()
    parents: tuple[Parent, ...] = ()
    files: tuple[Attachment, ...] = ()
    cookies: SealedCookies | None = None

    @property
    def more(self) -> bool:
        """Whether something is written beside the row, behind it."""
        return bool(self.parents or self.files or self.cookies)

    def __repr__(self) -> str:
        """Without arguments, which may be secret."""
        return f"<NewJob {self.id} of {self.task}>"
