"""Starlette: the web side under the app's login, an embedded worker, its routes as jobs, templates.

backburner = StarletteBackburner(jobs, app)
"""

from __future__ import annotations

from importlib.util import find_spec

from backburner.errors import MissingExtra

if find_spec("starlette") is None:
    raise MissingExtra("starlette", "web", "backburner.contrib.starlette")

from backburner.contrib.starlette.background import DurableTasks as DurableTasks
from backburner.contrib.starlette.extension import StarletteBackburner as StarletteBackburner
from backburner.contrib.starlette.links import path_rule as path_rule
from backburner.contrib.starlette.route_jobs import GrantBackend as GrantBackend
from backburner.contrib.starlette.route_jobs import StarletteRoutes as StarletteRoutes
from backburner.contrib.starlette.route_jobs import background_user as background_user

__all__ = ["DurableTasks", "GrantBackend", "StarletteBackburner", "StarletteRoutes", "background_user", "path_rule"]
