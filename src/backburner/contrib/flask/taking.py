"""The request at hand as a job."""

from __future__ import annotations

from typing import Any, cast

from flask import abort, request

from backburner.backburner import Backburner
from backburner.job import Job
from backburner.options import CallOptions
from backburner.requesting import RouteOptions
from backburner.route_jobs.taking import NotTaken, body_taken, file_taken, headers_taken, path_taken, taking


def take(jobs: Backburner, person: Any, options: CallOptions) -> Job:
    """The job that runs it as `person`. What no job can carry is answered with 400, 413 or 415."""
    try:
        with taking():
            return jobs.route(request.method, path_taken(request.path), **_taken(person, options))
    except NotTaken as problem:
        abort(problem.status, str(problem))


def _taken(person: Any, options: CallOptions) -> RouteOptions:
    files = [
        (field, file_taken(file.filename, file.stream, file.mimetype))
        for field, file in request.files.items(multi=True)
    ]
    body = b"" if request.form or files else request.get_data()
    found: dict[str, Any] = {**body_taken(request.mimetype, request.form, files, body), **options}
    found |= {
        "query": request.args,
        "headers": headers_taken(request.headers.get("Accept-Language")),
        "as_user": person,
    }
    return cast("RouteOptions", found)
