"""`/livez` and `/readyz`, for whoever watches the process."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from backburner.errors import StoreError
from backburner.web.site import Site


class HealthRoutes:
    """Open to anybody; they say nothing but yes or no."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        router.add_api_route("/livez", self.live, methods=["GET"])
        router.add_api_route("/readyz", self.ready, methods=["GET"])
        return router

    async def live(self) -> Response:
        """200 as long as this process answers."""
        return PlainTextResponse("live\n")

    async def ready(self) -> Response:
        """200 when the database answers and has the tables; 503 otherwise, and while the server stops."""
        if self._site.feed.stopping:
            return PlainTextResponse("stopping\n", 503)
        try:
            await run_in_threadpool(self._site.control.check_ready)
        except StoreError:
            return PlainTextResponse("the database is not ready\n", 503)
        return PlainTextResponse("ready\n")
