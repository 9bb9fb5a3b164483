"""A backend for Django's Tasks framework.

TASKS = {"default": {"BACKEND": "backburner.contrib.django.tasks.BackburnerBackend"}}

It is for `django.tasks`, and for the package django-tasks where Django has none yet.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from inspect import iscoroutinefunction
from typing import Any

from asgiref.sync import sync_to_async
from django.apps import apps
from django.core.checks import CheckMessage, Error
from django.utils import timezone

from backburner.backburner import Backburner
from backburner.context import current_job
from backburner.contrib.django.project import project_jobs
from backburner.contrib.django.results import (
    arguments_of,
    error_of,
    errors_of,
    local,
    return_value_of,
    status_of,
    workers_of,
)
from backburner.declaring import takes_secrets
from backburner.errors import InvalidTask, JobNotFound, MissingExtra
from backburner.hooks import Attempt, Hook
from backburner.job import Job
from backburner.outcome import AttemptRecord
from backburner.states import JobState
from backburner.task import Task
from backburner.transaction import CallersTransaction

_HOME = "django.tasks" if find_spec("django.tasks") is not None else "django_tasks"
if find_spec(_HOME) is None:
    raise MissingExtra("django_tasks", "django-tasks", "backburner.contrib.django.tasks")

# One interface in two packages: which one it is stands in a name.
_base, _errors = import_module(f"{_HOME}.base"), import_module(f"{_HOME}.exceptions")
_signals, _backends = import_module(f"{_HOME}.signals"), import_module(f"{_HOME}.backends.base")
_BaseTaskBackend: Any = _backends.BaseTaskBackend

DECLARED = "declared_task"


class BackburnerBackend(_BaseTaskBackend):
    """Tasks of the framework as jobs: durable, in the project's database, in the transaction that enqueues them.

    OPTIONS are those of `@jobs.task`; `max_attempts` is 1 unless said, as the framework knows no second try. Workers
    know the tasks of each `tasks.py`. A larger priority runs sooner here, as the framework has it.
    """

    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def validate_task(self, task: Any) -> None:
        """Raise `InvalidTask` for what cannot run. Called for each task that is made: so workers get to know it."""
        super().validate_task(task)
        if takes_secrets(task.func):
            # The framework has arguments as JSON alone, whatever is annotated: they would be stored in the clear.
            raise InvalidTask(
                task.module_path, "it has a Secret among its arguments, which the Tasks framework cannot pass",
                "Declare it with Backburner's own @jobs.task, or pass a reference to the secret",
            )  # fmt: skip
        self._known(task)

    def enqueue(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Store one call; durable when it returns, or with the commit of the `atomic()` around it.

        Raises `TypeError` for arguments that are no JSON, and what `task.enqueue` of Backburner raises.
        """
        self.validate_task(task)
        jobs, moment = project_jobs(), task.run_after
        if moment is not None and timezone.is_naive(moment):
            moment = timezone.make_aware(moment)
        said = _plain([list(args), dict(kwargs)])
        priority = jobs.settings.default_priority - task.priority
        one = self._known(task).options(queue=task.queue_name, priority=priority, run_at=moment)
        result = self._result(one.enqueue(*said), task)
        _signals.task_enqueued.send(type(self), task_result=result)
        return result

    def get_result(self, result_id: str) -> Any:
        """The result as it is now. Raises `TaskResultDoesNotExist`."""
        jobs = project_jobs()
        job = _found(jobs, result_id)
        known = jobs.registry.get(job.task) if job is not None else None
        declared = getattr(known.function, DECLARED, None) if known is not None else None
        if job is None or declared is None or declared.backend != self.alias:
            raise _errors.TaskResultDoesNotExist(result_id)
        later = local(job.run_at) if job.state is JobState.SCHEDULED else None
        priority = jobs.settings.default_priority - job.priority
        return self._result(job, replace(declared, queue_name=job.queue, priority=priority, run_after=later))

    def check(self, **_: Any) -> Iterable[CheckMessage]:
        """E006: the app is not installed."""
        if not apps.is_installed("backburner.contrib.django"):
            text = f"TASKS[{self.alias!r}] needs the app backburner.contrib.django."
            yield Error(text, "Add it to INSTALLED_APPS.", id="backburner.E006")

    def _known(self, task: Any) -> Task[..., Any]:
        """Backburner's own task that runs this function for this backend."""
        name = task.module_path if self.alias == "default" else f"{self.alias}:{task.module_path}"
        jobs = project_jobs()
        found = jobs.registry.get(name)
        if found is None or getattr(getattr(found.function, DECLARED, None), "func", None) is not task.func:
            options = {"max_attempts": 1, **self.options, "name": name, "hooks": [_Signals(self)]}
            found = jobs.task(**options)(_runner(self, task))
        return found

    def _result(self, job: Job, task: Any) -> Any:
        attempts: dict[int, AttemptRecord] = {}
        if job.attempt:
            attempts = dict(project_jobs().store.jobs.attempts(job.id))
        number, first = next(iter(attempts.items()), (job.attempt, None))
        result = _base.TaskResult(
            task=task,
            id=job.id,
            status=_base.TaskResultStatus[status_of(job.state)],
            enqueued_at=local(job.created_at),
            started_at=local(first.started_at if first is not None and number < job.attempt else job.started_at),
            last_attempted_at=local(job.started_at),
            finished_at=local(job.finished_at),
            backend=self.alias,
            errors=[
                _base.TaskError(exception_class_path=path, traceback=text)
                for path, text in errors_of(attempts.values())
            ],
            worker_ids=workers_of(job, attempts),
            **arguments_of(job),
        )
        object.__setattr__(result, "_return_value", return_value_of(job))
        return result


_returned: ContextVar[list[Any] | None] = ContextVar("backburner_returned", default=None)
"""Where a body leaves what it returns, for `task_finished`: it is stored behind the hooks."""


def _runner(backend: Any, task: Any) -> Any:
    """What a worker calls for it."""

    def leading() -> tuple[Any, ...]:
        job = current_job()
        if not task.takes_context or job is None or job.id is None:
            return ()
        return (_base.TaskContext(task_result=backend.get_result(job.id)),)

    def left(value: Any) -> Any:
        plain, place = _plain(value), _returned.get()
        if place is not None:
            place.append(plain)
        return plain

    def run(args: list[Any], kwargs: dict[str, Any]) -> Any:
        return left(task.func(*leading(), *args, **kwargs))

    async def arun(args: list[Any], kwargs: dict[str, Any]) -> Any:
        context = await sync_to_async(leading)()
        return left(await task.func(*context, *args, **kwargs))

    made = arun if iscoroutinefunction(task.func) else run
    setattr(made, DECLARED, task)
    return made


class _Signals(Hook):
    """Sends what the framework sends around a run. A try that is followed by another one has not finished."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def before(self, attempt: Attempt) -> None:
        attempt.notes[self] = []
        _returned.set(attempt.notes[self])
        result = self._backend.get_result(attempt.id)
        _signals.task_started.send(type(self._backend), task_result=result)

    def after(self, attempt: Attempt) -> None:
        if attempt.outcome is None or not attempt.outcome.final:
            return
        result, error = self._backend.get_result(attempt.id), attempt.error
        # The end is stored behind the hooks.
        known: dict[str, Any] = {"status": _base.TaskResultStatus[status_of(attempt.outcome)]}
        known["finished_at"] = local(attempt.ended_at)
        if attempt.outcome is JobState.SUCCEEDED:
            known["_return_value"] = next(iter(attempt.notes[self]), None)
        elif error is not None:
            known["errors"] = [*result.errors, _base.TaskError(**error_of(error))]
        for name, value in known.items():
            object.__setattr__(result, name, value)
        self._finished(result, error if attempt.outcome is JobState.FAILED else None)

    def _finished(self, result: Any, error: BaseException | None) -> None:
        """Send it, behind a failure from where that is handled: so the framework's log has the traceback."""
        if error is None:
            _signals.task_finished.send(type(self._backend), task_result=result)
            return
        trace = error.__traceback__
        try:
            raise error
        except BaseException:  # noqa: BLE001 (it is the one raised here)
            # Without this frame.
            error.__traceback__ = trace
            _signals.task_finished.send(type(self._backend), task_result=result)


def _plain(value: Any) -> Any:
    """The value as JSON has it: the framework lets members of an Enum of texts pass. Raises `TypeError`."""
    return json.loads(json.dumps(_base.normalize_json(value)))


def _found(jobs: Backburner, job_id: str) -> Job | None:
    with suppress(JobNotFound):
        return jobs.get(job_id)
    connection = jobs.surroundings.connection()
    if connection is not None:
        # It may have been enqueued in the transaction that is open.
        with suppress(JobNotFound):
            return CallersTransaction(jobs._database, connection).get(job_id)
    return None
