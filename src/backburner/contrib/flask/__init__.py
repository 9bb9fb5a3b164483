"""Flask: its routes as jobs, and links to them.

routes = FlaskRoutes(jobs, app, identity=login_identity(app, epoch_of=lambda user: user.password_hash))
"""

from __future__ import annotations

from importlib.util import find_spec

from backburner.errors import MissingExtra

if find_spec("flask") is None:
    raise MissingExtra("flask", "flask", "backburner.contrib.flask")

from backburner.contrib.flask.links import path_rule as path_rule
from backburner.contrib.flask.route_jobs import FlaskRoutes as FlaskRoutes
from backburner.contrib.flask.route_jobs import login_identity as login_identity

__all__ = ["FlaskRoutes", "login_identity", "path_rule"]
