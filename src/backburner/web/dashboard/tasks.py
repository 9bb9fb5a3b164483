"""`TasksPage`: the tasks of the app, and a form to run one of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from backburner.errors import (
    BackburnerError,
    DuplicateJob,
    InvalidArgument,
    InvalidOption,
    MissingExtra,
    NotSerializable,
    SettingsError,
    TooLarge,
)
from backburner.job import JobFilter
from backburner.states import JobState
from backburner.task import Task
from backburner.web.access import Visitor
from backburner.web.dashboard.call_form import CallForm
from backburner.web.dashboard.form import fields_of
from backburner.web.dashboard.frame import ORDER, Frame, Said
from backburner.web.dashboard.narrowing import knows_task, seen_by
from backburner.web.problems import Problem, forbidden
from backburner.web.rights import Permission
from backburner.web.site import Site

log = logging.getLogger(__name__)
_REFUSALS = (InvalidArgument, InvalidOption, MissingExtra, NotSerializable, SettingsError, TooLarge)


@dataclass(frozen=True, slots=True)
class Known:
    """One task as it is listed."""

    task: Task[Any, Any]
    queue: str
    text: str
    options: tuple[str, ...]

    @property
    def path(self) -> str:
        """It in addresses."""
        return quote(self.task.name, safe="")


class TasksPage:
    """`/dashboard/tasks`, `/dashboard/tasks/{name}`, and its form."""

    def __init__(self, site: Site, frame: Frame) -> None:
        self._site, self._frame = site, frame

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        router.add_api_route("/dashboard/tasks", self.tasks, methods=["GET"])
        router.add_api_route("/dashboard/tasks/{name:path}", self.task, methods=["GET"])
        router.add_api_route("/dashboard/tasks/{name:path}/run", self.run, methods=["POST"])
        return router

    async def tasks(self, request: Request) -> Response:
        """All tasks that this process knows."""
        visitor = await self._site.access.allowed(request, Permission.JOBS_VIEW)
        known = [known_of(task) for task in self._site.jobs.registry if knows_task(visitor, task)]
        # Figures are of all jobs of a task: who may see some alone gets none.
        whole = visitor.rights.everywhere(Permission.JOBS_VIEW)
        figures = await run_in_threadpool(self._site.jobs.insight.charts.by_task, "24h") if whole else None
        return await run_in_threadpool(
            lambda: self._frame.page(request, visitor, "tasks.html", title="Tasks", tasks=known, figures=figures)
        )

    async def task(self, request: Request, name: str) -> Response:
        """One task: how its jobs stand, and the form."""
        visitor = await self._site.access.allowed(request, Permission.JOBS_VIEW)
        task = self._found(name)
        if not knows_task(visitor, task):
            raise _unknown()
        return await run_in_threadpool(self._page, request, visitor, task, CallForm.of(task))

    async def run(self, request: Request, name: str) -> Response:
        """Start a job with what the form says."""
        visitor = await self._site.access.allowed(request, Permission.JOBS_RUN)
        task = self._found(name)
        if not visitor.rights.of_names(Permission.JOBS_RUN, task.enqueue_options.queue, task.name):
            raise forbidden(f"You may not run task {task.name}.")
        given = await fields_of(request)
        return await run_in_threadpool(self._run, request, visitor, task, given)

    def _run(self, request: Request, visitor: Visitor, task: Task[Any, Any], given: Mapping[str, str]) -> Response:
        form = CallForm.of(task)
        if form is None:
            raise Problem(409, "no-form", "No form can give the arguments of this task", "They are pickled.")
        arguments = form.arguments(given)
        if isinstance(arguments, CallForm):
            return self._page(request, visitor, task, arguments, 422)
        again = form.reviewed(task, arguments, given)
        if again is not None:
            return self._page(request, visitor, task, again, 422)
        try:
            args, kwargs = task.parameters.load(json.dumps(arguments))
            job = task.options(owner=visitor.name).enqueue(*args, **kwargs)
        except DuplicateJob as error:
            return self._frame.back(request, f"/jobs/{error.job_id}", Said("An equal job is there already: this one."))
        except _REFUSALS as error:
            wrong = CallForm(form.filled(given).entries, _sentence(error))
            return self._page(request, visitor, task, wrong, 422)
        log.info("job %s of task %s: run by %r", job.id, task.name, visitor.name)
        self._site.operator(visitor).started(job)
        return self._frame.back(request, f"/jobs/{job.id}", Said("The job is in line."))

    def _page(
        self, request: Request, visitor: Visitor, task: Task[Any, Any], form: CallForm | None, status: int = 200
    ) -> Response:
        tally = self._site.control.tally(seen_by(visitor, JobFilter(task=task.name)))
        return self._frame.page(
            request, visitor, "task.html", status, title=task.name, known=known_of(task), form=form,
            counts={state: tally.states.get(state, 0) for state in ORDER if tally.states.get(state, 0)},
            counted=tally.complete, states=JobState,
            may_run=visitor.rights.of_names(Permission.JOBS_RUN, task.enqueue_options.queue, task.name),
        )  # fmt: skip

    def _found(self, name: str) -> Task[Any, Any]:
        task = self._site.jobs.registry.get(name)
        # Operations and exports are tasks too: they are begun by the forms that ask for their permissions.
        if task is None or name not in self._site.jobs.registry.names():
            raise _unknown()
        return task


def known_of(task: Task[Any, Any]) -> Known:
    """A task as it is listed: what its jobs are like, in a few words."""
    run, options = task.defaults, []
    most = run.max_attempts or run.retry.max_attempts
    options.append("tried once" if most == 1 else f"tried up to {most} times" if most else "tried for ever")
    if not run.repeatable:
        options.append("must not run twice")
    if run.timeout:
        options.append(f"at most {run.timeout:g} s")
    if run.max_running:
        options.append(f"{run.max_running} at once")
    if run.isolate:
        options.append("in a process of its own")
    if task.api:
        options.append("open to the HTTP API")
    lines = (task.function.__doc__ or "").strip().splitlines()
    return Known(task, task.enqueue_options.queue, lines[0] if lines else "", tuple(options))


def _unknown() -> Problem:
    return Problem(404, "unknown-task", "There is no such task here", "This process does not know it.")


def _sentence(error: BackburnerError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
