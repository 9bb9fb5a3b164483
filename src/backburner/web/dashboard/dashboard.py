"""`Dashboard`: all of the operators' pages."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from backburner.web.dashboard.audit import AuditPage
from backburner.web.dashboard.editing import EditPage
from backburner.web.dashboard.failures import FailuresPage
from backburner.web.dashboard.frame import Frame
from backburner.web.dashboard.job import JobPage
from backburner.web.dashboard.jobs import JobsPage
from backburner.web.dashboard.jobs_tools import JobsTools
from backburner.web.dashboard.many import ManyJobs
from backburner.web.dashboard.overview import OverviewPage
from backburner.web.dashboard.queues import QueuesPage
from backburner.web.dashboard.schedules import SchedulesPage
from backburner.web.dashboard.settings import SettingsPage
from backburner.web.dashboard.signing_in import SignInPage, to_sign_in
from backburner.web.dashboard.tasks import TasksPage
from backburner.web.dashboard.workers import WorkersPage
from backburner.web.problems import Problem
from backburner.web.rights import Permission
from backburner.web.site import Site, root_of

# `jobs/many` and `jobs/{id}/edit` before `jobs/{id}` and its verbs.
_PAGES = (
    *(SignInPage, OverviewPage, JobsPage, JobsTools, ManyJobs, EditPage, JobPage, FailuresPage),
    *(QueuesPage, SchedulesPage, WorkersPage, TasksPage, AuditPage, SettingsPage),
)


class Dashboard:
    """Everything below `/dashboard`, and the way to it from `/`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._frame = Frame(site)
        self._pages = [kind(site, self._frame) for kind in _PAGES]

    def router(self) -> APIRouter:
        """The routes of all pages."""
        router = APIRouter()
        for path in ("/", "/dashboard", "/dashboard/"):
            router.add_api_route(path, self.start, methods=["GET"])
        for page in self._pages:
            router.include_router(page.router())
        return router

    async def start(self, request: Request) -> Response:
        """Where everything begins."""
        await self._site.access.allowed(request, Permission.JOBS_VIEW)
        return RedirectResponse(f"{root_of(request)}/dashboard/overview", 303)

    def problem(self, request: Request, problem: Problem) -> Response | None:
        """A page for a problem on one of the pages; None for programs."""
        path = request.url.path.removeprefix(root_of(request))
        if not path.startswith("/dashboard") and path not in ("", "/"):
            return None
        login = self._site.login
        if (
            login is not None
            and problem.status in (401, 403)
            and request.method == "GET"
            and login.user(request) is None
        ):
            return to_sign_in(request)
        return self._frame.page(request, None, "problem.html", problem.status, problem=problem, title=problem.title)
