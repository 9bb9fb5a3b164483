"""`ScopeAtHand`: which request the code that runs belongs to, for what is asked where there is no request."""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send


class AtHand(NamedTuple):
    """A request: its scope, and the path under which the app is mounted, which routers change in the scope."""

    scope: Scope
    root: str


_AT_HAND: ContextVar[AtHand | None] = ContextVar("backburner_at_hand", default=None)


class ScopeAtHand:
    """A middleware; pure ASGI, so that what it sets is seen by endpoints, plain ones in threads too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        token = _AT_HAND.set(AtHand(scope, str(scope.get("root_path", "")).rstrip("/")))
        try:
            await self._app(scope, receive, send)
        finally:
            _AT_HAND.reset(token)


def at_hand() -> AtHand | None:
    """The request; None outside of one."""
    return _AT_HAND.get()
