"""The pages for operators: jobs, and one job. They work without scripts."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from backburner.web.problems import Problem
from backburner.web.site import Site


class PageRoutes:
    """The jobs page and the job page."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def router(self) -> APIRouter:
        """The routes."""
        return APIRouter()

    def problem(self, request: Request, problem: Problem) -> Response | None:
        """A page for a problem on one of the pages; None elsewhere."""
        return None
