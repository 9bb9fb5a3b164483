"""`Asked`: what a dependency of the app's own gives for a request, when no endpoint of the app's is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

_FOUND = "backburner.found"
_NOBODY = frozenset({401, 403})


class Asked:
    """A route that nobody can reach: called by us, it solves the dependency as any endpoint would.

    So parameters, sub-dependencies and `dependency_overrides` hold, and what a dependency opens is closed again when
    this returns, however long the answer to the request takes afterwards.
    """

    def __init__(self, app: FastAPI, dependency: Callable[..., Any]) -> None:
        asked = Depends(dependency)

        def found(request: Request, value: Any = asked) -> Response:
            request.scope[_FOUND].append(value)
            return Response(None)

        self._route = APIRoute(
            "/", found, response_model=None, include_in_schema=False, dependency_overrides_provider=app
        )

    async def __call__(self, request: Request) -> Any:
        """What it gives; None where it refuses with 401 or 403. Raises `HTTPException` for other refusals."""
        values: list[Any] = []
        status: list[int] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                status.append(message["status"])

        await self._route.app({**request.scope, _FOUND: values, "path_params": {}}, receive, send)
        if values:
            return values[0]
        if status and status[0] in _NOBODY:
            return None
        raise HTTPException(status[0] if status else 500, "Who asks cannot be found out.")
