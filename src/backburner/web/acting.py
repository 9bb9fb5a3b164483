"""Acting on jobs: cancel, retry, dismiss, delete."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from backburner.control import Control
from backburner.insight.operator import Operator
from backburner.job import Job
from backburner.steering import CANCELLED
from backburner.web.access import PERMISSIONS, RETRIED_BY_OWNERS, Visitor
from backburner.web.problems import Problem, forbidden, wrong_state
from backburner.web.scopes import ACT
from backburner.web.sight import look
from backburner.web.site import Site, root_of

log = logging.getLogger(__name__)
_NEEDED = {
    "cancel": "Only a job that is not done can be cancelled.",
    "retry": "Only a job that is done or held can be retried.",
    "delete": "A running job cannot be deleted. Cancel it first.",
    "tell": "It is done already.",
    "dismiss": "Only a job that is done can be dismissed.",
}


class ActingRoutes:
    """`POST /jobs/{id}/cancel`, `/retry` and `/dismiss`, and `DELETE /jobs/{id}`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        router.add_api_route("/jobs/{job_id}/cancel", self.cancel, methods=["POST"])
        router.add_api_route("/jobs/{job_id}/retry", self.retry, methods=["POST"])
        router.add_api_route("/jobs/{job_id}/tell", self.tell, methods=["POST"])
        router.add_api_route("/jobs/{job_id}/dismiss", self.dismiss, methods=["POST"])
        router.add_api_route("/jobs/{job_id}", self.delete, methods=["DELETE"])
        return router

    async def cancel(self, request: Request, job_id: str) -> Response:
        """202 with the job: it is cancelled, or will be at its next sign of life."""
        return await self._changed(request, job_id, "cancel")

    async def retry(self, request: Request, job_id: str) -> Response:
        """202 with the job, which is in line again."""
        return await self._changed(request, job_id, "retry")

    async def tell(self, request: Request, job_id: str) -> Response:
        """204: its owner will be told when it is done, once, however often it is asked for."""
        await act(self._site, request, job_id, "tell")
        return Response(status_code=204)

    async def dismiss(self, request: Request, job_id: str) -> Response:
        """204: its owner's list shows it no more. It is kept as long as it would be."""
        await act(self._site, request, job_id, "dismiss")
        return Response(status_code=204)

    async def delete(self, request: Request, job_id: str) -> Response:
        """204: the job and all that was kept of it are gone."""
        await act(self._site, request, job_id, "delete")
        return Response(status_code=204)

    async def _changed(self, request: Request, job_id: str, verb: str) -> Response:
        visitor = await act(self._site, request, job_id, verb)
        sights = await run_in_threadpool(look, self._site.control, [job_id])
        if job_id not in sights:
            return JSONResponse({"id": job_id}, 202)
        return JSONResponse(self._site.wording(request, visitor).job(sights[job_id]), 202)


async def act(site: Site, request: Request, job_id: str, verb: str) -> Visitor:
    """Do it, if this visitor may and the job's state allows it. Raises a `Problem` otherwise."""
    visitor, job = await site.access.job(request, job_id, ACT)
    if not visitor.may(verb, job):
        raise _refusal(visitor, job, verb)
    if verb == "tell" and not site.jobs.endings:
        raise Problem(409, "nobody-tells", "Nobody is there who would tell", "The app has named no teller.")
    await run_in_threadpool(_act, site, request, visitor, job, verb)
    log.info("job %s: %s by %r", job_id, verb, visitor.name)
    return visitor


async def act_by_form(site: Site, request: Request, job_id: str, verb: str) -> tuple[Visitor, bool]:
    """`act` for a form of a page, and whether it was done: not when the job ended, or went on, while somebody looked.

    Then there is nothing to refuse: the page says how it stands. Raises a `Problem` otherwise.
    """
    try:
        return await act(site, request, job_id, verb), True
    except Problem as problem:
        if problem.status != 409:
            raise
    visitor, _ = await site.access.job(request, job_id)
    return visitor, False


def _act(site: Site, request: Request, visitor: Visitor, job: Job, verb: str) -> None:
    if verb in PERMISSIONS and visitor.allows(PERMISSIONS[verb], job):
        # Not as the owner, but as somebody with a permission: that is written down.
        pages = request.url.path.startswith(f"{root_of(request)}/dashboard/")
        does: Control | Operator = site.operator(visitor, "dashboard" if pages else "http")
    else:
        does = site.control
    verbs: dict[str, Callable[[], object]] = {
        "cancel": lambda: does.cancel(job.id, CANCELLED),
        "retry": lambda: does.retry(job.id),
        "delete": lambda: does.delete(job.id),
        "dismiss": lambda: site.control.dismiss(job.id),
        "tell": lambda: site.jobs.endings.tell(job),
    }
    verbs[verb]()


def _refusal(visitor: Visitor, job: Job, verb: str) -> Exception:
    if visitor.permitted(verb, job):
        return wrong_state(job.state.value, _NEEDED[verb])
    if verb == "retry" and visitor.permitted("cancel", job):
        if job.state in RETRIED_BY_OWNERS:
            return forbidden("The job must not run twice. Only an operator may run it again.")
        return wrong_state(job.state.value, "Only a job that failed or was cancelled can be tried again.")
    return forbidden(f"Only those who may {verb} this job can do that.")
