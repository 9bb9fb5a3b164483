"""The pages for operators: jobs, and one job. They work without scripts."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from backburner.job import Job
from backburner.states import JobState
from backburner.web import words
from backburner.web.access import Visitor
from backburner.web.acting import act
from backburner.web.problems import Problem, not_found
from backburner.web.query import Query
from backburner.web.rendering import environment
from backburner.web.sight import moment, title_of
from backburner.web.site import Site, root_of

FAILED_SHOWN = 200
ORDER = tuple(
    JobState(name)
    for name in (
        *("running", "queued", "blocked", "scheduled", "retrying"),
        *("succeeded", "failed", "interrupted", "cancelled", "skipped"),
    )
)
"""The order of states in filters."""
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WORD = re.compile(r'(?:(\w+):)?("[^"]*"|\S+)')
_NAMES = frozenset({"state", "task", "queue", "tag", "owner", "identifier", "id"})
_VERBS = frozenset({"cancel", "retry", "delete"})


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list."""

    job: Job
    title: str
    standing: words.Standing
    message: str
    left: str


class PageRoutes:
    """`/dashboard/jobs` and `/dashboard/jobs/{id}`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._templates = environment()
        self._templates.globals |= {"words": words, "moment": moment, "order": ORDER}

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        router.add_api_route("/", self.start, methods=["GET"])
        router.add_api_route("/dashboard/jobs", self.jobs, methods=["GET"])
        router.add_api_route("/dashboard/jobs/{job_id}", self.job, methods=["GET"])
        router.add_api_route("/dashboard/jobs/{job_id}/{verb}", self.act, methods=["POST"])
        return router

    async def start(self, request: Request) -> Response:
        """The jobs page is where everything begins."""
        await self._site.access.operator(request)
        return RedirectResponse(f"{root_of(request)}/dashboard/jobs", 303)

    async def jobs(self, request: Request) -> Response:
        """The list, with its filters in the address."""
        visitor = await self._site.access.operator(request)
        typed = request.query_params.get("q", "").strip()
        if typed:
            return RedirectResponse(f"{root_of(request)}/dashboard/jobs{_address(request, typed)}", 303)
        query = Query.of({key: value for key, value in request.query_params.items() if key != "q"})
        return await run_in_threadpool(self._jobs_page, request, visitor, query)

    async def job(self, request: Request, job_id: str) -> Response:
        """Everything about one job."""
        visitor = await self._site.access.operator(request)
        return await run_in_threadpool(self._job_page, request, visitor, job_id)

    async def act(self, request: Request, job_id: str, verb: str) -> Response:
        """A form's cancel, retry or delete; then back to the job, or to the list when it is gone."""
        await self._site.access.operator(request)
        if verb not in _VERBS:
            raise not_found()
        await act(self._site, request, job_id, verb)
        back = "" if verb == "delete" else f"/{job_id}"
        return RedirectResponse(f"{root_of(request)}/dashboard/jobs{back}", 303)

    def problem(self, request: Request, problem: Problem) -> Response | None:
        """A page for a problem on one of the pages; None for programs."""
        path = request.url.path.removeprefix(root_of(request))
        if not path.startswith("/dashboard") and path not in ("", "/"):
            return None
        return self._page(request, "problem.html", problem.status, problem=problem, title=problem.title, visitor=None)

    def _jobs_page(self, request: Request, visitor: Visitor, query: Query) -> Response:
        control = self._site.control
        now = control.now()
        page = control.page(query.filter, query.limit + 1)
        rows = [_row(job, now) for job in page[: query.limit]]
        of_any_state = Query.of({key: value for key, value in query.given if key not in ("state", "before", "done")})
        counts = control.counts(of_any_state.filter)
        return self._page(
            request,
            "jobs.html",
            title="Jobs",
            visitor=visitor,
            query=query,
            rows=rows,
            now=now,
            counts=counts,
            older=query.with_(before=rows[-1].job.id) if len(page) > query.limit else None,
            names=sorted(_NAMES - {"state", "id"}),
        )

    def _job_page(self, request: Request, visitor: Visitor, job_id: str) -> Response:
        details = self._site.control.show(job_id, failed_limit=FAILED_SHOWN)
        job = details.job
        return self._page(
            request,
            "job.html",
            title=title_of(job),
            visitor=visitor,
            job=job,
            details=details,
            row=_row(job, self._site.control.now()),
            now=self._site.control.now(),
            links=self._site.links.of(job.progress),
            may={verb: visitor.may(verb, job) for verb in _VERBS},
            meta=_pretty(job.meta),
        )

    def _page(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        root = root_of(request)
        text = self._templates.get_template(template).render(
            root=root,
            site=f"{root}/dashboard",
            development=self._site.development,
            links_of=self._site.links.of,
            **values,
        )
        return HTMLResponse(text, status)


def _row(job: Job, now: Any) -> Row:
    progress = job.progress
    message = job.reason or ""
    if job.state in (JobState.FAILED, JobState.RETRYING) and job.error:
        # An error without a text is "ValueError: ": its name says all there is.
        message = job.error.splitlines()[0].rstrip(": ")
    elif not job.done and progress is not None and (progress.message or progress.stage):
        message = progress.message or progress.stage or ""
    elif not message and progress is not None:
        message = words.balance(progress) or progress.message or words.counted(progress)
    if job.state is JobState.RETRYING:
        message = f"{message.rstrip('.')}. Runs again {words.ahead(job.run_at, now)}"
    elif job.state is JobState.SCHEDULED:
        message = f"{message.rstrip('.') + '. ' if message else ''}Not before {words.day(job.run_at)}"
    left = words.left(progress, now) if progress is not None and job.state is JobState.RUNNING else ""
    return Row(job, title_of(job), words.standing(job, now), message, left)


def _address(request: Request, typed: str) -> str:
    """What was typed into the filter, as the address of the list, or of the job whose id it is."""
    if _ID.fullmatch(typed.lower()):
        return f"/{typed.lower()}"
    found: dict[str, str] = {}
    for name, value in _WORD.findall(typed):
        text = value.strip('"')
        if name == "id" and _ID.fullmatch(text.lower()):
            return f"/{text.lower()}"
        if name in _NAMES - {"id"}:
            found[name] = text
        else:
            # A word by itself is what the app calls the job.
            found["identifier"] = f"{name}:{text}" if name else text
    kept = {key: value for key, value in request.query_params.items() if key not in ("q", "before")}
    return Query.of(kept).with_(**found)


def _pretty(meta: str | None) -> str | None:
    return json.dumps(json.loads(meta), indent=2, ensure_ascii=False) if meta else None
