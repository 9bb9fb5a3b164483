"""Addresses of Flask's routes, for links that are made when they are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask


def path_rule(app: Flask) -> Callable[[str, Mapping[str, Any]], str]:
    """What `web_app(jobs, resolve_link=...)` takes: from the endpoint of a route to its path.

    web_app(jobs, resolve_link=path_rule(app))
    """

    def path_of(route: str, params: Mapping[str, Any]) -> str:
        root = str(app.config["APPLICATION_ROOT"])
        return app.url_map.bind("localhost", script_name=root).build(route, dict(params))

    return path_of
