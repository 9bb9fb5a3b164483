"""`Intake`: calls that come from outside, for the tasks that are declared with `api=True`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backburner.codec import Fault, pointer, review
from backburner.database import Database
from backburner.enqueue import JobEnqueuer
from backburner.errors import (
    BackburnerError,
    DecodeError,
    InvalidArgument,
    InvalidOption,
    NotSerializable,
    UnknownTask,
    shown,
)
from backburner.job import Job, NewJob
from backburner.registry import Registry
from backburner.relations import principals
from backburner.task import Task

COUNTED = 10_000
"""The quota looks at so many of the latest jobs of an owner: its cost has a bound, however many there are."""


class InvalidCall(BackburnerError, ValueError):
    """A call that came from outside does not fit its task; `faults` says all that is wrong, each with its place."""

    def __init__(self, task: str, faults: tuple[Fault, ...]) -> None:
        self.task, self.faults = task, faults
        first, *others = faults
        more = f" (and {len(others)} more)" if others else ""
        super().__init__(
            f"call of task {task!r}: {first.pointer} {first.problem}{more}. Correct what the pointers name"
        )


class TooManyJobs(BackburnerError):
    """An owner has as many unfinished jobs as the setting `max_per_owner` allows; nothing was stored."""

    def __init__(self, owner: str, most: int) -> None:
        self.owner, self.most = owner, most
        super().__init__(
            f"{shown(owner)} has {most:,} unfinished jobs, max_per_owner allows no more. Nothing was stored. "
            "Wait until some have ended, or cancel some"
        )


@dataclass(frozen=True, slots=True)
class Call:
    """One call from outside. `arguments` are JSON values by parameter name, `options` some of `task.options`.

    `principal` is who asks: the owner of the job, and of the keys that it takes.
    """

    task: str
    principal: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a call: its job, and whether it is a new one or an equal one that was there."""

    job: Job
    new: bool


class Intake:
    """Checks calls and enqueues them. Nothing is stored unless all of a call is good."""

    def __init__(self, database: Database, registry: Registry, enqueuer: JobEnqueuer) -> None:
        self._database, self._registry, self._enqueuer = database, registry, enqueuer

    def tasks(self) -> Iterable[Task[..., Any]]:
        """The tasks that are open to the outside, by name."""
        return (task for task in self._registry if task.api)

    def task(self, name: str) -> Task[..., Any]:
        """One of them, by its name or an alias. Raises `UnknownTask`, also for tasks that are not open."""
        found = self._registry.get(name)
        if found is None or not found.api:
            raise UnknownTask(name, tuple(task.name for task in self.tasks()))
        return found

    def take(self, call: Call) -> Taken:
        """Enqueue a call, or find the job that stands for it.

        Raises `UnknownTask`, `InvalidCall`, `TooLarge`, `TooManyJobs`, and what the keys of a job may raise:
        `DuplicateJob`, `IdempotencyMismatch`, `KeyBusy`.
        """
        task = self.task(call.task)
        faults = review(task.parameters, call.arguments)
        if faults:
            raise InvalidCall(task.name, tuple(Fault(f"/arguments{each.pointer}", each.problem) for each in faults))
        with self._enqueuer.watched(task) as watched:
            new = self._row(task, call)
            self._check_quota(call.principal, new)
            job = self._enqueuer.put(new)
            watched.queue, watched.ids = new.queue, (job.id,)
            return Taken(job, job.id == new.id)

    def _row(self, task: Task[..., Any], call: Call) -> NewJob:
        try:
            chosen = task.options(owner=call.principal, idempotency_key=call.idempotency_key, **call.options)
            args, kwargs = chosen.parameters.load(_text_of(call.arguments))
            new = chosen.new_job(self._enqueuer.new_id(), self._database.store.clock.now(), tuple(args), kwargs)
        except InvalidOption as error:
            fault = Fault(pointer([error.option]), f"{error.problem}. {error.remedy}")
            raise InvalidCall(task.name, (fault,)) from error
        except InvalidArgument as error:
            raise InvalidCall(task.name, (Fault(pointer(["arguments", error.parameter]), "does not fit"),)) from error
        except (NotSerializable, DecodeError) as error:
            raise InvalidCall(task.name, (Fault("/arguments", "cannot be stored"),)) from error
        if not new.keys:
            return new
        request = json.dumps([chosen.steady(new), dict(sorted(call.options.items()))], default=str)
        keys = principals(new.keys, task.name, call.principal, request)
        return new._replace(keys=keys, unique_key=keys[0].name if new.unique_key is not None else None)

    def _check_quota(self, principal: str, new: NewJob) -> None:
        store, most = self._database.store, self._database.settings.max_per_owner
        if most == 0 or store.reports.unfinished_of(principal, max(COUNTED, most)) < most:
            return
        # Whoever asks again for what is stored already asks for nothing more.
        if not (new.keys and store.keys.held([key.name for key in new.keys])):
            raise TooManyJobs(principal, most)


def _text_of(arguments: Mapping[str, Any]) -> str:
    try:
        return json.dumps(arguments)
    except ValueError as error:
        # Python writes no int of more than 4,300 digits.
        raise DecodeError("arguments", str(error)) from error
