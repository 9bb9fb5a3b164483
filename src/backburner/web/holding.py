"""The holding page: for people who wait for one job with nothing else to do. It works without scripts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from fastapi import APIRouter
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from backburner.destination import Destinations
from backburner.web.access import RETRIED_BY_OWNERS, Visitor
from backburner.web.acting import act_by_form
from backburner.web.bodies import JobBody
from backburner.web.language import language_of
from backburner.web.prefer import Preference
from backburner.web.problems import not_found
from backburner.web.sight import Sight, look
from backburner.web.site import Site
from backburner.web.view import view_of
from backburner.web.visiting import OwnPage, Visiting
from backburner.web.waiting import await_end

_VERBS = frozenset({"cancel", "retry", "tell"})


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


HoldingPage: TypeAlias = OwnPage[Holding]
"""The app's own page around a `Holding`: its HTML, or a whole response. May be async; runs in a thread if not."""


class HoldingRoutes:
    """`GET /jobs/{id}/wait` and what the forms on it ask for."""

    def __init__(self, site: Site, visiting: Visiting, page: HoldingPage | None = None) -> None:
        self._site, self._visiting, self._page = site, visiting, page

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
        holding = self._holding(request, visitor, sight, leads)
        response = await self._visiting.page(request, holding, self._page)
        response.headers.update(headers)
        return response

    async def act(self, request: Request, job_id: str, verb: str) -> Response:
        """A form's cancel, try again, or wish to be told; then back to the page."""
        if verb not in _VERBS:
            raise not_found()
        visitor, done = await act_by_form(self._site, request, job_id, verb)
        place = self._site.wording(request, visitor).href(f"/jobs/{job_id}/wait")
        if done and verb == "tell":
            place += f"{'&' if '?' in place else '?'}told=1"
        return Response(None, 303, {"location": place})

    def _holding(self, request: Request, visitor: Visitor, sight: Sight, leads: Destinations) -> Holding:
        wording, job, lang = self._site.wording(request, visitor), sight.job, language_of(request)
        body, view = wording.job(sight), view_of(sight, self._site.control.now(), lang)
        markup = self._visiting.markup(
            request,
            "wait_part.html",
            job=body,
            view=view,
            leads=leads,
            told=not job.done and request.query_params.get("told") == "1",
            here=wording.href(f"/jobs/{job.id}/wait"),
            forms={verb: wording.href(f"/jobs/{job.id}/wait/{verb}") for verb in _VERBS},
            may_retry=job.state in RETRIED_BY_OWNERS and "retry" in body["actions"],
        )
        ahead = view.figure if view.figure.endswith("%") else lang.say(job.state.value) if job.done else ""
        title = f"{ahead} · {body['title']}" if ahead else body["title"]
        return Holding(body, title, self._visiting.markup(request, "visitor_head.html"), markup)
