"""Addresses of Starlette's and FastAPI's routes, for links that are made when they are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette


def path_rule(app: Starlette) -> Callable[[str, Mapping[str, Any]], str]:
    """What `web_app(jobs, resolve_link=...)` takes: from the name of a route to its path.

    web_app(jobs, resolve_link=path_rule(app))
    """

    def path_of(route: str, params: Mapping[str, Any]) -> str:
        return str(app.url_path_for(route, **params))

    return path_of
