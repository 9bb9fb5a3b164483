"""WSGI: the middleware that verifies grants, and the caller that runs the app in the job's own thread."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import IO, Any
from urllib.parse import unquote_to_bytes

from backburner.errors import StoreError
from backburner.grant import HEADER, Grant, Refused, Request
from backburner.route_jobs.gate import FROM_HERE, GRANTED, INSIDE, REFUSED, Gate, Spool
from backburner.route_jobs.outgoing import PIECE, Answer, Headers, Outgoing
from backburner.target import Site, spelled

Environ = dict[str, Any]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_HEADER = f"HTTP_{HEADER.upper().replace('-', '_')}"
_WHO = ("HTTP_COOKIE", "HTTP_AUTHORIZATION", "REMOTE_USER")


class WsgiGate:
    """Lets requests of route jobs in when they prove to be some; all others go by, but those that pretend to be."""

    def __init__(self, app: WsgiApp, gate: Gate) -> None:
        self._app, self._gate = app, gate

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """One request."""
        token = environ.get(_HEADER)
        if token is None:
            return self._app(environ, start_response)
        try:
            body = self._admit(environ, token)
        except Refused as refused:
            return _refusal(start_response, "403 Forbidden", str(refused))
        except StoreError:
            return _refusal(start_response, "503 Service Unavailable", "The database does not answer.")
        return self._app(environ | {"wsgi.input": body}, start_response)

    def _admit(self, environ: Environ, token: str) -> IO[bytes]:
        gate, method = self._gate, str(environ["REQUEST_METHOD"])
        path = _decoded(environ, "PATH_INFO")
        request = Request(
            method, spelled(_decoded(environ, "SCRIPT_NAME") + path), environ.get("QUERY_STRING", ""),
            environ.get("CONTENT_TYPE", ""),
        )  # fmt: skip
        grant = gate.opened(token, request, inside=environ.get(INSIDE) is FROM_HERE)
        body = _body(environ, grant)
        gate.used(grant, method, path)
        user = gate.identity.load(grant.user) if gate.identity is not None and grant.user is not None else None
        environ[GRANTED] = gate.admitted(grant, user, method, path)
        for name in (_HEADER, *(() if grant.cookies else _WHO)):
            environ.pop(name, None)
        return body


class WsgiCaller:
    """Calls the app as a server would; context variables of the job hold inside."""

    def __init__(self, app: WsgiApp, site: Site) -> None:
        self._app, self._site = app, site

    @contextmanager
    def call(self, outgoing: Outgoing, stopped: Callable[[], None]) -> Iterator[Answer]:
        """The answer as it comes."""
        started: list[tuple[str, Headers]] = []
        written: list[bytes] = []
        sent = False

        def start_response(status: str, headers: Headers, problem: Any = None) -> Callable[[bytes], None]:
            # What was sent cannot be taken back: the app hears its own error again.
            if problem is not None and (sent or written):
                raise problem[1]
            started[:] = [(status, headers)]
            return written.append

        result = self._app(self._environ(outgoing), start_response)
        try:
            pieces = iter(result)
            # An app may wait with its status until its first piece is asked for.
            first = next((piece for piece in pieces if piece), b"")
            if not started:
                raise RuntimeError("the WSGI app has not called start_response")
            (status, headers), sent = started[0], True
            yield Answer(
                int(status.split(" ", 1)[0]), [(name.lower(), value) for name, value in headers],
                self._rest(written, first, pieces, stopped),
            )  # fmt: skip
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def close(self) -> None:
        """Nothing is kept."""

    def _rest(
        self, written: list[bytes], first: bytes, pieces: Iterator[bytes], stopped: Callable[[], None]
    ) -> Iterator[bytes]:
        for piece in chain([first], pieces, [b""]):
            stopped()
            # What was handed to `write` comes first.
            yield b"".join([*written, piece])
            written.clear()

    def _environ(self, outgoing: Outgoing) -> Environ:
        site, prefix = self._site, self._site.prefix
        outgoing.body.file.seek(0)
        environ: Environ = {
            "REQUEST_METHOD": outgoing.method,
            "SCRIPT_NAME": _wsgi_text(prefix),
            "PATH_INFO": _wsgi_text(outgoing.path[len(prefix) :]),
            "QUERY_STRING": outgoing.query,
            "SERVER_NAME": site.name,
            "SERVER_PORT": str(site.port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_LENGTH": str(outgoing.body.length),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": site.scheme,
            "wsgi.input": outgoing.body.file,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            INSIDE: FROM_HERE,
        }
        for name, value in outgoing.headers:
            key = name.upper().replace("-", "_")
            environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
        return environ


def _body(environ: Environ, grant: Grant) -> IO[bytes]:
    """The body, if it is the one that was signed. Raises `Refused`."""
    if (environ.get("CONTENT_LENGTH") or "0") != str(grant.length):
        raise Refused("The body is not the one that was signed.")
    spool, source, left = Spool(grant), environ.get("wsgi.input") or io.BytesIO(), grant.length
    try:
        while left and (piece := source.read(min(PIECE, left))):
            left -= len(piece)
            spool.write(piece)
        return spool.whole()
    except BaseException:
        spool.close()
        raise


def _decoded(environ: Environ, name: str) -> str:
    """A path as text: WSGI has its bytes as characters of Latin-1."""
    return str(environ.get(name, "")).encode("latin-1", "replace").decode("utf-8", "surrogateescape")


def _wsgi_text(path: str) -> str:
    return unquote_to_bytes(path).decode("latin-1")


def _refusal(start_response: Callable[..., Any], status: str, reason: str) -> list[bytes]:
    body = f"{reason}\n".encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), (REFUSED, reason)]
    start_response(status, headers)
    return [body]
