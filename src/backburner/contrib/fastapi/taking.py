"""A request as a job."""

from __future__ import annotations

from typing import Any, cast

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile

from backburner.backburner import Backburner
from backburner.job import Job
from backburner.options import CallOptions
from backburner.requesting import RouteOptions
from backburner.route_jobs.request import FORM, MULTIPART
from backburner.route_jobs.taking import NotTaken, body_taken, file_taken, headers_taken, path_taken, taking


async def take(jobs: Backburner, request: Request, person: Any, options: CallOptions) -> Job:
    """The job that runs it as `person`. Raises `HTTPException` for what no job can carry."""
    root = request.scope.get("app_root_path", request.scope.get("root_path", ""))
    path = path_taken(request.scope["path"].removeprefix(root))
    try:
        with taking():
            return await jobs.aroute(request.method, path, **await _taken(request, person, options))
    except NotTaken as problem:
        raise HTTPException(problem.status, str(problem)) from problem


async def _taken(request: Request, person: Any, options: CallOptions) -> RouteOptions:
    kind = request.headers.get("content-type", "")
    is_form = kind.startswith((FORM, MULTIPART))
    given = (await request.form()).multi_items() if is_form else []
    files = [
        (name, file_taken(value.filename, value.file, value.content_type))
        for name, value in given
        if isinstance(value, UploadFile)
    ]
    fields = [(name, value) for name, value in given if isinstance(value, str)]
    body = b"" if is_form else await request.body()
    found: dict[str, Any] = {**body_taken(kind, fields, files, body), **options}
    found |= {
        "query": request.query_params,
        "headers": headers_taken(request.headers.get("accept-language")),
        "as_user": person,
    }
    return cast("RouteOptions", found)
