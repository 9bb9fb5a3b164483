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
    Route("GET", "/dashboard/login", "The form to sign in", Audience.ANYBODY, None),
    Route("POST", "/dashboard/login", "Sign in", Audience.ANYBODY, None),
    Route("POST", "/dashboard/logout", "Sign out", Audience.ANYBODY, None),
    _page("GET", "/dashboard/overview", "Is it well", _P.JOBS_VIEW),
    _page("POST", "/dashboard/notes", "Say what happened", _P.NOTES_ADD),
    _page("GET", "/dashboard/jobs", "The jobs page", _P.JOBS_VIEW),
    _page("GET", "/dashboard/jobs/complete", "What the filter bar completes", _P.JOBS_VIEW),
    _page("POST", "/dashboard/jobs/export", "Write all that match to a file", _P.JOBS_VIEW),
    _page("POST", "/dashboard/views", "Save a filter as a view", _P.JOBS_VIEW),
    _page("POST", "/dashboard/views/{view_id}/remove", "Remove it", _P.JOBS_VIEW),
    _page("GET", "/dashboard/jobs/many", "The question before many jobs are changed", _P.JOBS_VIEW),
    _page("POST", "/dashboard/jobs/many", "Cancel, retry or delete many jobs", _P.JOBS_VIEW),
    _page("GET", "/dashboard/jobs/{job_id}/edit", "A job's arguments as a form", _P.JOBS_EDIT),
    _page("POST", "/dashboard/jobs/{job_id}/edit", "Change them, and retry", _P.JOBS_EDIT),
    _page("GET", "/dashboard/jobs/{job_id}", "The page of one job", _P.JOBS_VIEW),
    _page("POST", "/dashboard/jobs/{job_id}/{verb}", "A form's cancel, retry or delete", _P.JOBS_VIEW),
    _page("GET", "/dashboard/failures", "Failures by cause", _P.JOBS_VIEW),
    _page("POST", "/dashboard/failures/{fingerprint}/{verb}", "Retry some, mute, unmute", _P.JOBS_RETRY),
    _page("GET", "/dashboard/audit", "Who did what", _P.AUDIT_VIEW),
    _page("GET", "/dashboard/settings", "The settings", _P.SETTINGS_EDIT),
    _page("POST", "/dashboard/settings/{name}/{verb}", "Say one, restore it", _P.SETTINGS_EDIT),
    _page("GET", "/dashboard/queues", "The queues", _P.JOBS_VIEW),
    _page("POST", "/dashboard/queues/{queue:path}/pause", "Pause a queue, or *", _P.QUEUES_PAUSE),
    _page("POST", "/dashboard/queues/{queue:path}/resume", "Let it go on", _P.QUEUES_PAUSE),
    _page("POST", "/dashboard/queues/{queue:path}/limit", "How many of its jobs may run at once", _P.QUEUES_LIMIT),
    _page("GET", "/dashboard/schedules", "The schedules", _P.JOBS_VIEW),
    _page("POST", "/dashboard/schedules/{name:path}/{verb}", "Run, pause, resume", _P.SCHEDULES_EDIT),
    _page("GET", "/dashboard/workers", "The workers", _P.JOBS_VIEW),
    _page("POST", "/dashboard/workers/{worker_id}/{word}", "Quiet, reload, stop", _P.WORKERS_CONTROL),
    _page("GET", "/dashboard/tasks", "The tasks", _P.JOBS_VIEW),
    _page("GET", "/dashboard/tasks/{name:path}", "One task and its form", _P.JOBS_VIEW),
    _page("POST", "/dashboard/tasks/{name:path}/run", "Start a job of it", _P.JOBS_RUN),
)
"""A verb needs a permission of its own besides: `jobs.retry`, `jobs.cancel`, `jobs.delete`."""
