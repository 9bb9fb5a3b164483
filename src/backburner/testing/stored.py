"""What was enqueued: finding it, and saying what was there instead."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict

from backburner.errors import InvalidOption
from backburner.job import Job, JobFilter
from backburner.states import JobState
from backburner.task import Task

if TYPE_CHECKING:
    from backburner.backburner import Backburner

_SHOWN = 20
_PAGE = 1000


class Wanted(TypedDict, total=False):
    """What else a job may be asked to have."""

    queue: str
    priority: int
    state: JobState
    run_at: datetime
    title: str | None
    identifier: str | None
    group: str | None
    owner: str | None


def stored_jobs(jobs: Backburner, which: JobFilter | None = None) -> Iterator[Job]:
    """Every job that matches, the newest first, however many."""
    before: str | None = None
    while True:
        given = which or JobFilter()
        page = jobs.control.find(JobFilter(given.states, given.task, given.queue, before=before), _PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        before = page[-1].id


class Search:
    """Jobs of `task` (any, when None) whose arguments have at least these values, and that have what is wanted."""

    def __init__(
        self, jobs: Backburner, task: Task[..., Any] | str | None, args: Mapping[str, Any] | None, wanted: Wanted
    ) -> None:
        self._jobs = jobs
        self._task = task.name if isinstance(task, Task) else task
        self._args, self._wanted = dict(args or {}), dict(wanted)
        for name in self._wanted:
            if name not in Wanted.__annotations__:
                raise InvalidOption(
                    name, self._wanted[name], "is nothing to look for", f"Use {', '.join(Wanted.__annotations__)}"
                )
        known = jobs.registry.get(self._task) if self._task is not None else None
        for name in self._args if known is not None else ():
            assert known is not None
            if name in known.parameters.secrets:
                # So that what is said of it shows no value.
                self._args[name] = known.parameters.guarded_one(name, self._args[name])
            if name not in known.parameters.names:
                raise InvalidOption(
                    "args", name, f"is no parameter of {known.name}", f"Use {', '.join(known.parameters.names) or '{}'}"
                )

    def found(self) -> list[Job]:
        """What matches, in the order in which it was enqueued."""
        return [job for job in self._all() if not self._differences(job)]

    def complaint(self, wished: str, found: list[Job]) -> str:
        """Why a test fails: what was wished, what there is, and how that differs."""
        lines = [f"{wished} of {self._described()}, there {'is' if len(found) == 1 else 'are'} {len(found) or 'none'}."]
        every = self._all()
        if not every:
            return "\n".join([*lines, "Nothing was enqueued at all."])
        # What is nearest to what was looked for is most telling.
        every.sort(key=lambda job: (job.task != self._task, len(self._differences(job))))
        lines.append("Enqueued were:")
        for job in every[:_SHOWN]:
            differences = self._differences(job)
            lines.append(f"  {job.task} {self._arguments(job)}, queue {job.queue}, {job.state}")
            lines.append(f"    {'; '.join(differences)}" if differences else "    matches")
        if len(every) > _SHOWN:
            lines.append(f"  and {len(every) - _SHOWN:,} more")
        return "\n".join(lines)

    def _all(self) -> list[Job]:
        return list(stored_jobs(self._jobs))[::-1]

    def _described(self) -> str:
        parts = [self._task or "any task"]
        if self._args:
            parts.append(f"with {self._args}")
        parts += [f"{name} {value!s}" for name, value in self._wanted.items()]
        return ", ".join(parts)

    def _differences(self, job: Job) -> list[str]:
        task = self._jobs.registry.get(job.task)
        if self._task is not None and job.task != self._task and (task is None or task.name != self._task):
            return ["another task"]
        differences = []
        arguments = self._arguments(job) if self._args else {}
        for name, value in self._args.items():
            if name not in arguments:
                differences.append(f"has no {name}")
            elif arguments[name] != value:
                differences.append(f"{name} is {arguments[name]!r}, not {value!r}")
        for name, value in self._wanted.items():
            is_so = getattr(job, name)
            if is_so != value:
                differences.append(f"{name} is {is_so!s}, not {value!s}")
        return differences

    def _arguments(self, job: Job) -> dict[str, Any]:
        task = self._jobs.registry.get(job.task)
        if task is None:
            return dict(json.loads(job.args))
        args, kwargs = task.load(job)
        return task.parameters.named(tuple(args), kwargs)
