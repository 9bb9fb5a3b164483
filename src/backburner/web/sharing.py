"""Jobs that concern more people than who started them: what their visibility opens, whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from backburner.clock import boot_seconds
from backburner.job import JobFilter
from backburner.states import FINAL, JobState
from backburner.web.problems import invalid
from backburner.web.query import MOST_SHARED, Query
from backburner.web.sight import Sight, look
from backburner.web.site import Site

FRESH_SECONDS = 2.0
"""How old a list may be: it is the same for all, and read once for all who ask meanwhile."""
MOST_LISTS = 100
"""Lists that are remembered; somebody who makes up tags makes the server forget, not grow."""
_OPEN = frozenset(JobState) - FINAL
_TAKEN = frozenset({"tag", "limit", "token"})


@dataclass(frozen=True, slots=True)
class _List:
    ids: tuple[str, ...]
    read_at: float


class Lists:
    """The ids of unfinished jobs by visibility and tag. `find` reads those of one filter."""

    def __init__(self, find: Callable[[JobFilter, int], list[str]]) -> None:
        self._find, self._lists, self._lock = find, dict[JobFilter, _List](), Lock()

    def ids(self, which: JobFilter) -> tuple[str, ...]:
        """At most `MOST_SHARED`, the newest first; as they were at most two seconds ago."""
        # One at a time: those who come meanwhile find what the first one read.
        with self._lock:
            known = self._lists.get(which)
            if known is None or boot_seconds() - known.read_at > FRESH_SECONDS:
                if len(self._lists) >= MOST_LISTS:
                    self._lists.clear()
                known = _List(tuple(self._find(which, MOST_SHARED)), boot_seconds())
                self._lists[which] = known
            return known.ids


class SharedRoutes:
    """`GET /jobs/shared`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lists = Lists(lambda which, limit: [job.id for job in site.control.page(which, limit)])

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter()
        router.add_api_route("/jobs/shared", self.shared, methods=["GET"])
        return router

    async def shared(self, request: Request) -> Response:
        """Unfinished jobs that their visibility opens: `public` to anybody, `users` to who is signed in."""
        visitor = await self._site.access.visitor(request)
        if unknown := [name for name in request.query_params if name not in _TAKEN]:
            raise invalid(unknown[0], "It is unknown. Known are: tag, limit.")
        query = Query.of(request.query_params)
        if request.query_params.get("limit") and query.limit > MOST_SHARED:
            raise invalid("limit", f"Use 1 to {MOST_SHARED}.")
        opened = frozenset({"public"} if visitor.user is None else {"public", "users"})
        which = JobFilter(states=_OPEN, tag=query.filter.tag, visibilities=opened)

        def read() -> list[Sight]:
            ids = self._lists.ids(which)[: query.limit]
            # A job that has ended since then, or is open no more, is looked at before it is shown.
            found = look(self._site.control, ids)
            return [found[job_id] for job_id in ids if job_id in found and not found[job_id].job.done]

        wording = self._site.wording(request, visitor)
        sights = [sight for sight in await run_in_threadpool(read) if visitor.sees(sight.job)]
        return JSONResponse({"jobs": [wording.job(sight) for sight in sights]})
