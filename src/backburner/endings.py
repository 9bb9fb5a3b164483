"""`Endings`: who is told when a job is done, for those who asked; each call is a job that comes after it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from backburner.control import Control
from backburner.coroutines import finish
from backburner.ending import Ending, Teller
from backburner.enqueue import JobEnqueuer
from backburner.errors import InvalidOption, JobNotFound
from backburner.job import Job, JobFilter
from backburner.outcome import Skip, Wait
from backburner.registry import Registry
from backburner.retry import RetryPolicy
from backburner.states import JobState
from backburner.task import Task, declare
from backburner.title import readable

T = TypeVar("T", bound=Teller)
PREFIX = "backburner.tell."
"""What the names of their tasks begin with."""
AGAIN_SECONDS = 30.0
"""When to look again at a job that a person has put back before its end was told."""


class Endings:
    """Tellers by name."""

    def __init__(self, registry: Registry, enqueuer: JobEnqueuer, control: Control) -> None:
        self._registry, self._enqueuer, self._control = registry, enqueuer, control
        self._tasks: dict[str, Task[[str], str]] = {}

    def __bool__(self) -> bool:
        """Whether there is anybody who tells."""
        return bool(self._tasks)

    def add(self, teller: T, /, name: str | None = None, *, retry: RetryPolicy | None = None) -> T:
        """Have this called with an `Ending` when a job is done, for jobs of which somebody asked for it by `tell`.

        A function, also as a decorator, or a `Webhook` or an `Email`. `name` tells tellers apart; a function has one.
        `retry` says how often it is called when it raises, as for any task. Raises `InvalidOption` and `DuplicateTask`.
        """
        if not callable(teller):
            raise InvalidOption("teller", teller, "cannot be called", "Pass a function, a Webhook or an Email")
        made = name or str(getattr(teller, "__name__", type(teller).__name__.lower()))
        self._tasks[made] = self._task(teller, made, retry or RetryPolicy())
        return teller

    def tell(self, job: Job, by: Iterable[str] | None = None) -> None:
        """Have tellers, all or those named by `by`, told when this job is done, whatever its end: once each.

        A job that a person runs again has another end: that has to be asked for again, and is told once as well.
        Each is called by a job that comes after this one. It is stored where an enqueue at this place would be: in the
        transaction of the block around it. Raises `InvalidOption` where nobody tells.
        """
        if isinstance(by, str):
            raise InvalidOption("by", by, "is one text", f"Pass a list: by=[{by!r}]")
        names = list(self._tasks if by is None else by)
        unknown = [name for name in names if name not in self._tasks]
        if unknown or not names:
            known = ", ".join(self._tasks) or "nobody: name one by jobs.teller(...)"
            raise InvalidOption("by", unknown[0] if unknown else names, "tells nobody", f"Those who tell are {known}")
        title = job.title or readable(job.task)
        for name in names:
            # A call that runs has read which end it tells: what is asked for meanwhile comes after it.
            task = self._tasks[name].options(
                after=[job], after_failed="run", unique="live", on_conflict="debounce", identifier=job.id,
                queue=job.queue, priority=job.priority, title=f"Tell that {title} is done"[:200],
            )  # fmt: skip
            # Nobody's: it stands in no list of a user's own jobs.
            call = task.new_job(self._enqueuer.new_id(), self._control.now(), (job.id,), {}, captures=False)
            self._enqueuer.put(call)

    def _task(self, teller: Teller, name: str, retry: RetryPolicy) -> Task[[str], str]:
        def tell(job: str) -> str:
            ending = self._ending(job)
            which = ending.at.isoformat()
            if which == self._told(name, job):
                raise Skip("This end was told before.")
            finish(teller(ending))
            return which

        made: Task[[str], str] = declare(tell, self._enqueuer, {"name": PREFIX + name, "retry": retry})
        self._registry.add(made, listed=False)
        return made

    def _told(self, name: str, job_id: str) -> str | None:
        """Which end was told last: who asked at the same moment was too late to find that it had been asked for."""
        before = JobFilter(task=PREFIX + name, identifier=job_id, states=frozenset({JobState.SUCCEEDED}))
        return next((call.result() for call in self._control.find(before, 1)), None)

    def _ending(self, job_id: str) -> Ending:
        try:
            job = self._control.get(job_id)
        except JobNotFound as error:
            raise Skip("The job was cleaned away before its end was told.") from error
        if job.finished_at is None:
            # A person has put it back: there is another end to come.
            raise Wait(AGAIN_SECONDS, "The job runs again.")
        title = job.title or readable(job.task)
        return Ending(
            job.id, job.task, title, job.queue, job.owner, str(job.state), job.reason, job.attempt, job.finished_at
        )
