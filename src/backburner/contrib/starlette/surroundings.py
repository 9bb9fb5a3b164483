"""`ScopeAtHand`: which request the code that runs belongs to, for what is asked where there is no request."""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from backburner.backburner import Backburner


class AtHand(NamedTuple):
    """A request: its scope, and the path under which the app is mounted, which routers change in the scope."""

    scope: Scope
    root: str


_AT_HAND: ContextVar[AtHand | None] = ContextVar("backburner_at_hand", default=None)


class ScopeAtHand:
    """A middleware; pure ASGI, so that what it sets is seen by endpoints, plain ones in threads too.

    What is kept of a request is kept in its scope. A context may be that of the request before: uvicorn begins the
    next request of a connection where the last one sends the end of its answer, with its user still signed in, and
    inside the transaction that its session has open.
    """

    def __init__(self, app: ASGIApp, jobs: Backburner) -> None:
        self._app, self._jobs = app, jobs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        asked = scope["type"] in ("http", "websocket")
        token = _AT_HAND.set(AtHand(scope, str(scope.get("root_path", "")).rstrip("/")) if asked else None)
        try:
            with self._jobs._enqueuer.apart():
                await self._app(scope, receive, send)
        finally:
            _AT_HAND.reset(token)


def at_hand() -> AtHand | None:
    """The request; None outside of one."""
    return _AT_HAND.get()
