"""`EditPage`: give a job that is not running other arguments, and run it with them."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from backburner.errors import InvalidArgument, MissingExtra, NotSerializable, SettingsError, TooLarge
from backburner.job import Job
from backburner.states import JobState
from backburner.task import Task
from backburner.web.access import Visitor
from backburner.web.dashboard.call_form import CallForm
from backburner.web.dashboard.form import fields_of
from backburner.web.dashboard.frame import Frame, Said
from backburner.web.problems import Problem, forbidden, not_found, wrong_state
from backburner.web.rights import Permission
from backburner.web.sight import title_of
from backburner.web.site import Site

log = logging.getLogger(__name__)


class EditPage:
    """`/dashboard/jobs/{id}/edit`."""

    def __init__(self, site: Site, frame: Frame) -> None:
        self._site, self._frame = site, frame

    def router(self) -> APIRouter:
        """The routes. Before the verbs of a job: this is none."""
        router = APIRouter()
        router.add_api_route("/dashboard/jobs/{job_id}/edit", self.form, methods=["GET"])
        router.add_api_route("/dashboard/jobs/{job_id}/edit", self.save, methods=["POST"])
        return router

    async def form(self, request: Request, job_id: str) -> Response:
        """The form, filled with what the job has."""
        visitor = await self._site.access.allowed(request, Permission.JOBS_EDIT)
        job, task = await run_in_threadpool(self._editable, visitor, job_id)
        before = _stored(job)
        form = CallForm.of(task, before)
        if form is not None and before is None:
            form = replace(form, problem="What is stored cannot be read: give all of it anew.")
        return await run_in_threadpool(self._page, request, visitor, job, form)

    async def save(self, request: Request, job_id: str) -> Response:
        """Store what was typed; a job that is done or held runs again."""
        visitor = await self._site.access.allowed(request, Permission.JOBS_EDIT)
        given = await fields_of(request)
        return await run_in_threadpool(self._save, request, visitor, job_id, given)

    def _save(self, request: Request, visitor: Visitor, job_id: str, given: Mapping[str, str]) -> Response:
        job, task = self._editable(visitor, job_id)
        before = _stored(job)
        form = CallForm.of(task, before)
        assert form is not None
        arguments = form.arguments(given, before)
        if isinstance(arguments, CallForm):
            return self._page(request, visitor, job, arguments, 422)
        again = form.reviewed(task, arguments, given, job)
        if again is not None:
            return self._page(request, visitor, job, again, 422)
        again_too = (
            visitor.may("retry", job) and job.blocked_on != "group" and (job.done or job.state is JobState.BLOCKED)
        )
        try:
            self._site.operator(visitor).edit(job_id, json.dumps(arguments), retry=again_too)
        except (InvalidArgument, MissingExtra, NotSerializable, SettingsError, TooLarge) as error:
            return self._page(request, visitor, job, CallForm(form.filled(given).entries, f"{error}."), 422)
        said = "Its arguments are changed, and it is in line again." if again_too else "Its arguments are changed."
        log.info("job %s: edited by %r", job_id, visitor.name)
        return self._frame.back(request, f"/jobs/{job_id}", Said(said))

    def _editable(self, visitor: Visitor, job_id: str) -> tuple[Job, Task[Any, Any]]:
        job = self._site.control.get(job_id)
        if not visitor.sees(job):
            raise not_found()
        if not (visitor.allows(Permission.JOBS_EDIT, job) and visitor.allows(Permission.JOBS_ARGUMENTS, job)):
            raise forbidden("You may not edit this job.")
        if job.state is JobState.RUNNING:
            raise wrong_state(job.state.value, "A running job cannot be edited. Cancel it first.")
        registry = self._site.jobs.registry
        task = registry.get(job.task)
        # What an operation does is said where it is begun, with the permissions for that.
        if task is None or job.task not in registry.names():
            raise Problem(
                409, "unknown-task", "This process does not know the task", "Edit it where the task is known."
            )
        if CallForm.of(task) is None:
            raise Problem(409, "no-form", "No form can give the arguments of this task", "They are pickled.")
        return job, task

    def _page(self, request: Request, visitor: Visitor, job: Job, form: CallForm | None, status: int = 200) -> Response:
        return self._frame.page(request, visitor, "edit.html", status, title=title_of(job), job=job, form=form)


def _stored(job: Job) -> dict[str, Any] | None:
    """The arguments by name; None where the row is damaged, which is when they have to be given anew."""
    try:
        found = json.loads(job.args)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
