"""`StarletteRoutes`: marked routes of a Starlette or FastAPI app as jobs."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    BaseUser,
    UnauthenticatedUser,
)
from starlette.requests import HTTPConnection, Request
from starlette.routing import Match, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from backburner.route_jobs import AsgiGate, Identity, RouteJobs, granted, is_marked
from backburner.route_jobs.gate import Gate

if TYPE_CHECKING:
    from backburner.backburner import Backburner


class StarletteRoutes(RouteJobs):
    """The routes of `app`, Starlette's or FastAPI's, that are marked with `@background_route`, as jobs.

    Options are those of `RouteJobs`. Inside, `background_user(request)` and `request.user` are the user. Make it
    before the app has served anything: it adds a middleware.

        @app.post("/reports/build")
        @background_route
        async def build(): ...

        routes = StarletteRoutes(jobs, app, identity=Identity(...))
    """

    def __init__(self, jobs: Backburner, app: Starlette, *, identity: Identity | None = None, **options: Any) -> None:
        super().__init__(jobs, marked=self._leads_to_a_mark, identity=identity, **options)
        self._app = app
        app.add_middleware(SignedInGate, gate=self.gate)
        self.call_asgi(app)

    def _leads_to_a_mark(self, method: str, path: str) -> bool:
        scope = {
            "type": "http", "method": method, "path": path, "root_path": "", "query_string": b"",
            "headers": [(b"host", self.site.host.encode())], "path_params": {}, "app": self._app,
        }  # fmt: skip
        return is_marked(_endpoint(self._app.routes, scope), method)


class SignedInGate(AsgiGate):
    """The gate, behind which the user stands where Starlette has them."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        super().__init__(_SignIn(app), gate)


class GrantBackend(AuthenticationBackend):
    """For `AuthenticationMiddleware`: the user of a route job, else whom the app's own backend finds."""

    def __init__(self, backend: AuthenticationBackend) -> None:
        self._backend = backend

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        """Who asks."""
        proof = granted(conn.scope)
        if proof is None or proof.cookies:
            return await self._backend.authenticate(conn)
        return None if proof.user is None else (AuthCredentials(["authenticated"]), proof.user)


def background_user(request: Request) -> Any:
    """The user of the route job that makes this request; None for nobody, and for requests from outside."""
    proof = granted(request.scope)
    return proof.user if proof is not None else None


class _SignIn:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        proof = granted(scope)
        if proof is not None and not proof.cookies:
            known = proof.user is not None
            scope["user"] = proof.user if known else UnauthenticatedUser()
            scope["auth"] = AuthCredentials(["authenticated"] if known else [])
        await self._app(scope, receive, send)


def _endpoint(routes: Iterable[Any], scope: dict[str, Any]) -> Any:
    """What the first route that fits leads to, as the router would choose it; None when none does."""
    for route in _flat(routes):
        if isinstance(getattr(route, "original_route", route), WebSocketRoute):
            continue
        endpoint, regex = getattr(route, "endpoint", None), getattr(route, "path_regex", None)
        if endpoint is not None and regex is not None and isinstance(regex, re.Pattern):
            methods = getattr(route, "methods", None)
            if regex.match(scope["path"]) and (methods is None or scope["method"] in methods):
                return endpoint
            continue
        match, child = route.matches(scope)
        if match is Match.FULL:
            inner = {**scope, **child}
            # A mounted app sees the rest of the path.
            inner["path"] = inner["path"].removeprefix(inner.get("root_path", "")) or "/"
            return _endpoint(getattr(route, "routes", None) or (), {**inner, "root_path": ""})
    return None


def _flat(routes: Iterable[Any]) -> Iterable[Any]:
    """FastAPI keeps included routers as one route each, and has a way of its own to list what is in them."""
    found = sys.modules.get("fastapi.routing")
    listed = getattr(found, "iter_route_contexts", None)
    return listed(list(routes)) if listed is not None else routes
