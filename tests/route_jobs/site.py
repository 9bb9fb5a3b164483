"""A small app, as WSGI and as ASGI: its views say what they got, and do what route jobs have to cope with."""

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from backburner import PermanentError, current_job
from backburner.route_jobs import Granted, Identity, RouteJobs, granted
from backburner.route_jobs.outgoing import Answer, Body, Outgoing

MARKED = [
    "POST /build", "GET /build", "PUT /build", "GET /status", "GET /stream", "GET /large", "GET /file",
    "GET /raises", "GET /never", "POST /other", "GET /words", "GET /bare",
]  # fmt: skip


@dataclass
class User:
    """Somebody who may sign in."""

    id: str
    password: str = "first"
    active: bool = True
    may: bool = True


@dataclass
class People:
    """The app's users, by id."""

    known: dict[str, User] = field(default_factory=dict)

    def add(self, name: str) -> User:
        return self.known.setdefault(name, User(name))

    def load(self, user_id: str) -> User | None:
        user = self.known.get(user_id)
        return user if user is not None and user.active else None

    @property
    def identity(self) -> Identity:
        return Identity(
            load_user=self.load, id_of=lambda user: user.id, epoch_of=lambda user: user.password,
            permitted=lambda user, method, path: user.may,
        )  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """A request as a view sees it."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    proof: Granted | None


class Site:
    """The views. `seen` has every request that reached one, `gone_on` is set when `/never` ends."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.running, self.ended = threading.Event(), threading.Event()

    def answer(self, seen: Seen) -> tuple[int, list[tuple[str, str]], Iterator[bytes]]:
        """Status, headers and body of everything but /never."""
        self.seen.append(seen)
        text = ("content-type", "text/plain; charset=utf-8")
        if seen.path == "/status":
            number = int(seen.query.partition("=")[2].partition("&")[0])
            more = [("location", "http://169.254.169.254/latest")] if number < 400 else [("retry-after", "30")]
            return number, [text, *more], iter([b"said\n"])
        if seen.path == "/large":
            return 200, [text], (b"x" * 1000 + b"\n" for _ in range(1000))
        if seen.path == "/file":
            named = ("content-disposition", 'attachment; filename="r\u00e9sum\u00e9.pdf"'.encode().decode("latin-1"))
            return 200, [("content-type", "application/pdf"), named], iter([b"%PDF", b"-1.4"])
        if seen.path == "/words":
            euro = "1 \u20ac\n2 \u20ac".encode()
            return 200, [text, ("set-cookie", "canary=1"), ("etag", '"7"')], iter([euro[:3], euro[3:9], euro[9:]])
        if seen.path == "/bare":
            return 204, [], iter([])
        if seen.path == "/raises":
            raise PermanentError("The view has said no.")
        job = current_job()
        who = seen.proof.user.id if seen.proof is not None and seen.proof.user is not None else None
        said = {"job": job.id if job is not None else None, "user": who, "body": seen.body.decode("latin-1")}
        return 200, [text], iter([json.dumps(said).encode() + b"\n"])

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        names = {key: value for key, value in environ.items() if key.startswith("HTTP_") or key == "CONTENT_TYPE"}
        headers = {key.removeprefix("HTTP_").replace("_", "-").lower(): value for key, value in names.items()}
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        path = environ["PATH_INFO"].encode("latin-1").decode()
        seen = Seen(environ["REQUEST_METHOD"], path, environ["QUERY_STRING"], headers, body, granted(environ))
        status, more, pieces = self.answer(seen)
        start_response(f"{status} Said", more)
        return pieces

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        query = scope["query_string"].decode()
        seen = Seen(scope["method"], scope["path"], query, headers, body, granted(scope))
        if seen.path == "/never":
            self.running.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.ended.set()
        status, found, pieces = self.answer(seen)
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in found]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    async def _lifespan(self, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return


class Tap:
    """Stands before the caller of route jobs: sends changed requests first, and keeps what was answered."""

    def __init__(self, routes: RouteJobs) -> None:
        assert routes._caller is not None
        self.caller, self.outgoing = routes._caller, list[Outgoing]()
        self.before: list[Callable[[Outgoing], Outgoing]] = []
        self.on_the_way: Callable[[Outgoing], Outgoing] = lambda sent: sent
        self.answers: list[tuple[int, str | None]] = []
        routes._caller = self

    def send(self, outgoing: Outgoing) -> tuple[int, str | None]:
        """Make a request: its status, and why it was refused."""
        with self.caller.call(outgoing, lambda: None) as answer:
            for _ in answer.pieces:
                pass
            return answer.status, answer.header("backburner-refused")

    @contextmanager
    def call(self, outgoing: Outgoing, stopped: Callable[[], None]) -> Iterator[Answer]:
        # The job closes its body at its end; a thief keeps a copy.
        kept = outgoing.body._replace(file=io.BytesIO(b"".join(outgoing.pieces)))
        self.outgoing.append(replace(outgoing, body=kept))
        self.answers += [self.send(change(outgoing)) for change in self.before]
        with self.caller.call(self.on_the_way(outgoing), stopped) as answer:
            yield answer

    def close(self) -> None:
        self.caller.close()


def with_header(outgoing: Outgoing, name: str, value: str | None) -> Outgoing:
    """The request with one header set anew, or without it."""
    kept = [(found, text) for found, text in outgoing.headers if found != name]
    return replace(outgoing, headers=[*kept, (name, value)] if value is not None else kept)


def with_body(outgoing: Outgoing, body: bytes) -> Outgoing:
    """The request with another body, and the length of that."""
    return replace(outgoing, body=Body(io.BytesIO(body), len(body), outgoing.body.digest))
