"""`GET /metrics`, for Prometheus. Needs the extra `metrics`."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from backburner.errors import MissingExtra
from backburner.web.problems import Problem
from backburner.web.site import Site

exposition: Callable[[Site], bytes] | None
try:
    from backburner.web.gauges import exposition
except MissingExtra:
    exposition = None


class MetricRoutes:
    """`GET /metrics`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter()
        router.add_api_route("/metrics", self.metrics, methods=["GET"])
        return router

    async def metrics(self, request: Request) -> Response:
        """The gauges as they are now, for operators; 501 without the extra."""
        await self._site.access.operator(request)
        if exposition is None:
            missing = MissingExtra("prometheus_client", "metrics", "/metrics")
            raise Problem(501, "missing-extra", "A package is not installed", str(missing))
        text = await run_in_threadpool(exposition, self._site)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
