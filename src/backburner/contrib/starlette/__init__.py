"""Starlette and FastAPI: their routes as jobs, and links to them.

routes = StarletteRoutes(jobs, app, identity=Identity(...))
"""

from __future__ import annotations

from importlib.util import find_spec

from backburner.errors import MissingExtra

if find_spec("starlette") is None:
    raise MissingExtra("starlette", "web", "backburner.contrib.starlette")

from backburner.contrib.starlette.links import path_rule as path_rule
from backburner.contrib.starlette.route_jobs import GrantBackend as GrantBackend
from backburner.contrib.starlette.route_jobs import StarletteRoutes as StarletteRoutes
from backburner.contrib.starlette.route_jobs import background_user as background_user

__all__ = ["GrantBackend", "StarletteRoutes", "background_user", "path_rule"]
