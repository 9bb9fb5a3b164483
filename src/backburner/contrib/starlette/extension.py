"""`StarletteBackburner`: everything of Backburner in a Starlette app."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from inspect import isawaitable, iscoroutinefunction
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.authentication import BaseUser
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.templating import Jinja2Templates
from starlette.types import Receive, Scope, Send

from backburner.backburner import Backburner
from backburner.context import current_job
from backburner.contrib.people import People
from backburner.contrib.starlette.links import path_rule
from backburner.contrib.starlette.route_jobs import StarletteRoutes
from backburner.contrib.starlette.surroundings import ScopeAtHand, at_hand
from backburner.errors import InvalidOption
from backburner.job import Job
from backburner.route_jobs import Identity
from backburner.target import checked_path
from backburner.web import HoldingPage, User, arespond, web_app
from backburner.web.page_parts import PageParts
from backburner.web.rights import Allow
from backburner.worker import Worker, WorkerOptions

NAME = "backburner"
_OUTER, _PERSON = "backburner.outer", "backburner.person"
Ask = Callable[[Request], Any | Awaitable[Any]]


class StarletteBackburner:
    """Attaches `jobs` to a Starlette app, with its web side at `at`. Make it before the app has served anything.

    `user(request)` says who asks, None for nobody; without it that is `request.user` of `AuthenticationMiddleware`.
    Where that is neither a text nor a `User`, `id_of(user)` gives its id. `operator(user)` says who may see and do
    everything, `access(user)` names what others may on the operators' pages, as `resolve_access` does.

    `worker=True`, or `WorkerOptions`, runs jobs in the app's own process, from its start to its end.
    `holding_template` is a template of `templates` around the holding page; it gets `holding`.

    With the setting `secret` marked routes may run as jobs, for the users that `identity` knows; `routes` are more
    options of `StarletteRoutes`.

        backburner = StarletteBackburner(jobs, app, user=who_asks)
    """

    def __init__(
        self, jobs: Backburner, app: Starlette, *, user: Ask | None = None,
        id_of: Callable[[Any], object] | None = None, operator: Callable[[Any], object] | None = None,
        access: Callable[[Any], object] | None = None, at: str = "/backburner", worker: bool | WorkerOptions = False,
        templates: Jinja2Templates | None = None, holding_template: str | None = None,
        identity: Identity | None = None, routes: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        if user is not None and not callable(user):
            raise InvalidOption("user", user, "cannot be called", "Pass a function of a request")
        if holding_template is not None and templates is None:
            raise InvalidOption("holding_template", holding_template, "is of no templates", "Give templates= as well")
        self.jobs, self._app, self._user = jobs, app, user
        self._people = People(_id_of if user is None and id_of is None else id_of, operator, access)
        self._at = checked_path(at.rstrip("/"))
        self._worker, self._options = worker is not False, worker if isinstance(worker, WorkerOptions) else None
        self._templates, self._template = templates, holding_template
        self.parts: PageParts = PageParts(lambda: self.at)
        self.web: FastAPI = web_app(
            jobs,
            resolve_user=self._resolved,
            resolve_access=self._rights,
            resolve_link=path_rule(app),
            holding_page=self._holding_page,
        )
        app.mount(self._at, self._serve, name=NAME)
        app.add_middleware(ScopeAtHand, jobs=jobs)
        jobs.surroundings.add(owner=self._owner)
        app.router.lifespan_context = self._lifespan_around(app.router.lifespan_context)
        if templates is not None:
            templates.env.globals[NAME] = self.parts
        self.routes: StarletteRoutes | None = None
        if jobs.settings.secret is not None:
            self.routes = StarletteRoutes(jobs, app, identity=identity, **(routes or {}))

    @property
    def at(self) -> str:
        """Where the web side is, as browsers see it."""
        here = at_hand()
        return (here.root if here is not None else "") + self._at

    async def respond(
        self,
        job: Job,
        *,
        wait: float = 0.5,
        then: str | None = None,
        failed: str | None = None,
        token: str | None = None,
    ) -> RedirectResponse:
        """What an endpoint returns that has started a job: `backburner.web.arespond` as a redirect.

        return await backburner.respond(await export.aenqueue("2026-10"), then="/thanks")
        """
        reply = await arespond(job, wait=wait, then=then, failed=failed, at=self.at, token=token)
        return RedirectResponse(reply.location, reply.status)

    async def person(self, request: Request) -> Any:
        """Who asks, as the app itself has its users; None for nobody."""
        if self._user is None:
            found = request.scope.get("user")
            return found if found is not None and found.is_authenticated else None
        if iscoroutinefunction(self._user):
            return await self._user(request)
        found = await run_in_threadpool(self._user, request)
        return await found if isawaitable(found) else found

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        # What is asked about a user is asked of the app's own request: below its mount, paths and routers are others.
        await self.web({**scope, _OUTER: {**scope, "root_path": scope.get("app_root_path", "")}}, receive, send)

    async def _resolved(self, request: Request) -> User | None:
        person = request.scope[_PERSON] = await self.person(Request(request.scope[_OUTER], request.receive))
        return self._people.user(person)

    def _rights(self, request: Request, user: User | None) -> tuple[Allow, ...]:
        person = request.scope.get(_PERSON)
        # Not those of whoever is signed in, where a token says that it is somebody else who asks.
        return self._people.rights(person if user == self._people.user(person) else None)

    def _owner(self) -> str | None:
        here = at_hand()
        person = here.scope.get("user") if here is not None and self._user is None else None
        user = self._people.user(person if person is not None and person.is_authenticated else None)
        return None if user is None else user.id

    @property
    def _holding_page(self) -> HoldingPage | None:
        templates, template = self._templates, self._template
        if templates is None or template is None:
            return None
        return lambda asked, holding: templates.TemplateResponse(
            Request(asked.scope[_OUTER]), template, {"holding": holding}
        )

    def _lifespan_around(self, inner: Callable[[Any], AbstractAsyncContextManager[Any]]) -> Any:
        @asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[Any]:
            async with inner(app) as state:
                worker = await self._started()
                try:
                    yield state
                finally:
                    self.web.state.shutdown.ask()
                    if worker is not None:
                        await asyncio.to_thread(worker.stop)

        return lifespan

    async def _started(self) -> Worker | None:
        # A worker that calls the app for a route job starts it too; that one needs no other inside.
        if not self._worker or current_job() is not None:
            return None
        return await asyncio.to_thread(Worker(self.jobs, self._options).start)


def _id_of(person: BaseUser) -> object:
    try:
        return person.identity
    except NotImplementedError:
        # As Starlette's own `SimpleUser` does.
        return person.display_name
