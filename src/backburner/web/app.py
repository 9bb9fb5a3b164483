"""`web_app`: the whole web side as one ASGI app, to be served alone or mounted in the app's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from backburner.backburner import Backburner
from backburner.errors import DuplicateJob, InvalidOption, JobBusy, JobNotFound, StoreError, WrongState
from backburner.web.access import Access
from backburner.web.acting import ActingRoutes
from backburner.web.contract import methods_of
from backburner.web.dashboard.dashboard import Dashboard
from backburner.web.downloads import DownloadRoutes
from backburner.web.enqueueing import EnqueueRoutes
from backburner.web.events import EventRoutes
from backburner.web.feed import Feed
from backburner.web.health import HealthRoutes
from backburner.web.holding import HoldingPage, HoldingRoutes
from backburner.web.links import Links, ResolveLink
from backburner.web.login import Login
from backburner.web.metrics import MetricRoutes
from backburner.web.mine import MinePage, MineRoutes
from backburner.web.openapi import OpenApiRoutes
from backburner.web.own_files import OwnFiles
from backburner.web.problems import Problem, invalid, not_found, unavailable, wrong_state
from backburner.web.reading import ReadingRoutes
from backburner.web.rights import ResolveAccess
from backburner.web.safety import Safety, secure
from backburner.web.sharing import SharedRoutes
from backburner.web.shutdown import Shutdown
from backburner.web.site import Site, root_of
from backburner.web.user import ResolveUser
from backburner.web.visiting import Visiting

STATIC = Path(__file__).parent / "static"


# Streams and lists before single jobs: /jobs/feed is no job.
_ROUTES = (
    *(EventRoutes, EnqueueRoutes, SharedRoutes, ReadingRoutes, ActingRoutes),
    *(DownloadRoutes, HealthRoutes, OpenApiRoutes, MetricRoutes),
)


def web_app(
    jobs: Backburner,
    *,
    resolve_user: ResolveUser | None = None,
    resolve_access: ResolveAccess | None = None,
    resolve_link: ResolveLink | None = None,
    holding_page: HoldingPage | None = None,
    mine_page: MinePage | None = None,
    development: bool = False,
    login: bool = False,
) -> FastAPI:
    """The HTTP API, live streams, component, and jobs page of `jobs`, as an ASGI app to mount or to serve.

    `resolve_user` says who a request comes from: a `User`, or None for nobody; it may be async. Without it
    nobody is known, and only signed tokens (`job_token`) open anything. `development=True` opens everything
    to requests from this machine, and refuses all others; it needs no `resolve_user` and ignores it.
    With `login=True` people sign in here as the setting `operators` says, in the place of `resolve_user`.
    `resolve_access` says what that user may do on the operators' pages; without it operators may do
    everything there, and others nothing.
    `resolve_link` makes the path of a route that `job.link(..., route=...)` names; without it, and for routes
    that are gone, such links are shown as texts. `holding_page` and `mine_page` put the holding page and the list
    of a user's own jobs into the app's own layout.

        app.mount("/backburner", web_app(jobs, resolve_user=signed_in_user))
    """
    door = Login(jobs.settings.operators or (), jobs.settings.secrets) if login else None
    resolve_user = door.user if door is not None else resolve_user
    access = Access(jobs.control, jobs.settings.secrets, resolve_user, resolve_access, development)
    shutdown = Shutdown()
    site = Site(jobs, access, Feed(jobs.control, shutdown), development, Links(resolve_link), door)
    app = FastAPI(title="Backburner", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.shutdown, app.state.feed = shutdown, site.feed
    pages, visiting = Dashboard(site), Visiting()
    for routes in _ROUTES:
        app.include_router(routes(site).router())
    app.include_router(HoldingRoutes(site, visiting, holding_page).router())
    app.include_router(MineRoutes(site, visiting, mine_page).router())
    app.include_router(pages.router())
    app.mount("/static", OwnFiles(directory=STATIC), name="static")

    async def answer(request: Request, error: Exception) -> Response:
        problem = _problem_of(error)
        if problem.status == 405:
            # The router names the methods of one route, where a path may have several.
            problem.headers["Allow"] = ", ".join(methods_of(request.url.path.removeprefix(root_of(request))))
        response = pages.problem(request, problem) or visiting.problem(request, problem) or problem.response()
        # Starlette answers a mistake of ours outside of the middleware that sets the headers.
        secure(response.headers)
        return response

    for kind in (Problem, HTTPException, RequestValidationError, *_KNOWN, Exception):
        app.add_exception_handler(kind, answer)
    app.add_middleware(Safety, development=development)
    return app


_KNOWN = (JobNotFound, WrongState, DuplicateJob, InvalidOption, StoreError)


def _problem_of(error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case JobNotFound():
            return not_found()
        case WrongState():
            return wrong_state(error.state, "It has changed meanwhile.")
        case DuplicateJob():
            return Problem(409, "duplicate", "An equal job is there already")
        case InvalidOption():
            return invalid(error.option, str(error))
        case JobBusy():
            return Problem(
                409, "busy", "A transaction that is still open holds the job", "Ask again soon.",
                headers={"Retry-After": "5"},
            )  # fmt: skip
        case StoreError():
            return unavailable()
        case RequestValidationError():
            return Problem(422, "invalid-parameter", "The request cannot be used", errors=_plain(error))
        case HTTPException(status_code=404):
            return not_found()
        case HTTPException():
            return Problem(error.status_code, "http", str(error.detail), headers=dict(error.headers or {}))
        case _:
            return Problem(500, "internal", "The server made a mistake", "It was written to its log.")


def _plain(error: RequestValidationError) -> list[dict[str, Any]]:
    return [{"where": list(each["loc"]), "problem": each["msg"]} for each in error.errors()]
