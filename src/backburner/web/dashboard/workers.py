"""`WorkersPage`: which workers live, what they do, and what they are asked."""

from __future__ import annotations

from itertools import groupby

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from backburner.web.access import Visitor
from backburner.web.dashboard.frame import Frame, Said
from backburner.web.dashboard.narrowing import knows_queue
from backburner.web.problems import forbidden, not_found
from backburner.web.rights import Permission
from backburner.web.site import Site
from backburner.workers import WorkerState

ALL = "all"
_SAID = {
    "quiet": "take no more jobs, and stay",
    "reload": "are replaced when their jobs have ended",
    "stop": "end when their jobs have had their grace",
}


class WorkersPage:
    """`/dashboard/workers`, and the forms on it."""

    def __init__(self, site: Site, frame: Frame) -> None:
        self._site, self._frame = site, frame

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        router.add_api_route("/dashboard/workers", self.workers, methods=["GET"])
        router.add_api_route("/dashboard/workers/{worker_id}/{word}", self.tell, methods=["POST"])
        return router

    async def workers(self, request: Request) -> Response:
        """All living workers, by host."""
        visitor = await self._site.access.allowed(request, Permission.JOBS_VIEW)
        return await run_in_threadpool(self._page, request, visitor)

    async def tell(self, request: Request, worker_id: str, word: str) -> Response:
        """Ask something of one, or of all."""
        visitor = await self._site.access.allowed(request, Permission.WORKERS_CONTROL)
        if not visitor.rights.everywhere(Permission.WORKERS_CONTROL):
            raise forbidden("Workers are for everything: this needs workers.control without limits.")
        if word not in _SAID:
            raise not_found()
        operator = self._site.operator(visitor)
        told = await run_in_threadpool(operator.tell_workers, word, None if worker_id == ALL else [worker_id])
        count = "1 worker was" if len(told) == 1 else f"{len(told):,} workers were"
        said = f"{count} told: they {_SAID[word]}. They hear it within 5 s." if told else "Nobody had to be told."
        return self._frame.back(request, "/workers", Said(said))

    def _page(self, request: Request, visitor: Visitor) -> Response:
        found = sorted(self._site.jobs.workers.list(), key=lambda one: (one.host, one.started_at))
        hosts = [(host, list(group)) for host, group in groupby(found, key=lambda one: one.host)]
        return self._frame.page(
            request, visitor, "workers.html", title="Workers", hosts=hosts, count=len(found),
            slots=sum(one.concurrency for one in found), running=sum(one.running for one in found),
            now=self._site.control.now(), never=_never,
            # What runs may be anybody's, and queues have names.
            whole=visitor.rights.everywhere(Permission.JOBS_VIEW),
            queues_of=lambda worker: self._queues(visitor, worker),
        )  # fmt: skip

    def _queues(self, visitor: Visitor, worker: WorkerState) -> str:
        """The queues that it takes, by name as far as the visitor may know them."""
        if worker.queues is None:
            return "all"
        known = [one for one in worker.queues if knows_queue(visitor, one, self._site.jobs.registry)]
        if len(known) == len(worker.queues):
            return ", ".join(known)
        return f"{', '.join(known)} and others" if known else "others"


def _never(worker: WorkerState, word: str) -> str:
    """Why a worker cannot be asked this; empty when it can."""
    order = ("quiet", "reload", "stop")
    if worker.told is not None and worker.told in order and order.index(worker.told) >= order.index(word):
        return f"It was told to {worker.told} already"
    if word == "reload" and worker.embedded:
        return "It is part of the app's own process"
    return ""
