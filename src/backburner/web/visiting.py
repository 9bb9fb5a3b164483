"""What pages for end users have in common: their templates, and the app's own page around them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Protocol, TypeAlias, TypeVar

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from backburner.web.language import language_of
from backburner.web.prefer import prefers_html
from backburner.web.problems import Problem
from backburner.web.rendering import environment
from backburner.web.site import root_of

_PATHS = re.compile(r"/jobs/[^/]+/wait(/[^/]+)?|/mine(/.*)?")


class Part(Protocol):
    """What a page of the app's own is made of."""

    @property
    def title(self) -> str: ...
    @property
    def head(self) -> Markup: ...
    @property
    def body(self) -> Markup: ...


P = TypeVar("P", bound=Part)
_Page: TypeAlias = str | Response
OwnPage: TypeAlias = Callable[[Request, P], _Page | Awaitable[_Page]]


class Visiting:
    """Renders them."""

    def __init__(self) -> None:
        self._templates = environment()

    async def page(self, request: Request, part: P, own: OwnPage[P] | None) -> Response:
        """The page around a part: the app's own, else ours."""
        if own is None:
            return HTMLResponse(self._render(request, "visitor.html", title=part.title, page=part))
        if iscoroutinefunction(own):
            found: Any = await own(request, part)
        else:
            found = await run_in_threadpool(own, request, part)
            found = await found if isawaitable(found) else found
        return found if isinstance(found, Response) else HTMLResponse(found)

    def markup(self, request: Request, template: str, **values: Any) -> Markup:
        """A part of a page."""
        # The templates escape every value.
        return Markup(self._render(request, template, **values))  # noqa: S704

    def problem(self, request: Request, problem: Problem) -> Response | None:
        """A page for a problem on one of these pages; None for programs, and elsewhere."""
        path = request.url.path.removeprefix(root_of(request))
        if not _PATHS.fullmatch(path) or not prefers_html(request):
            return None
        text = self._render(request, "visitor_problem.html", title=problem.title, problem=problem)
        return HTMLResponse(text, problem.status, problem.headers)

    def _render(self, request: Request, template: str, **values: Any) -> str:
        made = self._templates.get_template(template)
        return made.render(root=root_of(request), lang=language_of(request), **values)
