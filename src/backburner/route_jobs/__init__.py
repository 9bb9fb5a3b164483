"""Route jobs: any marked route of an app can run in the background, as a user or as nobody.

from backburner.route_jobs import Identity, RouteJobs, background_route

routes = RouteJobs(jobs, marked=["POST /reports/build"], identity=Identity(...))
app = routes.wsgi(app)                      # or routes.asgi(app); frameworks have adapters of their own

jobs.route("POST", "/reports/build", form={"month": "2026-10"}, as_user=user)
"""

from __future__ import annotations

from backburner.route_jobs.asgi import AsgiGate as AsgiGate
from backburner.route_jobs.gate import Granted as Granted
from backburner.route_jobs.gate import granted as granted
from backburner.route_jobs.identity import Identity as Identity
from backburner.route_jobs.identity import Principal as Principal
from backburner.route_jobs.jobs import RouteJobs as RouteJobs
from backburner.route_jobs.mark import background_route as background_route
from backburner.route_jobs.mark import is_marked as is_marked
from backburner.route_jobs.wsgi import WsgiGate as WsgiGate

__all__ = [
    "AsgiGate",
    "Granted",
    "Identity",
    "Principal",
    "RouteJobs",
    "WsgiGate",
    "background_route",
    "granted",
    "is_marked",
]
