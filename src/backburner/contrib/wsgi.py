"""`WsgiBridge`: the web side, which is an ASGI app, for frameworks and servers that speak WSGI.

bridge = WsgiBridge(lambda: web_app(jobs, resolve_user=who))     # a WSGI app, to be mounted

One event loop per process, in a thread of its own, serves all requests. While WSGI waits for an answer it holds
a thread of the server, so nothing waits here: long polls are answered at once, and streams end after one look.
Browsers come back for the next one every second.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import find_spec
from itertools import chain
from typing import Any, NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from backburner.errors import MissingExtra
from backburner.web.events import BRIEF

if find_spec("a2wsgi") is None:
    raise MissingExtra("a2wsgi", "web", "backburner.contrib.wsgi")

from a2wsgi import ASGIMiddleware

_READS = ("GET", "HEAD")
_TASK = "backburner.task"

StartResponse = Callable[..., Any]


class Answer(NamedTuple):
    """What the app answered; `status` is "200 OK". Close `body` when it is not read to its end."""

    status: str
    headers: list[tuple[str, str]]
    body: Body


class WsgiBridge:
    """A WSGI app. `make` makes the ASGI app behind it, at the first request of each process.

    That app finds the environment of the request in `scope["wsgi_environ"]`.
    """

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make = make
        # By process: a loop's thread does not live on in a fork.
        self._made: dict[int, ASGIMiddleware] = {}

    def __call__(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """One request as WSGI knows it."""
        answer = self.answer(environ)
        start_response(answer.status, answer.headers)
        return answer.body

    def answer(self, environ: Mapping[str, Any]) -> Answer:
        """One request; returns when its headers and the first part of its body are there."""
        own = dict(environ)
        if own["REQUEST_METHOD"] in _READS:
            own.pop("HTTP_PREFER", None)
        said: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: object = None) -> Callable[[bytes], object]:
            said.append((status, headers))
            return lambda _: None

        bridge = self._bridge()
        own["wsgi.input"] = _Input(own["wsgi.input"])
        parts = iter(bridge(own, start_response))  # type: ignore[arg-type]
        try:
            first = next(parts)
        except BaseException:
            if (task := own.get(_TASK)) is not None:
                bridge.loop.call_soon_threadsafe(task.cancel)
            raise
        status, headers = said[0]
        return Answer(status, headers, Body(chain((first,), parts), bridge.loop, own))

    def _bridge(self) -> ASGIMiddleware:
        found = self._made.get(os.getpid())
        if found is None:
            # Two threads that come first at once make two, and both use the one that was put down first.
            found = self._made.setdefault(os.getpid(), ASGIMiddleware(_brief(self._make())))  # type: ignore[arg-type]
        return found


class _Input:
    """The body of a request. One that ends before its announced length is an error: the bridge would ask for ever."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def read(self, size: int = -1) -> bytes:
        found: bytes = self._inner.read(size)
        if not found and size:
            raise OSError("the request ended before its body was here")
        return found


class Body:
    """The parts of an answer. Closed early, as a server does when its client has gone, it ends the app's task."""

    def __init__(self, parts: Iterator[bytes], loop: asyncio.AbstractEventLoop, environ: Mapping[str, Any]) -> None:
        self._parts, self._loop, self._environ = parts, loop, environ

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._parts)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._environ[_TASK].cancel)


def _brief(app: ASGIApp) -> ASGIApp:
    async def briefly(scope: Scope, receive: Receive, send: Send) -> None:
        scope[BRIEF] = True
        scope["wsgi_environ"][_TASK] = asyncio.current_task()
        await app(scope, receive, send)

    return briefly
