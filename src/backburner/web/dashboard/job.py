"""`JobPage`: the whole story of one job, from top to bottom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from backburner.checks import Check
from backburner.control import JobDetails
from backburner.job import Job
from backburner.outcome import AttemptRecord
from backburner.states import JobState, allowed
from backburner.web import words
from backburner.web.access import Visitor
from backburner.web.acting import act
from backburner.web.dashboard.frame import Frame, Said, origin_of
from backburner.web.dashboard.row import Row, row_of
from backburner.web.dashboard.timeline import timeline_of
from backburner.web.dashboard.trace import Trace, trace_of
from backburner.web.dashboard.values import arguments_of, notes_of, result_of
from backburner.web.problems import not_found
from backburner.web.rights import Permission
from backburner.web.sight import title_of
from backburner.web.site import Site
from backburner.workers import WorkerState

FAILED_SHOWN = 200
_LINE = 8
"""Jobs of a line that are shown."""
_SAID = {"cancel": "The job is cancelled.", "retry": "The job is in line again.", "delete": "The job is deleted."}
_STOPPING = "The job was asked to stop. It does at its next step."


@dataclass(frozen=True, slots=True)
class ShownAttempt:
    """One attempt; the traceback is in parts. One that still runs has no end, and no record yet."""

    number: int
    outcome: str
    started_at: datetime
    took: str
    host: str = ""
    pid: int = 0
    memory: str = ""
    reason: str | None = None
    error: str | None = None
    trace: Trace | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """One job of the line that another stands in."""

    place: int
    row: Row
    own: bool


@dataclass(frozen=True, slots=True)
class Before:
    """What a job comes after; `job` is its id where the visitor may see it."""

    name: str
    milestone: str
    job: str | None


class JobPage:
    """`/dashboard/jobs/{id}`, and the forms on it."""

    def __init__(self, site: Site, frame: Frame) -> None:
        self._site, self._frame = site, frame

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        router.add_api_route("/dashboard/jobs/{job_id}", self.job, methods=["GET"])
        router.add_api_route("/dashboard/jobs/{job_id}/{verb}", self.act, methods=["POST"])
        return router

    async def job(self, request: Request, job_id: str) -> Response:
        """Everything about one job."""
        visitor = await self._site.access.allowed(request, Permission.JOBS_VIEW)
        return await run_in_threadpool(self._page, request, visitor, job_id)

    async def act(self, request: Request, job_id: str, verb: str) -> Response:
        """A form's cancel, retry or delete; then back to where it came from, or to the list when it is gone."""
        await self._site.access.allowed(request, Permission.JOBS_VIEW)
        if verb not in _SAID:
            raise not_found()
        await act(self._site, request, job_id, verb)
        if verb == "delete":
            return self._frame.back(request, "/jobs", Said(_SAID[verb]))
        job = (await run_in_threadpool(self._site.control.glance, [job_id])).get(job_id)
        said = _STOPPING if job is not None and job.state is JobState.RUNNING and verb == "cancel" else _SAID[verb]
        return self._frame.back(request, origin_of(request, f"/jobs/{job_id}"), Said(said))

    def _page(self, request: Request, visitor: Visitor, job_id: str) -> Response:
        control = self._site.control
        details = control.show(job_id, failed_limit=FAILED_SHOWN)
        job = details.job
        if not _has_page(visitor, job):
            raise not_found()
        now = control.now()
        shown = visitor.allows(Permission.JOBS_ARGUMENTS, job)
        checks = self._checks(visitor, job)
        worker = self._worker(job)
        row = row_of(job, now)
        return self._frame.page(
            request,
            visitor,
            "job.html",
            title=title_of(job),
            job=job,
            details=details,
            row=row,
            parents=self._parents(visitor, details),
            now=now,
            why=_headline(checks),
            checks=checks,
            line=self._line(visitor, job, now) if checks else (),
            timeline=timeline_of(job, details.attempts, now, worker.host if worker is not None else None),
            attempts=_attempts(details, worker, now),
            facts=_facts(job, now),
            arguments=arguments_of(job, self._site.jobs.registry.secrets_of(job.task), shown=shown),
            result=result_of(job, shown=shown),
            notes=notes_of(job, shown=shown),
            links=self._site.links.of(job.progress),
            may={verb: visitor.may(verb, job) for verb in _SAID},
            permitted={verb: visitor.permitted(verb, job) for verb in _SAID},
            never=_never(job),
        )

    def _checks(self, visitor: Visitor, job: Job) -> list[Check]:
        """With the names of other jobs as far as the visitor may see those."""
        checks = self._site.control.checks(job)
        seen = self._seen(visitor, [one.job for one in checks if one.job is not None])
        return [
            one if one.job is None or one.job in seen else replace(one, detail=one.unnamed, job=None) for one in checks
        ]

    def _parents(self, visitor: Visitor, details: JobDetails) -> list[Before]:
        seen = self._seen(visitor, [one.parent.job for one in details.parents if one.state is not None])
        return [
            Before(
                (one.name or "a job that is gone") if one.parent.job in seen or one.state is None else "another job",
                one.parent.milestone or "",
                one.parent.job if one.parent.job in seen else None,
            )
            for one in details.parents
        ]

    def _seen(self, visitor: Visitor, ids: Sequence[str]) -> set[str]:
        """Those of these jobs that have a page for the visitor."""
        found = self._site.control.glance(ids) if ids else {}
        return {job_id for job_id, job in found.items() if _has_page(visitor, job)}

    def _worker(self, job: Job) -> WorkerState | None:
        if job.worker is None:
            return None
        return next(iter(self._site.jobs.workers.list([job.worker])), None)

    def _line(self, visitor: Visitor, job: Job, now: datetime) -> list[Place]:
        """The next ones of the line it stands in, and itself, as far as the visitor may see them."""
        found = self._site.control.line(job, _LINE)
        if job.id not in {one.id for one in found}:
            found = []
        return [
            Place(place, row_of(one, now), one.id == job.id)
            for place, one in enumerate(found, 1)
            if visitor.allows(Permission.JOBS_VIEW, one)
        ]


def _has_page(visitor: Visitor, job: Job) -> bool:
    return visitor.allows(Permission.JOBS_VIEW, job) or visitor.owns(job)


def _attempts(details: JobDetails, worker: WorkerState | None, now: datetime) -> list[ShownAttempt]:
    """The latest first; the one that runs has no record yet."""
    job = details.job
    found = [_shown(number, attempt) for number, attempt in reversed(details.attempts)]
    if job.state is JobState.RUNNING and job.started_at is not None:
        took = words.span((now - job.started_at).total_seconds())
        host, pid = (worker.host, worker.pid) if worker is not None else ("", 0)
        found.insert(0, ShownAttempt(job.attempt, "running", job.started_at, took, host, pid))
    return found


def _shown(number: int, attempt: AttemptRecord) -> ShownAttempt:
    memory = ""
    if attempt.memory_before:
        peak = f", {words.size(attempt.memory_peak)}" if attempt.memory_peak else ""
        memory = f"{words.size(attempt.memory_before)}{peak}"
    error = attempt.error
    if error and attempt.error_type and not error.startswith(attempt.error_type):
        error = f"{attempt.error_type}: {error}"
    return ShownAttempt(
        number,
        attempt.outcome,
        attempt.started_at,
        words.duration((attempt.finished_at - attempt.started_at).total_seconds()),
        attempt.host,
        attempt.pid,
        memory,
        attempt.reason,
        error,
        trace_of(attempt.traceback) if attempt.traceback else None,
        attempt.traceback or "",
    )


def _headline(checks: list[Check]) -> str:
    """Why it does not run, in one line; empty for a job that runs, is done, or may be taken at any moment."""
    return next((one.headline for one in checks if not one.met), "")


def _facts(job: Job, now: datetime) -> list[tuple[str, str]]:
    """The line of small figures under the bar."""
    found: list[tuple[str, str]] = []
    progress = job.progress
    if progress is not None and progress.updated_at is not None and not job.done:
        found.append(("Sign of life", words.ago(progress.updated_at, now)))
    if progress is not None and progress.done and not job.done and (speed := words.rate(progress, now)):
        found.append(("Speed", speed))
    if job.started_at is not None and job.state is JobState.RUNNING:
        found.append(("Running for", words.span((now - job.started_at).total_seconds())))
    if job.expires_at is not None and not job.done:
        found.append(("Expires", words.ahead(job.expires_at, now)))
    return found


def _never(job: Job) -> dict[str, str]:
    """Why a verb is impossible in this state; those that are possible are not here."""
    found = {}
    if not allowed("retry", job.state):
        found["retry"] = "Only a job that is done or held can be retried"
    if job.done:
        found["cancel"] = "It is done"
    elif job.cancel_requested:
        found["cancel"] = "It was asked to stop already"
    if job.state is JobState.RUNNING:
        found["delete"] = "It is running. Cancel it first"
    return found
