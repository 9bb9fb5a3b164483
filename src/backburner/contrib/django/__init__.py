"""Django: an app for INSTALLED_APPS, with the project's own database, transactions, users, admin and commands.

INSTALLED_APPS = [..., "backburner.contrib.django"]

# tasks.py of any app
from backburner.contrib.django import jobs

@jobs.task
def export(month: str) -> int: ...
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from backburner.errors import MissingExtra

if find_spec("django") is None:
    raise MissingExtra("django", "django", "backburner.contrib.django")

from backburner.backburner import Backburner
from backburner.contrib.django.links import path_of as path_of
from backburner.contrib.django.middleware import BackburnerMiddleware as BackburnerMiddleware
from backburner.contrib.django.project import project_jobs
from backburner.contrib.django.route_jobs import DjangoRoutes as DjangoRoutes

__all__ = ["DjangoRoutes", "BackburnerMiddleware", "jobs", "path_of"]

jobs: Backburner
"""The project's one object, made as its settings say when it is first asked for. Raises `SettingsError` then."""


def __getattr__(name: str) -> Any:
    # Not at import: Django imports this package while it still reads the project.
    if name == "jobs":
        return project_jobs()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
