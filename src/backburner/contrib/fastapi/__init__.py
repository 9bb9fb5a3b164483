"""FastAPI: as `backburner.contrib.starlette`, with users, sessions and background tasks by `Depends`.

backburner = FastAPIBackburner(jobs, app, user=current_user)
"""

from __future__ import annotations

from importlib.util import find_spec

from backburner.errors import MissingExtra

for _package in ("fastapi", "jinja2", "itsdangerous"):
    if find_spec(_package) is None:
        raise MissingExtra(_package, "fastapi", "backburner.contrib.fastapi")

from backburner.contrib.fastapi.extension import FastAPIBackburner as FastAPIBackburner  # noqa: E402 - behind the check
from backburner.contrib.starlette.background import DurableTasks as DurableTasks  # noqa: E402
from backburner.contrib.starlette.links import path_rule as path_rule  # noqa: E402
from backburner.contrib.starlette.route_jobs import StarletteRoutes as StarletteRoutes  # noqa: E402
from backburner.contrib.starlette.route_jobs import background_user as background_user  # noqa: E402

__all__ = ["DurableTasks", "FastAPIBackburner", "StarletteRoutes", "background_user", "path_rule"]
