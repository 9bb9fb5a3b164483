"""Django: its views as jobs, and links to them.

routes = DjangoRoutes(jobs)          # and "backburner.contrib.django.RouteJobMiddleware" in MIDDLEWARE
"""

from __future__ import annotations

from importlib.util import find_spec

from backburner.errors import MissingExtra

if find_spec("django") is None:
    raise MissingExtra("django", "django", "backburner.contrib.django")

from backburner.contrib.django.links import path_of as path_of
from backburner.contrib.django.middleware import RouteJobMiddleware as RouteJobMiddleware
from backburner.contrib.django.route_jobs import DjangoRoutes as DjangoRoutes

__all__ = ["DjangoRoutes", "RouteJobMiddleware", "path_of"]
