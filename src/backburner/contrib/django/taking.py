"""A request as a job."""

from __future__ import annotations

from typing import Any, cast

from django.http import HttpRequest

from backburner.contrib.django.project import project_jobs
from backburner.job import Job
from backburner.options import CallOptions
from backburner.requesting import RouteOptions
from backburner.route_jobs import granted
from backburner.route_jobs.taking import body_taken, file_taken, headers_taken, path_taken, taking


def is_of_a_job(request: Any) -> bool:
    """Whether a job makes it."""
    return granted(getattr(request, "scope", None) or request.META) is not None


def take(request: HttpRequest, options: CallOptions) -> Job:
    """The job that runs it as who is signed in. Raises `NotTaken`, and what `jobs.route` raises."""
    with taking():
        taken = _taken(request, options)
        return project_jobs().route(str(request.method), path_taken(request.path_info), **taken)


async def atake(request: Any, options: CallOptions) -> Job:
    """`take` for an async view."""
    with taking():
        taken = _taken(request, options)
        taken["as_user"] = await request.auser() if hasattr(request, "auser") else None
        return await project_jobs().aroute(request.method, path_taken(request.path_info), **taken)


def _taken(request: Any, options: CallOptions) -> RouteOptions:
    files = [
        (field, file_taken(file.name, file, file.content_type))
        for field, several in request.FILES.lists()
        for file in several
    ]
    body = b"" if request.POST or files else request.body
    found: dict[str, Any] = {**body_taken(request.content_type or "", request.POST, files, body), **options}
    language = request.headers.get("Accept-Language")
    return cast("RouteOptions", found | {"query": request.GET, "headers": headers_taken(language), "as_user": request})
