"""Reading jobs: the list, one job with long poll, its output, its result."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from backburner.clock import boot_seconds
from backburner.control import COUNT_LIMIT
from backburner.job import Job
from backburner.states import JobState
from backburner.web.feed import MOST_VIEWERS
from backburner.web.prefer import Preference
from backburner.web.problems import Problem, forbidden, invalid, not_found
from backburner.web.query import Query
from backburner.web.rights import Permission
from backburner.web.sight import Sight, etag_of, look, retry_after
from backburner.web.site import Site

_LOG_CHARACTERS = 262_144
_DIGITS = 18


class ReadingRoutes:
    """`GET /jobs`, `/jobs/{id}`, `/jobs/{id}/log` and `/jobs/{id}/result`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        router.add_api_route("/jobs", self.jobs, methods=["GET"])
        router.add_api_route("/jobs/{job_id}", self.job, methods=["GET"])
        router.add_api_route("/jobs/{job_id}/log", self.log, methods=["GET"])
        router.add_api_route("/jobs/{job_id}/result", self.result, methods=["GET"])
        return router

    async def jobs(self, request: Request) -> Response:
        """A page of jobs, the newest first; of other people's jobs only operators get any."""
        visitor, user = await self._site.access.signed_in(request)
        query = Query.of(request.query_params)
        if query.mine or not visitor.operator:
            query = query.owned_by(user.id)
        control = self._site.control

        def read() -> dict[str, Any]:
            page = control.page(query.filter, query.limit + 1)
            more, page = len(page) > query.limit, page[: query.limit]
            count = control.count(query.filter_of_all, COUNT_LIMIT)
            wording = self._site.wording(request, visitor)
            return {
                "jobs": [wording.job(Sight(job)) for job in page],
                "next": query.address("/jobs", wording, page[-1].id) if more else None,
                "count": count,
                "count_capped": count >= COUNT_LIMIT,
            }

        return JSONResponse(await run_in_threadpool(read))

    async def job(self, request: Request, job_id: str) -> Response:
        """One job. With `Prefer: wait=` the answer comes when the job differs from `If-None-Match`, or is done."""
        visitor, _ = await self._site.access.job(request, job_id)
        wording = self._site.wording(request, visitor)
        known = [mark.strip().removeprefix("W/") for mark in request.headers.get("if-none-match", "").split(",")]
        wait = Preference.of(request).wait

        def answer(sight: Sight) -> tuple[bool, Response]:
            body = wording.job(sight)
            mark = etag_of(body)
            headers = {"etag": mark, "cache-control": "private, no-cache", "vary": "Cookie, Authorization, Prefer"}
            if not sight.job.done:
                headers["retry-after"] = str(retry_after(sight.job, self._site.control.now()))
            if wait is not None:
                headers["preference-applied"] = f"wait={wait:g}"
            same = mark in known
            news = sight.job.done or bool(known != [""] and not same)
            return news, Response(None, 304, headers) if same else JSONResponse(body, 200, headers)

        sights = await run_in_threadpool(look, self._site.control, [job_id])
        if job_id not in sights:
            raise not_found()
        news, response = answer(sights[job_id])
        if wait is None or news:
            return response
        if self._site.feed.viewers >= MOST_VIEWERS:
            # Not waited, not said: whoever asks again at once would make it worse.
            del response.headers["preference-applied"]
            return response
        return await self._later(request, job_id, wait, response, answer)

    async def _later(self, request: Request, job_id: str, wait: float, response: Response, answer: Any) -> Response:
        until = boot_seconds() + wait
        feed = self._site.feed
        with feed.watch([job_id]) as viewer:
            while (left := until - boot_seconds()) > 0 and not feed.stopping:
                news = await viewer.news(min(left, 1.0))
                if await request.is_disconnected():
                    break
                if news is None:
                    continue
                if job_id in news.gone:
                    raise not_found()
                for sight in news.sights.values():
                    enough, response = answer(sight)
                    if enough:
                        return response
        return response

    async def log(self, request: Request, job_id: str) -> Response:
        """Live output from an offset in characters on, as text; `X-Log-End` is where to go on."""
        await self._site.access.job(request, job_id)
        after = _whole(request, "after", 0)
        lines = await run_in_threadpool(self._site.control.log_from, job_id, after)
        text, end = "", after
        for line in lines:
            if text and len(text) + len(line.text) > _LOG_CHARACTERS:
                break
            text += line.text
            end = line.start + len(line.text)
        return PlainTextResponse(text, headers={"x-log-end": str(end)})

    async def result(self, request: Request, job_id: str) -> Response:
        """What the task returned, as JSON, or the one file that it made; 202 not yet, 409 when there will be none."""
        visitor, seen = await self._site.access.job(request, job_id)
        if not (visitor.opened(seen) or visitor.allows(Permission.JOBS_ARGUMENTS, seen)):
            raise forbidden(f"What a job returned needs the permission {Permission.JOBS_ARGUMENTS}.")
        control = self._site.control
        job: Job = await run_in_threadpool(control.get, job_id)
        if not job.done:
            after = retry_after(job, control.now())
            return JSONResponse({"id": job.id, "state": job.state.value}, 202, {"retry-after": str(after)})
        if job.state is not JobState.SUCCEEDED:
            raise Problem(409, "no-result", "The job ended without a result", job.reason or "", state=job.state.value)
        value = _value(job)
        files = [] if value is not None else (await run_in_threadpool(control.files_of, [job_id])).get(job_id, [])
        if len(files) == 1:
            file = self._site.wording(request, visitor).file(files[0])
            return Response(None, 303, {"location": file["href"]})
        return JSONResponse(value)


def _value(job: Job) -> Any:
    """What was stored. Raises a `Problem` where the row is damaged."""
    try:
        return None if job.result_text is None else msgspec.json.decode(job.result_text)
    except (ValueError, RecursionError) as error:
        raise Problem(
            409,
            "no-result",
            "What is stored as the result cannot be read",
            "Its row is damaged.",
            state=job.state.value,
        ) from error


def _whole(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        raise invalid(name, "Give a whole number from 0 on.")
    return int(text)
