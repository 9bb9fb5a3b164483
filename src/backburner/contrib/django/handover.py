"""Hands a request of Django's over to another ASGI app, and gives its answer back as it comes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from starlette.types import ASGIApp, Message

log = logging.getLogger(__name__)

_PIECE = 65_536
_TAKEN_SECONDS = 60.0
"""How long a part of an answer may wait to be taken: a client that went away before Django had begun takes none."""


async def handed_over(app: ASGIApp, request: ASGIRequest, root: str, more: Mapping[str, Any]) -> HttpResponseBase:
    """What `app`, mounted at `root`, answers. `more` goes into its scope.

    No thread is held, however long it takes; when the client goes away, the app's task ends.
    """
    # As Django's settings say, which know what a proxy in front of it says of the host.
    headers = [pair for pair in request.scope["headers"] if pair[0] != b"host"]
    headers.append((b"host", request.get_host().encode()))
    query = request.META.get("QUERY_STRING", "").encode("latin-1")
    place = {"root_path": root, "path": request.path, "query_string": query, "headers": headers}
    exchange = _Exchange(app, request, {**request.scope, **place, **more})
    try:
        start, first = await exchange.message(), await exchange.message()
        if first.get("more_body", False):
            response: Any = StreamingHttpResponse(exchange.body(first["body"]), status=start["status"])
        else:
            await exchange.ended()
            response = HttpResponse(first.get("body", b""), status=start["status"])
    except BaseException:
        await exchange.cancel()
        raise
    del response["content-type"]
    for name, value in start["headers"]:
        response[name.decode("latin-1")] = value.decode("latin-1")
    return response


class _Exchange:
    """The messages of one request. One at a time is kept: an app that is faster than its client waits."""

    def __init__(self, app: ASGIApp, request: ASGIRequest, scope: dict[str, Any]) -> None:
        self._request = request
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue(1)
        self._error: Exception | None = None
        self._read = False
        self._task = asyncio.create_task(self._run(app, scope))

    async def _run(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        try:
            await app(scope, self._receive, self._send)
        except Exception as error:  # noqa: BLE001 (the app's own, for whoever waits for its answer)
            self._error = error
        with suppress(TimeoutError):
            async with asyncio.timeout(_TAKEN_SECONDS):
                await self._messages.put(None)

    async def _send(self, message: Message) -> None:
        async with asyncio.timeout(_TAKEN_SECONDS):
            await self._messages.put(message)

    async def _receive(self) -> Message:
        if self._read:
            # That the client has gone is said by the end of the task.
            await asyncio.Event().wait()
        # Django has the whole body by now, in memory or in a file.
        piece = await sync_to_async(self._request.read)(_PIECE)
        self._read = len(piece) < _PIECE
        return {"type": "http.request", "body": piece, "more_body": not self._read}

    async def message(self) -> Message:
        """The next one. Raises what the app raised instead."""
        found = await self._messages.get()
        if found is None:
            raise self._error or RuntimeError("the web side ended before its answer did")
        return found

    async def body(self, first: bytes) -> AsyncIterator[bytes]:
        """The body, as it comes. Closed early, as Django does when its client has gone, it ends the app's task."""
        try:
            yield first
            while (found := await self._messages.get()) is not None:
                yield found.get("body", b"")
            self._complain()
        finally:
            await self.cancel()

    async def ended(self) -> None:
        """Return when the app has ended behind its answer."""
        while await self._messages.get() is not None:
            continue
        self._complain()

    async def cancel(self) -> None:
        """End the app's task, if it still runs."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def _complain(self) -> None:
        if self._error is not None:
            log.error("the web side failed", exc_info=self._error)
