"""Every route of the operators' pages, and the permission that it needs."""

from __future__ import annotations

from backburner.web.rights import READING, Permission
from backburner.web.route import Audience, Route
from backburner.web.scopes import ACT, READ

_P = Permission


def _page(method: str, path: str, summary: str, needs: Permission) -> Route:
    return Route(
        method, path, summary, Audience.OPERATORS, READ if method == "GET" and needs in READING else ACT, needs=needs
    )


DASHBOARD: tuple[Route, ...] = (
    _page("GET", "/", "To the first page", _P.JOBS_VIEW),
    _page("GET", "/dashboard", "To the first page", _P.JOBS_VIEW),
    _page("GET", "/dashboard/", "To the first page", _P.JOBS_VIEW),
    _page("GET", "/dashboard/jobs", "The jobs page", _P.JOBS_VIEW),
    _page("GET", "/dashboard/jobs/many", "The question before many jobs are changed", _P.JOBS_VIEW),
    _page("POST", "/dashboard/jobs/many", "Cancel, retry or delete many jobs", _P.JOBS_VIEW),
    _page("GET", "/dashboard/jobs/{job_id}", "The page of one job", _P.JOBS_VIEW),
    _page("POST", "/dashboard/jobs/{job_id}/{verb}", "A form's cancel, retry or delete", _P.JOBS_VIEW),
)
"""A verb needs a permission of its own besides: `jobs.retry`, `jobs.cancel`, `jobs.delete`."""
