"""`FlaskRoutes`: marked views of a Flask app as jobs."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Flask, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from backburner.errors import InvalidOption
from backburner.route_jobs import Granted, Identity, RouteJobs, granted, is_marked

if TYPE_CHECKING:
    from backburner.backburner import Backburner


class FlaskRoutes(RouteJobs):
    """The views of `app` that are marked with `@background_route`, as jobs. Options are those of `RouteJobs`.

    Users of Flask-Login come by `login_identity`. `sign_in(user)` is called inside the request for apps that keep
    their user elsewhere, in `g` for example. The CSRF check of Flask-WTF is satisfied.

        @app.post("/reports/build")
        @background_route
        def build(): ...

        routes = FlaskRoutes(jobs, app)
    """

    def __init__(
        self, jobs: Backburner, app: Flask, *, identity: Identity | None = None,
        sign_in: Callable[[Any], object] | None = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(jobs, marked=self._leads_to_a_mark, identity=identity, **options)
        self._sign_in = sign_in
        self.attach(app, identity)

    def attach(self, app: Flask, identity: Identity | None) -> None:
        """Call this app from now on: where a factory makes one after the other, as tests do."""
        self._app, self._identity, self.gate.identity = app, identity, identity
        app.wsgi_app = self.wsgi(app.wsgi_app)  # type: ignore[method-assign]
        # The first of all: others ask who the user is, and whether the form has its token.
        app.before_request_funcs.setdefault(None, []).insert(0, self._enter)

    def _leads_to_a_mark(self, method: str, path: str) -> bool:
        try:
            endpoint, _ = self._app.url_map.bind(self.site.name).match(path, method)
        except (HTTPException, RequestRedirect):
            return False
        return is_marked(self._app.view_functions.get(endpoint), method)

    def _enter(self) -> None:
        proof = granted(request.environ)
        if proof is None:
            return
        if "csrf" in self._app.extensions:
            self._satisfy_csrf()
        if self._sign_in is not None and not proof.cookies:
            self._sign_in(proof.user.user if isinstance(proof.user, _Seen) else proof.user)

    def _satisfy_csrf(self) -> None:
        """Flask-WTF asks for a token of the session: this request gets one of its own, for a session of its own."""
        token = importlib.import_module("flask_wtf.csrf").generate_csrf()
        header = str(self._app.config["WTF_CSRF_HEADERS"][0])
        request.environ[f"HTTP_{header.upper().replace('-', '_')}"] = token
        request.environ.setdefault("HTTP_REFERER", request.host_url)


def login_identity(
    app: Flask, epoch_of: Callable[[Any], str], permitted: Callable[[Any, str, str], bool] | None = None
) -> Identity:
    """The users of Flask-Login, for `FlaskRoutes`; `as_user=current_user` names the one at hand.

    `epoch_of(user)` is a text that is another as soon as the password has changed, or the user has logged out
    everywhere. Call it after `login_manager.init_app(app)`.
    """
    logins: Any = app.extensions.get("login_manager", getattr(app, "login_manager", None))
    if logins is None:
        raise InvalidOption(
            "epoch_of",
            epoch_of,
            "is about users of Flask-Login, and the app has no login manager",
            "Call login_manager.init_app(app) first",
        )
    before: Callable[[Any], Any] | None = logins._request_callback

    def load(user_id: str) -> Any:
        with app.app_context():
            user = logins._user_callback(user_id)
            # Asked inside: behind the context a session of the app may be closed.
            return _Seen(user, epoch_of(user)) if user is not None and user.is_active else None

    def of_request(incoming: Any) -> Any:
        proof: Granted | None = granted(incoming.environ)
        if proof is None or proof.cookies:
            return before(incoming) if before is not None else None
        return logins._user_callback(proof.id) if proof.id is not None else None

    logins.request_loader(of_request)
    return Identity(
        load_user=load,
        id_of=lambda user: str(user.get_id()),
        epoch_of=lambda user: user.epoch if isinstance(user, _Seen) else epoch_of(user),
        user_of=_signed_in,
        permitted=None if permitted is None else lambda seen, method, path: permitted(seen.user, method, path),
    )


class _Seen:
    """A user as they were loaded, with the epoch of that moment."""

    def __init__(self, user: Any, epoch: str) -> None:
        self.user, self.epoch = user, epoch


def _signed_in(source: Any) -> Any:
    found = source._get_current_object() if hasattr(source, "_get_current_object") else source
    return found if getattr(found, "is_authenticated", False) else None
