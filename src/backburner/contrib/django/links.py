"""Addresses of Django's views, for links that are made when they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse


def path_of(route: str, params: Mapping[str, Any]) -> str:
    """What `web_app(jobs, resolve_link=...)` takes: from the name of a view to its path."""
    return str(reverse(route, kwargs=dict(params) or None))
