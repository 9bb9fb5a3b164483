"""The holding page: for people who wait for one job with nothing else to do. It works without scripts."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable, iscoroutinefunction
from typing import Any, TypeAlias

from fastapi import APIRouter
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from backburner.destination import Destinations
from backburner.web.access import RETRIED_BY_OWNERS, Visitor
from backburner.web.acting import act
from backburner.web.bodies import JobBody
from backburner.web.prefer import Preference, prefers_html
from backburner.web.problems import Problem, not_found
from backburner.web.rendering import environment
from backburner.web.sight import Sight, look
from backburner.web.site import Site, root_of
from backburner.web.view import view_of
from backburner.web.waiting import await_end

_PATH = re.compile(r"/jobs/[^/]+/wait(/[^/]+)?")
_VERBS = frozenset({"cancel", "retry"})


@dataclass(frozen=True, slots=True)
class Holding:
    """What a page of the app's own is made of.

    `head` belongs into its head, `body` where people shall look; both are markup, which templates take as it is.
    `title` is a text, and has the percentage in it. `job` is what `GET /jobs/{id}` answers to the same visitor.
    """

    job: JobBody
    title: str
    head: Markup
    body: Markup


_Page: TypeAlias = str | Response
HoldingPage: TypeAlias = Callable[[Request, Holding], _Page | Awaitable[_Page]]
"""The app's own page around a `Holding`: its HTML, or a whole response. May be async; runs in a thread if not."""


class HoldingRoutes:
    """`GET /jobs/{id}/wait` and what the forms on it ask for."""

    def __init__(self, site: Site, page: HoldingPage | None = None) -> None:
        self._site, self._page = site, page
        self._templates = environment()

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        router.add_api_route("/jobs/{job_id}/wait", self.wait, methods=["GET"])
        router.add_api_route("/jobs/{job_id}/wait/{verb}", self.act, methods=["POST"])
        return router

    async def wait(self, request: Request, job_id: str) -> Response:
        """303 to where the job leads once it is done, else the page. `Prefer: wait=` lets the answer wait for it."""
        site = self._site
        visitor, job = await site.access.job(request, job_id)
        preference = Preference.of(request)
        headers = {"vary": "Accept, Cookie, Authorization, Prefer"}
        if preference.wait is not None and not job.done and await await_end(site, request, job, preference.wait):
            headers["preference-applied"] = f"wait={preference.wait:g}"
        sight = (await run_in_threadpool(look, site.control, [job_id])).get(job_id)
        if sight is None:
            raise not_found()
        leads = await run_in_threadpool(site.control.destinations, job_id)
        target = leads.of(sight.job.state)
        if target is not None:
            return Response(None, 303, headers | {"location": target})
        response = await self._response(request, self._holding(request, visitor, sight, leads))
        response.headers.update(headers)
        return response

    async def act(self, request: Request, job_id: str, verb: str) -> Response:
        """A form's cancel or try again; then back to the page."""
        if verb not in _VERBS:
            raise not_found()
        try:
            visitor = await act(self._site, request, job_id, verb)
        except Problem as problem:
            # It came to its end, or went on, while the page was looked at: the page says so.
            if problem.status != 409:
                raise
            visitor, _ = await self._site.access.job(request, job_id)
        place = self._site.wording(request, visitor).href(f"/jobs/{job_id}/wait")
        return Response(None, 303, {"location": place})

    def problem(self, request: Request, problem: Problem) -> Response | None:
        """A page for a problem on this page; None for programs, and elsewhere."""
        path = request.url.path.removeprefix(root_of(request))
        if not _PATH.fullmatch(path) or not prefers_html(request):
            return None
        root = root_of(request)
        text = self._render("wait_problem.html", root=root, title=problem.title, problem=problem)
        return HTMLResponse(text, problem.status, problem.headers)

    async def _response(self, request: Request, holding: Holding) -> Response:
        if self._page is None:
            return HTMLResponse(self._render("wait.html", root=root_of(request), title=holding.title, holding=holding))
        if iscoroutinefunction(self._page):
            found: Any = await self._page(request, holding)
        else:
            found = await run_in_threadpool(self._page, request, holding)
            found = await found if isawaitable(found) else found
        return found if isinstance(found, Response) else HTMLResponse(found)

    def _holding(self, request: Request, visitor: Visitor, sight: Sight, leads: Destinations) -> Holding:
        wording, root, job = self._site.wording(request, visitor), root_of(request), sight.job
        body, view = wording.job(sight), view_of(sight, self._site.control.now())
        markup = self._markup(
            "wait_part.html",
            root=root,
            job=body,
            view=view,
            leads=leads,
            here=wording.href(f"/jobs/{job.id}/wait"),
            forms={verb: wording.href(f"/jobs/{job.id}/wait/{verb}") for verb in _VERBS},
            may_retry=job.state in RETRIED_BY_OWNERS and "retry" in body["actions"],
        )
        ahead = view.figure if view.figure.endswith("%") else body["state"].capitalize() if job.done else ""
        title = f"{ahead} · {body['title']}" if ahead else body["title"]
        return Holding(body, title, self._markup("wait_head.html", root=root), markup)

    def _markup(self, template: str, **values: Any) -> Markup:
        # The templates escape every value.
        return Markup(self._render(template, **values))  # noqa: S704

    def _render(self, template: str, **values: Any) -> str:
        return self._templates.get_template(template).render(values)
