"""`Site`: the web side behind a plain view of the app, so that its login, hooks and sessions hold there."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, current_app, render_template, request
from starlette.requests import Request
from starlette.responses import Response as AsgiResponse

from backburner.backburner import Backburner
from backburner.contrib.flask.users import Users
from backburner.contrib.wsgi import WsgiBridge
from backburner.web import Holding, User, web_app
from backburner.web.rights import Allow

NAME = "backburner"
_USER, _RIGHTS, _HELD = "backburner.user", "backburner.rights", "backburner.held"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_KEPT = 1_048_576
"""Bytes of a body that are kept for us where the app's own hooks may read it first."""
_OF_A_TEMPLATE = ("vary", "preference-applied", "cache-control")


class Site:
    """Makes a blueprint for each app. `holding_template` is rendered around the holding page."""

    def __init__(self, jobs: Backburner, users: Users, holding_template: str | None) -> None:
        self._jobs, self._users, self._template = jobs, users, holding_template

    def blueprint(self, at: str, links: Callable[[str, Any], str]) -> Blueprint:
        """The routes, to be registered in one app."""
        made = Blueprint(NAME, __name__, url_prefix=at)
        bridge = WsgiBridge(
            lambda: web_app(
                self._jobs,
                resolve_user=_handed_over,
                resolve_access=_rights,
                resolve_link=links,
                holding_page=None if self._template is None else _hold,
            )
        )

        def site(rest: str = "") -> Response:
            return self._answer(bridge, at)

        for rule in ("/", "/<path:rest>"):
            made.add_url_rule(rule, NAME, site, methods=_METHODS, provide_automatic_options=False)
        return made

    def _answer(self, bridge: WsgiBridge, at: str) -> Response:
        environ, held = dict(request.environ), list[Holding]()
        path = environ["PATH_INFO"]
        environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + at
        environ["PATH_INFO"] = path.removeprefix(at)
        # No header gets there: these are no names of WSGI's for one.
        environ[_USER], environ[_RIGHTS], environ[_HELD] = self._users.present(), self._users.rights(), held
        if (length := request.content_length) is not None and length <= _KEPT:
            environ["wsgi.input"] = io.BytesIO(request.get_data())
        answer = bridge.answer(environ)
        if not held or self._template is None:
            return current_app.response_class(
                answer.body, answer.status, answer.headers, direct_passthrough=True
            )  # fmt: skip
        answer.body.close()
        # Not on the loop: templates of the app have the request, its user and its session.
        page = current_app.response_class(render_template(self._template, holding=held[0]))
        for name, value in answer.headers:
            if name.lower() in _OF_A_TEMPLATE:
                page.headers[name] = value
        return page


def prepare() -> None:
    """Before anything else of a request to us: nobody may read its body away, and its own CSRF check holds."""
    if request.blueprint != NAME:
        return
    if (length := request.content_length) is not None and length <= _KEPT:
        request.get_data()
    csrf = current_app.extensions.get("csrf")
    if csrf is not None:
        csrf.exempt(current_app.blueprints[NAME])


def _handed_over(asked: Request) -> User | None:
    found = asked.scope["wsgi_environ"][_USER]
    return found if isinstance(found, User) else None


def _rights(asked: Request, user: User | None) -> tuple[Allow, ...]:
    # Not those of whoever is signed in, where a token says that it is somebody else who asks.
    environ = asked.scope["wsgi_environ"]
    found: tuple[Allow, ...] = environ[_RIGHTS] if user == environ[_USER] else ()
    return found


def _hold(asked: Request, holding: Holding) -> AsgiResponse:
    asked.scope["wsgi_environ"][_HELD].append(holding)
    return AsgiResponse(None)
