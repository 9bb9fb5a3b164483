"""`FlaskBackburner`: everything of Backburner in a Flask app."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast

from flask import Flask, current_app, flash, has_request_context, redirect, request

from backburner.backburner import Backburner
from backburner.contrib.flask import config as configs
from backburner.contrib.flask import program
from backburner.contrib.flask.commands import commands
from backburner.contrib.flask.contexts import JobContexts
from backburner.contrib.flask.links import path_rule
from backburner.contrib.flask.route_jobs import FlaskRoutes, login_identity
from backburner.contrib.flask.site import NAME, Site, prepare
from backburner.contrib.flask.taking import take
from backburner.contrib.flask.users import Users
from backburner.errors import InvalidOption, StoreError
from backburner.job import Job
from backburner.options import CallOptions
from backburner.route_jobs import Identity, background_route, granted
from backburner.route_jobs.taking import WRITES
from backburner.settings import Settings
from backburner.web import respond
from backburner.web.page_parts import PageParts

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

V = TypeVar("V", bound=Callable[..., Any])


class FlaskBackburner:
    """Attaches `jobs` to Flask apps; without `jobs` it makes one, which the config of the app may set up.

    `user()` says who makes a request, None for nobody; without it that is Flask-Login. Where that is neither a text
    nor a `User`, `id_of(user)` gives its id. `operator(user)` says who may see and do everything, `access(user)` names
    what others may on the operators' pages, as `resolve_access` does.

    Where the jobs are in the database of Flask-SQLAlchemy, `db` puts what a request enqueues into its session: there
    with the commit, gone with the rollback. `at` is where the web side is mounted. `holding_template` is a template of
    the app's own around the holding page; it gets `holding`.

    With the setting `secret` marked routes may run as jobs: for users of Flask-Login `epoch_of(user)` is needed, a
    text that changes with the password; others give an `identity`, and `sign_in`. `routes` are more options of
    `FlaskRoutes`.

        backburner = FlaskBackburner(jobs, app)
    """

    def __init__(
        self, jobs: Backburner | None = None, app: Flask | None = None, *, user: Callable[[], Any] | None = None,
        id_of: Callable[[Any], object] | None = None, operator: Callable[[Any], object] | None = None,
        access: Callable[[Any], object] | None = None, db: Any = None, at: str = "/backburner",
        holding_template: str | None = None, epoch_of: Callable[[Any], str] | None = None,
        identity: Identity | None = None, sign_in: Callable[[Any], object] | None = None,
        routes: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        if isinstance(jobs, Flask):
            raise InvalidOption("jobs", jobs, "is the app", "Write FlaskBackburner(jobs, app)")
        if db is not None and not hasattr(db, "session"):
            raise InvalidOption("db", db, "has no session", "Pass the SQLAlchemy object of Flask-SQLAlchemy")
        self.jobs: Backburner = jobs if jobs is not None else Backburner()
        self.routes: FlaskRoutes | None = None
        self._users, self._db, self._at = Users(user, id_of, operator, access), db, configs.checked_at(at)
        self._site = Site(self.jobs, self._users, holding_template)
        self._epoch_of, self._identity = epoch_of, identity
        self._route_options = {"sign_in": sign_in, **(routes or {})}
        self._app: Flask | None = None
        self.parts: PageParts = PageParts(lambda: self.at)
        self.jobs.hooks.add(JobContexts(self._running_app))
        self.jobs.surroundings.add(owner=self._owner, connection=self._session)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Attach to an app. Extensions whose users or session are used come first: login manager, `db`.

        `BACKBURNER_*` keys of its config are settings, and `BACKBURNER_AT`. Raises `SettingsError`, `InvalidOption`.
        """
        if app.extensions.get(NAME) is self:
            return
        said = configs.read(app.config)
        settings = dict(said.settings)
        if self._db is not None and "url" not in settings and self.jobs.settings.url == Settings().url:
            settings["url"] = _url_of(self._db, app)
        if settings:
            configs.apply(self.jobs, settings)
        self._app, self._at = app, said.at or self._at
        app.extensions[NAME] = self
        app.register_blueprint(self._site.blueprint(self._at, path_rule(app)))
        app.before_request_funcs.setdefault(None, [])[:0] = [prepare, self._make_tables]
        app.jinja_env.globals[NAME] = self.parts
        app.cli.add_command(commands)
        if self.jobs.settings.secret is not None:
            self._add_routes(app)

    @property
    def at(self) -> str:
        """Where the web side is, as browsers see it."""
        return (request.script_root if has_request_context() else "") + self._at

    def respond(
        self,
        job: Job,
        *,
        wait: float = 0.5,
        then: str | None = None,
        failed: str | None = None,
        token: str | None = None,
    ) -> Response:
        """What a view returns that has started a job: `backburner.web.respond` as a redirect.

        return backburner.respond(export.enqueue("2026-10"), then=url_for("thanks"))
        """
        reply = respond(job, wait=wait, then=then, failed=failed, at=self.at, token=token)
        return redirect(reply.location, reply.status)

    def in_background(
        self, *, wait: float = 0.5, then: str | None = None, failed: str | None = None,
        methods: Collection[str] = WRITES, **options: Unpack[CallOptions],
    ) -> Callable[[V], V]:  # fmt: skip
        """Have a view run as a job of who asks: the answer is `respond(job, wait=..., then=..., failed=...)`.

        Requests by other methods than `methods` are answered by the view at once. `options` are those of every job.
        Inside of other decorators, such as `login_required`, those hold for the first request and for the job.

            @app.post("/reports/build")
            @login_required
            @backburner.in_background(then="/reports")
            def build(): ...
        """

        def decorate(view: V) -> V:
            @functools.wraps(view)
            def answer(*args: Any, **kwargs: Any) -> Any:
                if request.method not in methods or granted(request.environ) is not None:
                    return current_app.ensure_sync(view)(*args, **kwargs)
                job = take(self.jobs, self._users.person(), options)
                if self._db is not None:
                    # It is all that this request does, and nobody can wait for what is not committed.
                    self._db.session.commit()
                return self.respond(job, wait=wait, then=then, failed=failed)

            return background_route(cast("V", answer))

        return decorate

    def flash(self, job: Job, category: str = "message", *, token: str | None = None) -> None:
        """Flash the notice that the job runs in the background, with a link to it."""
        flash(self.parts.notice(job, token=token), category)

    def _make_tables(self) -> None:
        # Before the session's transaction has begun: on SQLite that would be in the way.
        store = self.jobs.store if self._db is not None and self.jobs.settings.migrates_itself else None
        if store is not None and not store.callers.prepared:
            # What is wrong with the database is for whoever needs it.
            with suppress(StoreError):
                store.callers.prepare()

    def _add_routes(self, app: Flask) -> None:
        identity = self._identity
        if self._epoch_of is not None:
            identity = login_identity(app, self._epoch_of)
        if self.routes is None:
            self.routes = FlaskRoutes(self.jobs, app, identity=identity, **self._route_options)
        else:
            self.routes.attach(app, identity)

    def _running_app(self) -> Flask:
        """The app that jobs of this process run in; found as `flask` finds one where none was made yet."""
        if self._app is None:
            program.flask_app()
        if self._app is None:
            raise program.without_extension()
        return self._app

    def _here(self) -> bool:
        # The loop behind our own pages has the context of their request, and nobody would commit its session.
        here = has_request_context() and request.blueprint != NAME
        return here and current_app.extensions.get(NAME) is self

    def _owner(self) -> str | None:
        user = self._users.present() if self._here() else None
        return None if user is None else user.id

    def _session(self) -> object | None:
        return self._db.session if self._db is not None and self._here() else None


def _url_of(db: Any, app: Flask) -> str:
    with app.app_context():
        return str(db.engine.url.render_as_string(hide_password=False))
