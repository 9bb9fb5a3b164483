"""`Rights`: what somebody may see and do on the operators' pages, by name, and of which jobs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from starlette.requests import Request

from backburner.errors import InvalidOption
from backburner.job import Job
from backburner.web.user import User

TENANT_TAG = "tenant:"
"""A job belongs to the tenant `acme` when it has the tag `tenant:acme`."""


class Permission(StrEnum):
    """What may be permitted; closed is what nobody named."""

    JOBS_VIEW = "jobs.view"
    """See jobs, their progress, output, errors and files, and the lists of queues, schedules, workers and tasks."""
    JOBS_ARGUMENTS = "jobs.arguments"
    """See what a job was called with, what it returned, and its notes."""
    JOBS_RETRY = "jobs.retry"
    """Run a job again."""
    JOBS_CANCEL = "jobs.cancel"
    """Cancel a job."""
    JOBS_DELETE = "jobs.delete"
    """Remove a job for good."""
    JOBS_EDIT = "jobs.edit"
    """Give a job other arguments and run it again."""
    JOBS_RUN = "jobs.run"
    """Start a job of a task."""
    QUEUES_PAUSE = "queues.pause"
    """Pause queues and let them go on."""
    QUEUES_LIMIT = "queues.limit"
    """Say how many jobs of a queue may run at once."""
    SCHEDULES_EDIT = "schedules.edit"
    """Pause schedules, let them go on, and run them now."""
    WORKERS_CONTROL = "workers.control"
    """Quiet, reload and stop workers."""
    SETTINGS_EDIT = "settings.edit"
    """See the settings, and change those that may be changed while everything runs."""
    NOTES_ADD = "notes.add"
    """Say what happened: a mark in the charts."""
    AUDIT_VIEW = "audit.view"
    """See who did what."""


READING = frozenset({Permission.JOBS_VIEW, Permission.JOBS_ARGUMENTS, Permission.AUDIT_VIEW})
"""What changes nothing."""


@dataclass(frozen=True, slots=True)
class Allow:
    """One permission, for everything or only for some jobs. Raises `InvalidOption` for a name that is none.

    `queue` and `task` are names, or, with `*` at the end, what begins so, such as `orders.*`; `tenant` means jobs with
    the tag `tenant:NAME`. What is not given does not matter.
    """

    permission: str
    queue: str | None = None
    task: str | None = None
    tenant: str | None = None

    def __post_init__(self) -> None:
        """Check the names."""
        try:
            object.__setattr__(self, "permission", Permission(self.permission))
        except ValueError as error:
            known = ", ".join(Permission)
            raise InvalidOption("permission", self.permission, "is unknown", f"Use one of {known}") from error
        for name in ("queue", "task", "tenant"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value):
                raise InvalidOption(name, value, "is no text", "Give a name, or one with * at its end")
            if value is not None and "*" in value[:-1]:
                raise InvalidOption(name, value, "has a * before its end", "Put it at the end, as in orders.*")

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it is limited by."""
        return tuple(name for name in ("queue", "task", "tenant") if getattr(self, name) is not None)

    @property
    def confined(self) -> bool:
        """Whether it is for some jobs alone."""
        return bool(self.kinds)

    def covers_queue(self, queue: str) -> bool:
        """Whether jobs of this queue may be among those it is for."""
        return _fits(self.queue, queue)

    def covers(self, queue: str | None = None, task: str | None = None, tags: Iterable[str] = ()) -> bool:
        """Whether it is for what has this queue, task and tags; what has none is outside of every confined one."""
        return (
            _fits(self.queue, queue)
            and _fits(self.task, task)
            and (self.tenant is None or f"{TENANT_TAG}{self.tenant}" in tags)
        )


@dataclass(frozen=True, slots=True)
class Rights:
    """All that somebody is allowed."""

    allowed: tuple[Allow, ...] = ()

    @classmethod
    def of(cls, given: object) -> Rights:
        """From what `resolve_access` returned: names, `Allow`s, or both; None is nothing. Raises `InvalidOption`."""
        if given is None:
            return NONE
        if isinstance(given, Rights):
            return given
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise InvalidOption("access", given, "is no list of permissions", "Return for example ['jobs.view']")
        rights = cls(tuple(one if isinstance(one, Allow) else Allow(one) for one in given))
        kinds = {one.kinds for one in rights.confines(Permission.JOBS_VIEW) or ()}
        views = rights.confines(Permission.JOBS_VIEW) or ()
        if len(kinds) > 1 or (len(views) > 1 and any(len(kind) > 1 for kind in kinds)):
            raise InvalidOption(
                "access", sorted(kinds), "limits jobs.view by several kinds of things at once",
                "Limit it by queues, or by tasks, or by tenants; one Allow may name one of each",
            )  # fmt: skip
        return rights

    def any(self, permission: Permission) -> bool:
        """Whether it is allowed at least for something."""
        return any(one.permission == permission for one in self.allowed)

    def everywhere(self, permission: Permission) -> bool:
        """Whether it is allowed without limits."""
        return any(one.permission == permission and not one.confined for one in self.allowed)

    def covers(self, permission: Permission, job: Job) -> bool:
        """Whether it is allowed for this job."""
        return self.of_names(permission, job.queue, job.task, job.tags)

    def of_names(
        self, permission: Permission, queue: str | None = None, task: str | None = None, tags: Iterable[str] = ()
    ) -> bool:
        """Whether it is allowed for what has this queue, task and tags."""
        return any(one.permission == permission and one.covers(queue, task, tags) for one in self.allowed)

    def confines(self, permission: Permission) -> tuple[Allow, ...] | None:
        """Which jobs it is allowed for; None for all, an empty tuple for none."""
        return None if self.everywhere(permission) else tuple(a for a in self.allowed if a.permission == permission)


NONE = Rights()
ALL = Rights(tuple(Allow(each) for each in Permission))

ResolveAccess = Callable[[Request, User | None], Iterable[str | Allow] | Awaitable[Iterable[str | Allow] | None] | None]
"""The app's own rule: what the user of a request may do on the operators' pages. May be async."""


def _fits(pattern: str | None, name: str | None) -> bool:
    if pattern is None or name is None:
        return pattern is None
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
