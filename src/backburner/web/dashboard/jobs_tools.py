"""`JobsTools`: what is done with a list of jobs as a whole: saved views, exports, and what the filter bar completes."""

from __future__ import annotations

from dataclasses import asdict
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from backburner.errors import FilterError, InvalidOption
from backburner.insight.table import COLUMNS, PRIVATE
from backburner.web.access import Visitor
from backburner.web.dashboard.form import fields_of
from backburner.web.dashboard.frame import Frame, Said
from backburner.web.dashboard.listing import Listing
from backburner.web.problems import forbidden, invalid
from backburner.web.rights import Permission
from backburner.web.scopes import ACT
from backburner.web.site import Site
from backburner.where import MAX_TEXT, Where


class JobsTools:
    """`/dashboard/views`, `/dashboard/jobs/export` and `/dashboard/jobs/complete`."""

    def __init__(self, site: Site, frame: Frame) -> None:
        self._site, self._frame = site, frame

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        router.add_api_route("/dashboard/jobs/complete", self.complete, methods=["GET"])
        router.add_api_route("/dashboard/jobs/export", self.export, methods=["POST"])
        router.add_api_route("/dashboard/views", self.save, methods=["POST"])
        router.add_api_route("/dashboard/views/{view_id}/remove", self.remove, methods=["POST"])
        return router

    async def complete(self, request: Request) -> Response:
        """What may stand at the end of the text that is being typed; of all jobs, so only for who may see them."""
        visitor = await self._site.access.allowed(request, Permission.JOBS_VIEW)
        text = request.query_params.get("text", "")
        if len(text) > MAX_TEXT:
            raise invalid("text", f"Use at most {MAX_TEXT} characters.")
        found = await run_in_threadpool(self._site.jobs.insight.complete, text, len(text))
        if found.key is not None and not visitor.rights.everywhere(Permission.JOBS_VIEW):
            return JSONResponse({"start": found.start, "key": found.key, "values": [], "patterns": []})
        return JSONResponse(
            {
                "start": found.start,
                "key": found.key,
                "values": [asdict(one) for one in found.values],
                "patterns": [asdict(one) for one in found.patterns],
            }
        )

    async def export(self, request: Request) -> Response:
        """Have all that match written to a file, by a job of its own."""
        visitor = await self._site.access.allowed(request, Permission.JOBS_VIEW, ACT)
        if not visitor.rights.everywhere(Permission.JOBS_VIEW):
            raise forbidden("You may see some jobs only, and an export has all that match.")
        given = await fields_of(request)
        listing = Listing.of({"q": given.get("q", "")})
        if listing.wrong:
            raise invalid("q", listing.wrong)
        columns = [name for name in COLUMNS if name not in PRIVATE]
        if given.get("private") == "1":
            if not visitor.rights.everywhere(Permission.JOBS_ARGUMENTS):
                raise forbidden("Arguments and results need the permission jobs.arguments, without limits.")
            columns = list(COLUMNS)
        operator = self._site.operator(visitor)
        try:
            job = await run_in_threadpool(
                lambda: operator.export(listing.where, form=given.get("form", "csv"), columns=columns)
            )
        except InvalidOption as error:
            raise invalid(error.option, f"{error.problem}. {error.remedy}") from error
        return self._frame.back(
            request, f"/jobs/{job.id}", Said("The export is in line. Its file is here when it is done.")
        )

    async def save(self, request: Request) -> Response:
        """Save the filter and the columns under a name."""
        visitor = await self._site.access.allowed(request, Permission.JOBS_VIEW, ACT)
        given = await fields_of(request)
        return await run_in_threadpool(self._save, request, visitor, dict(given))

    async def remove(self, request: Request, view_id: str) -> Response:
        """Forget a view of one's own."""
        visitor = await self._site.access.allowed(request, Permission.JOBS_VIEW, ACT)
        try:
            await run_in_threadpool(self._site.operator(visitor).remove_view, view_id)
        except InvalidOption as error:
            raise invalid("view", "It is no view of yours.") from error
        return self._frame.back(request, "/jobs", Said("The view is removed."))

    def _save(self, request: Request, visitor: Visitor, given: dict[str, str]) -> Response:
        text, columns = given.get("q", ""), given.get("columns") or None
        try:
            view = self._site.operator(visitor).save_view(
                given.get("name", "").strip(), text, columns=columns.split(",") if columns else None,
                shared=given.get("shared") == "1",
            )  # fmt: skip
        except FilterError as error:
            raise invalid("q", str(error)) from error
        except InvalidOption as error:
            raise invalid(error.option, f"{error.problem}. {error.remedy}") from error
        return self._frame.back(
            request, f"/jobs{address_of(view.query, view.columns)}", Said(f"View {view.name} is saved.")
        )


def address_of(query: str, columns: tuple[str, ...] | None) -> str:
    """The address of the list that a view stands for."""
    given = {"q": str(Where.of(query)), "columns": ",".join(columns) if columns else ""}
    found = {name: value for name, value in given.items() if value}
    return f"?{urlencode(found)}" if found else ""
