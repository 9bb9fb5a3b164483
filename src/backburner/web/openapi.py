"""`document`: the OpenAPI document, made of the contract and of the signatures of the tasks."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from backburner.task import Task
from backburner.version import VERSION
from backburner.web.bodies import BODIES
from backburner.web.contract import CONTRACT
from backburner.web.parameters import PARAMETERS
from backburner.web.problems import TITLES
from backburner.web.route import Answer, Audience, Route
from backburner.web.scopes import may_enqueue
from backburner.web.site import Site, root_of
from backburner.web.user import User

_PLACE = "#/components/schemas/"
_CALL = "Call"
_ODD = re.compile(r"[^A-Za-z0-9._-]+")
_OPTIONS: dict[str, Any] = {
    "delay": {"type": "number", "minimum": 0, "maximum": 3_155_760_000, "description": "Seconds"},
    "run_at": {"type": "string", "format": "date-time", "description": "Not before this time"},
    "expires": {
        "type": "number",
        "exclusiveMinimum": 0,
        "description": "Seconds after which it is not started any more",
    },
    "identifier": {"type": "string", "minLength": 1, "maxLength": 200, "description": "What the caller calls the job"},
    "tags": {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 200}, "maxItems": 50},
}


class OpenApiRoutes:
    """`GET /openapi.json`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter()
        router.add_api_route("/openapi.json", self.openapi, methods=["GET"])
        return router

    async def openapi(self, request: Request) -> Response:
        """The document for this user."""
        _, user = await self._site.access.signed_in(request, None)
        made = await run_in_threadpool(document, self._tasks(user), root_of(request))
        return JSONResponse(made)

    def _tasks(self, user: User) -> list[Task[..., Any]]:
        return [task for task in self._site.jobs.intake.tasks() if may_enqueue(user.scopes, task.name)]


def document(tasks: Iterable[Task[..., Any]], root: str) -> dict[str, Any]:
    """The whole document; `root` is the path under which the app is mounted."""
    _, schemas = msgspec.json.schema_components(BODIES, ref_template=_PLACE + "{name}")
    calls = [_call_of(task, schemas) for task in tasks]
    schemas[_CALL] = {"oneOf": calls} if calls else {"not": {}}
    paths: dict[str, Any] = {}
    for route in CONTRACT:
        if route.answers:
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Backburner", "version": VERSION, "description": "Jobs: start, follow, fetch results."},
        "servers": [{"url": root or "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    made: dict[str, Any] = {
        "summary": route.summary,
        "operationId": _ODD.sub("_", f"{route.method.lower()}{route.path}").strip("_"),
        "parameters": [PARAMETERS[name] for name in route.takes],
        "responses": {str(status): _response(answer) for status, answer in route.answers}
        | {str(status): _problem(status) for status in route.problems},
    }
    if route.method == "POST" and route.path == "/jobs":
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": {"$ref": _PLACE + _CALL}}}}
    if route.audience is Audience.SIGNED_IN:
        made["security"] = [{"bearer": []}]
    elif route.audience is Audience.OF_A_JOB:
        # Nobody's token, or none: there is no such job.
        made["security"] = [{"bearer": []}, {}]
    return made


def _response(answer: Answer) -> dict[str, Any]:
    if answer.media is None:
        return {"description": answer.text}
    schema = {"$ref": _PLACE + answer.body} if isinstance(answer.body, str) else answer.body or {}
    return {"description": answer.text, "content": {answer.media: {"schema": schema}}}


def _problem(status: int) -> dict[str, Any]:
    schema = {"$ref": f"{_PLACE}ProblemBody"}
    return {"description": TITLES[status], "content": {"application/problem+json": {"schema": schema}}}


def _call_of(task: Task[..., Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """The body that starts a job of a task; types that it names are put into `schemas`."""
    arguments = _moved(task.parameters.schema(), task.name, schemas)
    needed = ["task", "arguments"] if arguments["required"] else ["task"]
    text = inspect.getdoc(task.function)
    return {
        "type": "object",
        "title": task.name,
        **({"description": text} if text else {}),
        "properties": {"task": {"const": task.name}, "arguments": arguments, **_OPTIONS},
        "required": needed,
        "additionalProperties": False,
        "not": {"required": ["delay", "run_at"]},
    }


def _moved(schema: dict[str, Any], task: str, schemas: dict[str, Any]) -> dict[str, Any]:
    """The schema with its own definitions among those of the document, under names with the task's before them."""
    own = schema.pop("$defs", {})
    names = {name: _ODD.sub("_", f"{task}.{name}") for name in own}

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            name = str(value.get("$ref", "")).removeprefix("#/$defs/")
            if name in names:
                return {**value, "$ref": _PLACE + names[name]}
            return {key: moved(item) for key, item in value.items()}
        return [moved(item) for item in value] if isinstance(value, list) else value

    schemas.update({names[name]: moved(shape) for name, shape in own.items()})
    found: dict[str, Any] = moved(schema)
    return found
