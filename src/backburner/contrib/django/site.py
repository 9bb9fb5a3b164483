"""The view that hands requests over to Backburner's web side, with the user as Django knows him."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.template.loader import render_to_string
from django.views.decorators.csrf import csrf_exempt
from fastapi import FastAPI
from starlette.requests import Request

from backburner.contrib.django.configuration import configuration
from backburner.contrib.django.handover import handed_over
from backburner.contrib.django.links import path_of
from backburner.contrib.django.project import project_jobs
from backburner.contrib.django.visitor import Visitor, visitor_of
from backburner.contrib.wsgi import WsgiBridge
from backburner.web import Allow, Holding, User, web_app

VISITOR, REQUEST = "backburner.django.visitor", "backburner.django.request"
_FILES, _PAGES = "static/", "dashboard"
_WHOLE = 1_048_576
"""Bytes of an answer that are read before it is passed on. What says no length is a stream, which is brief here."""


# The web side refuses writes from other sites by what browsers say of where they come from, and reads the body itself.
@csrf_exempt
async def web(request: HttpRequest, path: str) -> HttpResponseBase:
    """One request below the path where the web side is mounted. It is called by ASGI and by WSGI."""
    visitor = Visitor()
    if not path.startswith(_FILES):
        person = await request.auser() if hasattr(request, "auser") else None
        if path.startswith(_PAGES) and not getattr(person, "is_authenticated", False):
            return redirect_to_login(request.get_full_path())
        visitor = await visitor_of(person)
    root = request.path[: len(request.path) - len(path)].rstrip("/")
    more = {VISITOR: visitor, REQUEST: request}
    if isinstance(request, ASGIRequest):
        return await handed_over(_app(), request, root, more)
    return _through_wsgi(request, root, f"/{path}", more)


# Django refuses async views inside of a request's transaction; here each call has one of its own.
web._non_atomic_requests = set(connections)


def _through_wsgi(request: Any, root: str, path: str, more: dict[str, Any]) -> HttpResponseBase:
    place = {"SCRIPT_NAME": _latin(root), "PATH_INFO": _latin(path), "HTTP_HOST": request.get_host()}
    # Behind a middleware that has read the body, Django has it.
    more = more | {"wsgi.input": request}
    status, headers, body = _bridge().answer(request.META | place | more)
    code, _, reason = status.partition(" ")
    length = dict(headers).get("content-length", "0")
    kind: Any = StreamingHttpResponse if int(length) > _WHOLE else HttpResponse
    response: Any = kind(body, status=int(code), reason=reason)
    del response["content-type"]
    for name, value in headers:
        response[name] = value
    return response


def _latin(path: str) -> str:
    """A path as WSGI writes it."""
    return path.encode().decode("latin-1")


@cache
def _bridge() -> WsgiBridge:
    return WsgiBridge(_app)


@cache
def _app() -> FastAPI:
    template = configuration().holding_template

    def own_page(request: Request, holding: Holding) -> str:
        return str(render_to_string(template or "", {"holding": holding}, request=_said(request, REQUEST)))

    return web_app(
        project_jobs(),
        resolve_user=lambda request: _visitor(request).user,
        resolve_access=_access,
        resolve_link=path_of,
        holding_page=None if template is None else own_page,
    )


def _visitor(request: Request) -> Visitor:
    found: Visitor = _said(request, VISITOR)
    return found


def _access(request: Request, user: User | None) -> Iterable[str | Allow]:
    """What Django's user may do; nothing for whom a bearer token speaks: that may be somebody else."""
    visitor = _visitor(request)
    return visitor.access if user == visitor.user else ()


def _said(request: Request, name: str) -> Any:
    return request.scope.get("wsgi_environ", request.scope)[name]
