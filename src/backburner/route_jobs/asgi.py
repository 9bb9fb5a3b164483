"""ASGI: the middleware that verifies grants, and the caller that runs the app on a loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import IO, Any, TypeAlias
from urllib.parse import unquote_to_bytes

from backburner.errors import StoreError
from backburner.grant import HEADER, Grant, Refused, Request
from backburner.route_jobs.gate import FROM_HERE, GRANTED, INSIDE, REFUSED, Gate, Spool
from backburner.route_jobs.loop import CallLoop, Send
from backburner.route_jobs.outgoing import PIECE, Answer, Outgoing
from backburner.target import Site, spelled

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
SendMessage: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, SendMessage], Awaitable[None]]

_HEADER = HEADER.lower().encode()
_WHO = (b"cookie", b"authorization")


class AsgiGate:
    """Lets requests of route jobs in when they prove to be some; all others go by, but those that pretend to be."""

    def __init__(self, app: AsgiApp, gate: Gate) -> None:
        self._app, self._gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: SendMessage) -> None:
        """One connection."""
        tokens = [value for name, value in scope.get("headers", ()) if name.lower() == _HEADER]
        if not tokens:
            await self._app(scope, receive, send)
            return
        try:
            if scope["type"] != "http" or len(tokens) > 1:
                raise Refused("The grant cannot be read.")
            granted_scope, body = await self._admit(scope, receive, tokens[0].decode("latin-1"))
        except (Refused, StoreError) as error:
            await _refuse(scope, send, error)
            return
        try:
            await self._app(granted_scope, _receiver(body, receive), send)
        finally:
            body.close()

    async def _admit(self, scope: Scope, receive: Receive, token: str) -> tuple[Scope, IO[bytes]]:
        gate, method, root = self._gate, str(scope["method"]), str(scope.get("root_path", ""))
        headers = [(name.lower(), value) for name, value in scope["headers"]]
        whole = str(scope["path"])
        types = [value.decode("latin-1") for name, value in headers if name == b"content-type"]
        request = Request(
            method, spelled(whole), scope.get("query_string", b"").decode("latin-1"), ",".join(types)
        )  # fmt: skip
        inside = scope.get(INSIDE) is FROM_HERE
        grant = await asyncio.to_thread(gate.opened, token, request, inside=inside)
        body = await _body(receive, grant)
        path = whole.removeprefix(root) or "/"
        try:
            await asyncio.to_thread(gate.used, grant, method, path)
            user = None
            if gate.identity is not None and grant.user is not None:
                user = await gate.identity.aload(grant.user)
            proof = await asyncio.to_thread(gate.admitted, grant, user, method, path)
        except BaseException:
            body.close()
            raise
        hidden = (_HEADER, *(() if grant.cookies else _WHO))
        return {**scope, GRANTED: proof, "headers": [each for each in headers if each[0] not in hidden]}, body


class AsgiCaller:
    """Calls the app as a server would, with its lifespan, which begins with the first request."""

    def __init__(self, app: AsgiApp, site: Site) -> None:
        self._app, self._site, self._loop = app, site, CallLoop()
        self._lifespan: _Lifespan | None = None

    @contextmanager
    def call(self, outgoing: Outgoing, stopped: Callable[[], None]) -> Iterator[Answer]:
        """The answer as it comes."""

        async def produce(send: Send) -> None:
            lifespan = self._lifespan
            if lifespan is None or lifespan.failed or lifespan.loop is not asyncio.get_running_loop():
                lifespan = self._lifespan = _Lifespan(self._app)
            state = await lifespan.started()
            sender = _Sender(send)
            await self._app(self._scope(outgoing, state), _receiver(outgoing.body.file, None), sender)
            if not sender.whole:
                raise RuntimeError("the app has ended before its answer did")

        outgoing.body.file.seek(0)
        with self._loop.answer(produce, stopped) as answer:
            yield answer

    def close(self) -> None:
        """End the lifespan, and the loop."""
        lifespan, self._lifespan = self._lifespan, None
        if lifespan is not None and lifespan.loop is self._loop.loop:
            self._loop.run(lifespan.end())
        self._loop.close()

    def _scope(self, outgoing: Outgoing, state: dict[str, Any]) -> Scope:
        site = self._site
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in outgoing.headers]
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": outgoing.method,
            "scheme": site.scheme,
            "path": unquote_to_bytes(outgoing.path).decode("utf-8", "replace"),
            "raw_path": outgoing.path.encode(),
            "query_string": outgoing.query.encode(),
            "root_path": unquote_to_bytes(site.prefix).decode(),
            "headers": [*headers, (b"content-length", str(outgoing.body.length).encode())],
            "client": ("127.0.0.1", 0),
            "server": (site.name, site.port),
            "state": dict(state),
            INSIDE: FROM_HERE,
        }


class _Lifespan:
    """Start and end of the app on the loop that runs; an app without is not asked again."""

    def __init__(self, app: AsgiApp) -> None:
        self.loop, self.failed = asyncio.get_running_loop(), False
        self._app, self._state = app, dict[str, Any]()
        self._wanted: asyncio.Queue[Message] = asyncio.Queue()
        self._began: asyncio.Future[None] = self.loop.create_future()
        self._ended: asyncio.Future[None] = self.loop.create_future()
        self._wanted.put_nowait({"type": "lifespan.startup"})
        self._task = self.loop.create_task(self._run())

    async def started(self) -> dict[str, Any]:
        """The state that requests get, as soon as the app is up. Raises what its start has failed with."""
        await asyncio.shield(self._began)
        return self._state

    async def end(self) -> None:
        """Let it end."""
        self._wanted.put_nowait({"type": "lifespan.shutdown"})
        await asyncio.wait([self._ended, self._task], timeout=5.0, return_when=asyncio.FIRST_COMPLETED)

    async def _run(self) -> None:
        scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state}
        try:
            await self._app(scope, self._wanted.get, self._told)
        except BaseException:  # noqa: BLE001 (an app may refuse what it does not know: then it needs no start)
            _settle(self._began)
        finally:
            _settle(self._began)
            _settle(self._ended)

    async def _told(self, message: Message) -> None:
        if message["type"] == "lifespan.startup.failed":
            # The next request starts it anew: what was missing may be there again.
            self.failed = True
            self._began.set_exception(RuntimeError(f"the app did not start: {message.get('message', '')}"))
        elif message["type"] == "lifespan.startup.complete":
            _settle(self._began)
        else:
            _settle(self._ended)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _receiver(body: IO[bytes], disconnected: Receive | None) -> Receive:
    """Hands a body out, and then whatever comes of the connection; without one, nothing more."""
    ended = False

    async def receive() -> Message:
        nonlocal ended
        if not ended:
            piece = body.read(PIECE)
            ended = len(piece) < PIECE
            return {"type": "http.request", "body": piece, "more_body": not ended}
        if disconnected is not None:
            return await disconnected()
        # The job listens until it is cancelled, and then this is.
        await asyncio.get_running_loop().create_future()
        return {"type": "http.disconnect"}

    return receive


class _Sender:
    """Hands an answer on; `whole` as soon as its last piece was there."""

    def __init__(self, send: Send) -> None:
        self._send, self.whole = send, False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message.get("headers", ())
            named = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers]
            await self._send((int(message["status"]), named))
        elif message["type"] == "http.response.body":
            if message.get("body"):
                await self._send(bytes(message["body"]))
            self.whole = not message.get("more_body", False)


async def _body(receive: Receive, grant: Grant) -> IO[bytes]:
    """The body, if it is the one that was signed. Raises `Refused`."""
    spool = Spool(grant)
    try:
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise Refused("The body did not come to its end.")
            spool.write(message.get("body", b""))
            more = bool(message.get("more_body", False))
        return spool.whole()
    except BaseException:
        spool.close()
        raise


async def _refuse(scope: Scope, send: SendMessage, error: Refused | StoreError) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    status, reason = (403, str(error)) if isinstance(error, Refused) else (503, "The database does not answer.")
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (REFUSED.lower().encode(), reason.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{reason}\n".encode()})
