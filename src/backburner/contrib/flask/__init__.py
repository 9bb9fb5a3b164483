"""Flask: the web side under the app's login, its context around jobs, its routes as jobs, commands, templates.

backburner = FlaskBackburner(jobs)
backburner.init_app(app)
"""

from __future__ import annotations

from importlib.util import find_spec

from backburner.errors import MissingExtra

for _package in ("flask", "fastapi", "a2wsgi"):
    if find_spec(_package) is None:
        raise MissingExtra(_package, "flask", "backburner.contrib.flask")

from backburner.contrib.flask.extension import FlaskBackburner as FlaskBackburner  # noqa: E402 - behind the check
from backburner.contrib.flask.links import path_rule as path_rule  # noqa: E402
from backburner.contrib.flask.route_jobs import FlaskRoutes as FlaskRoutes  # noqa: E402
from backburner.contrib.flask.route_jobs import login_identity as login_identity  # noqa: E402

__all__ = ["FlaskBackburner", "FlaskRoutes", "login_identity", "path_rule"]
