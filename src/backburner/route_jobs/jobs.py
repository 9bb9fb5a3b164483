"""`RouteJobs`: an app's routes as jobs."""

from __future__ import annotations

import secrets as chance
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import unquote

from backburner.attachment import Attachment
from backburner.context import JobContext, current_job
from backburner.errors import InvalidOption, SettingsError, StoreUnavailable
from backburner.grant import HEADER, Grant, GrantKeys, Request
from backburner.hooks import Hook, JobProcess
from backburner.job import Job, SealedCookies
from backburner.options import CallOptions, TaskOptions
from backburner.outcome import PermanentError
from backburner.requesting import RouteOptions
from backburner.route_jobs.answer import MAX_ANSWER, TEMPORARY, Reading
from backburner.route_jobs.asgi import AsgiApp, AsgiCaller, AsgiGate
from backburner.route_jobs.cookies import CookieBox
from backburner.route_jobs.gate import Gate
from backburner.route_jobs.http import HttpCaller
from backburner.route_jobs.identity import Identity, sealed_epoch
from backburner.route_jobs.mark import Marked, listed
from backburner.route_jobs.outgoing import Body, Caller, Outgoing
from backburner.route_jobs.request import (
    GivenFile,
    StoredFile,
    StoredRequest,
    checked_files,
    checked_headers,
    checked_keep,
    content_of,
    fields_of,
)
from backburner.route_jobs.wsgi import WsgiApp, WsgiCaller, WsgiGate
from backburner.seal import ROUTE_TASK
from backburner.target import checked_method, checked_path, checked_query, checked_site
from backburner.task import Task, declare

if TYPE_CHECKING:
    from backburner.backburner import Backburner

COOKIE_SECONDS = 900.0
_FIXED = frozenset({"name", "aliases", "former", "codec", "pickle_types", "api"})
"""Options of a task by which its rows could come under another name, unsigned, or over HTTP."""
_OWN = frozenset(RouteOptions.__annotations__) - frozenset(CallOptions.__annotations__)


class RouteJobs:
    """Lets marked routes of an app run as jobs of `jobs`; there is one per app. Needs the setting `secret`.

    `marked` says which: "POST /reports/build" and so on, or a function of method and path. `identity` is what
    the app says of its users; without it jobs run as nobody. Routes are called inside the worker, through
    `wsgi(app)` or `asgi(app)`; with `url` over HTTP, at that address and nowhere else. `site` is how the app is
    addressed from outside. `temporary` are the statuses that are tried again, `max_answer` the bytes an answer
    may have. `cookies` names those that `with_cookies` may take along, for `cookie_seconds`. All else are
    options of the task "backburner.route".

        routes = RouteJobs(jobs, marked=["POST /reports/build"])
        app = routes.wsgi(app)
    """

    def __init__(
        self,
        jobs: Backburner,
        *,
        marked: Marked | Iterable[str],
        identity: Identity | None = None,
        url: str | None = None,
        site: str = "http://localhost",
        temporary: Collection[int] = TEMPORARY,
        max_answer: int = MAX_ANSWER,
        cookies: Iterable[str] = (),
        cookie_seconds: float = COOKIE_SECONDS,
        **task: Unpack[TaskOptions],
    ) -> None:
        secrets = jobs.settings.secrets
        if not secrets:
            raise SettingsError(
                "secret", None, "is not set, and requests of route jobs are signed with it",
                "Set BACKBURNER_SECRET to 16 characters or more, from secrets.token_urlsafe()",
            )  # fmt: skip
        if isinstance(max_answer, bool) or not isinstance(max_answer, int) or max_answer < 0:
            raise InvalidOption("max_answer", max_answer, "is no number of bytes", "Give 0 or more")
        self._jobs, self._identity, self._secrets = jobs, identity, secrets
        self._marked: Marked = marked if callable(marked) else listed(marked)
        self._keys, self._temporary, self._most = GrantKeys(secrets), frozenset(temporary), max_answer
        names = tuple(cookies)
        self._cookies = CookieBox(secrets, names) if names else None
        self._cookie_life = timedelta(seconds=cookie_seconds)
        self.site = checked_site("url", url) if url is not None else checked_site("site", site)
        self.gate = Gate(lambda: jobs.store, secrets, identity, self._marked, networked=url is not None)
        self._caller: Caller | None = HttpCaller(self.site) if url is not None else None
        self._networked = url is not None
        for name in _FIXED & task.keys():
            raise InvalidOption(name, task[name], "cannot be said of route jobs", "Leave it out")  # type: ignore[literal-required]
        usual: TaskOptions = {"capture_print": True}
        usual.update(task)
        usual["name"] = ROUTE_TASK

        def route(request: StoredRequest) -> dict[str, Any]:
            return self._run(request)

        # A hook of this task alone: one of the app's would be asked at every job.
        usual["hooks"] = [*usual.get("hooks", ()), _Closing(self)]
        self.task: Task[[StoredRequest], dict[str, Any]] = declare(route, jobs._enqueuer, usual)
        jobs.registry.add(self.task, listed=False)
        jobs._routes = self

    def wsgi(self, app: WsgiApp) -> WsgiGate:
        """The app as it is to be served, and called by jobs."""
        gated = WsgiGate(app, self.gate)
        self.call_wsgi(gated)
        return gated

    def asgi(self, app: AsgiApp) -> AsgiGate:
        """The app as it is to be served, and called by jobs."""
        gated = AsgiGate(app, self.gate)
        self.call_asgi(gated)
        return gated

    def call_wsgi(self, app: WsgiApp) -> None:
        """Call this app, which has a `WsgiGate` somewhere inside."""
        if not self._networked:
            self._caller = WsgiCaller(app, self.site)

    def call_asgi(self, app: AsgiApp) -> None:
        """Call this app, which has an `AsgiGate` somewhere inside."""
        if not self._networked:
            self._caller = AsgiCaller(app, self.site)

    def close(self) -> None:
        """End what was started for requests: the lifespan of the app, in this process."""
        if self._caller is not None:
            self._caller.close()

    def enqueue(self, method: str, path: str, **options: Unpack[RouteOptions]) -> Job:
        """What `jobs.route` does."""
        given: dict[str, Any] = dict(options)
        own = {name: given.pop(name) for name in _OWN if name in given}
        files, cookies = checked_files(own.get("files")), self._with_cookies(own)
        request = self._request(method, path, own, bool(files))
        if request.user is not None:
            given.setdefault("owner", request.user)
        given.setdefault("title", f"{request.method} {request.path[:400]}")
        # Checked before anything is stored.
        task = self.task.options(**given)
        if not files and cookies is None:
            return self._named(task, request, given).enqueue(request)
        return self._with_more(task, request, given, files, cookies)

    def _with_more(
        self, task: Task[..., Any], request: StoredRequest, given: Mapping[str, Any], files: list[GivenFile],
        cookies: Mapping[str, str] | None,
    ) -> Job:  # fmt: skip
        """Store a request with what has places of its own; when the job is not stored, neither is that.

        In a transaction of the caller's, and in a bulk, the bytes of files are there before the job is: those of
        a job that is rolled back stay behind, with nothing that leads to them. So do those of a job of which the
        database did not say whether it was stored: if it was, it needs them.
        """
        jobs, job_id = self._jobs, self._jobs._enqueuer.new_id()
        kept: list[Attachment] = []
        sealed = None
        try:
            for one in files:
                file = jobs.files.keep(job_id, one.name, one.file, one.media_type, jobs.store.clock.now())
                kept.append(file)
                request.files.append(StoredFile(one.field, file.name, file.media_type, file.place))
            if cookies is not None and self._cookies is not None:
                until = jobs.store.clock.now() + self._cookie_life
                sealed = SealedCookies(self._cookies.closed(job_id, cookies), until)
            stored = jobs._enqueuer.enqueue_with(
                job_id, self._named(task, request, given), (request,), kept, sealed
            )  # fmt: skip
        except StoreUnavailable:
            raise
        except Exception:
            self._discard(kept)
            raise
        if stored.id != job_id:
            self._discard(kept)
        return stored

    def _discard(self, kept: Iterable[Attachment]) -> None:
        for file in kept:
            self._jobs.files.delete(file.place)

    def _named(self, task: Task[..., Any], request: StoredRequest, given: Mapping[str, Any]) -> Task[..., Any]:
        """The task, with what makes equal requests equal: not their ids of files, nor their borders."""
        if given.get("unique") is None or given.get("identifier") is not None:
            return task
        return task.options(identifier=request.identifier(self._jobs.files, self._secrets[0]))

    def _request(self, method: str, path: str, own: Mapping[str, Any], has_files: bool) -> StoredRequest:
        verb, checked = checked_method(method), checked_path(path)
        if not self._marked(verb, _plain(checked)):
            raise InvalidOption(
                "path", path, f"no marked route answers {verb} there", "Mark the view with @background_route"
            )
        if verb in ("GET", "HEAD") and (own.get("form") is not None or "json" in own or has_files):
            raise InvalidOption("method", method, "has no body", "Give the fields as query={...}")
        content_type, body = content_of(own.get("form"), own.get("json"), "json" in own, has_files)
        principal = None
        if own.get("as_user") is not None:
            if self._identity is None:
                raise InvalidOption("as_user", own["as_user"], "this app's RouteJobs knows no users", "Give identity=")
            principal = self._identity.principal(own["as_user"])
        return StoredRequest(
            verb, checked, checked_query(fields_of("query", own.get("query"))), content_type, body, [],
            checked_headers(own.get("headers")), checked_keep(own.get("keep_headers", ())),
            principal.id if principal is not None else None,
            sealed_epoch(self._secrets[0], principal) if principal is not None else None,
            own.get("with_cookies") is not None,
        )  # fmt: skip

    def _with_cookies(self, own: Mapping[str, Any]) -> Mapping[str, str] | None:
        source = own.get("with_cookies")
        if source is None:
            return None
        if own.get("as_user") is not None:
            raise InvalidOption("with_cookies", None, "is given beside as_user", "Give one of them")
        if self._cookies is None:
            raise InvalidOption("with_cookies", None, "is not allowed here", "Name them: RouteJobs(cookies=[...])")
        found = getattr(source, "cookies", getattr(source, "COOKIES", source))
        if not isinstance(found, Mapping):
            raise InvalidOption("with_cookies", None, "is no request and no mapping of cookies", "Pass the request")
        return found

    def _run(self, request: StoredRequest) -> dict[str, Any]:
        """The body of the task."""
        job = current_job()
        if not isinstance(job, JobContext) or job.id is None or self._caller is None:
            raise PermanentError("This process has no app to call: serve it through RouteJobs.wsgi or .asgi.")
        # Also what is signed was checked by other code, and another configuration, than what is here now.
        path = checked_path(request.path)
        if not self._marked(checked_method(request.method), _plain(path)):
            raise PermanentError("There is no such route any more, or it is not marked any more.")
        body = request.written(self._jobs.files)
        reading = Reading(self._temporary, self._most, request.keep)
        try:
            outgoing = self._outgoing(job, job.id, request, f"{self.site.prefix}{path}", body)
            with self._caller.call(outgoing, lambda: _stop(job)) as answer:
                result = reading.read(job, answer, path)
            job.check()
        except PermanentError:
            self._wipe(job, job.id, request)
            raise
        finally:
            body.file.close()
        self._wipe(job, job.id, request)
        return result

    def _outgoing(self, job: JobContext, job_id: str, request: StoredRequest, path: str, body: Body) -> Outgoing:
        """The request with its grant."""
        store = self._jobs.store
        headers = [("Host", self.site.host), ("User-Agent", "Backburner"), *request.headers.items()]
        if request.content_type:
            headers.append(("Content-Type", request.content_type))
        if request.cookies:
            headers.append(("Cookie", self._opened_cookies(job_id)))
        grant = Grant(
            job=job_id, attempt=job.attempt, nonce=chance.token_hex(16), at=store.clock.now().timestamp(),
            length=body.length, digest=body.digest, user=request.user, epoch=request.epoch, cookies=request.cookies,
        )  # fmt: skip
        store.grants.give(job_id, job.attempt, grant.nonce)
        signed = Request(request.method, path, request.query, request.content_type)
        headers.append((HEADER, self._keys.sign(grant, signed)))
        return Outgoing(request.method, path, request.query, headers, body)

    def _opened_cookies(self, job_id: str) -> str:
        sealed = self._jobs.store.grants.cookies(job_id)
        if sealed is None or self._cookies is None:
            raise PermanentError("The cookies it was to run with are over.")
        return self._cookies.opened(job_id, sealed)

    def _wipe(self, job: JobContext, job_id: str, request: StoredRequest) -> None:
        if request.cookies:
            self._jobs.store.grants.wipe(job_id, job.attempt)


class _Closing(Hook):
    """Ends what route jobs started, with the last worker of the process that ran them."""

    def __init__(self, routes: RouteJobs) -> None:
        self._routes, self._open = routes, set[JobProcess]()

    def on_start(self, process: JobProcess) -> None:
        self._open.add(process)

    def on_end(self, process: JobProcess) -> None:
        self._open.discard(process)
        # Those of the parent are known to a forked child as well.
        if not any(other.pid == process.pid for other in self._open):
            self._routes.close()


def _plain(path: str) -> str:
    return unquote(path)


def _stop(job: JobContext) -> None:
    """Raise what the job was told; waiting for an answer is no sign of life."""
    if job._stop is not None:
        raise job._stop
