"""Starting jobs: `POST /jobs`, for the tasks that are declared with `api=True`."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from backburner.codec import pointer
from backburner.errors import (
    DuplicateJob,
    IdempotencyMismatch,
    KeyBusy,
    MissingExtra,
    SettingsError,
    StoreError,
    TooLarge,
    UnknownTask,
)
from backburner.intake import Call, InvalidCall, Taken, TooManyJobs
from backburner.job import Job
from backburner.web.access import Visitor
from backburner.web.body import json_object, too_large, unfit
from backburner.web.prefer import Preference, prefers_html
from backburner.web.problems import Problem
from backburner.web.scopes import ENQUEUE, may_enqueue
from backburner.web.sight import Sight, retry_after, seen
from backburner.web.site import Site, root_of
from backburner.web.user import User
from backburner.web.waiting import await_end

log = logging.getLogger(__name__)

QUOTA_SECONDS = 10
"""When to ask again after one has too many jobs: some may have ended."""
_SPARE = 65_536
_KEY = re.compile(r"[\x20-\x7e]{1,200}")
_NUMBERS, _TIMES, _TEXTS = ("delay", "expires"), ("run_at",), ("identifier",)
_OPTIONS = frozenset((*_NUMBERS, *_TIMES, *_TEXTS, "tags"))
_KNOWN = ", ".join(("task", "arguments", *sorted(_OPTIONS)))


class EnqueueRoutes:
    """`POST /jobs`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter()
        router.add_api_route("/jobs", self.enqueue, methods=["POST"])
        return router

    async def enqueue(self, request: Request) -> Response:
        """202 and where the job is; 200 when it is done in time, or an equal one is there."""
        visitor, user = await self._site.access.signed_in(request, ENQUEUE)
        # Escaped, each byte of text is at most three.
        body = await json_object(request, 3 * self._site.jobs.settings.max_args_bytes + _SPARE)
        call = _call(body, user, _key(request))
        try:
            self._open_to(user, call.task)
            taken = await run_in_threadpool(self._site.jobs.intake.take, call)
        except Exception as error:
            problem = _problem(error, self._site.jobs.settings.max_args_bytes)
            if problem is None:
                raise
            raise problem from error
        return await self._answer(request, visitor, taken)

    def _open_to(self, user: User, name: str) -> None:
        """Raise `UnknownTask` unless the scopes of the user open this task."""
        if not may_enqueue(user.scopes, self._site.jobs.intake.task(name).name):
            raise UnknownTask(name)

    async def _answer(self, request: Request, visitor: Visitor, taken: Taken) -> Response:
        site, preference = self._site, Preference.of(request)
        wording = site.wording(request, visitor)
        sight, waited = await self._seen(request, taken.job, preference.wait)
        job, done = sight.job, sight.job.done
        place = f"{root_of(request)}/jobs/{job.id}"
        headers = {"location": place, "vary": "Accept, Cookie, Authorization, Prefer"}
        if (applied := preference.applied(waited=waited, later=not done)) is not None:
            headers["preference-applied"] = applied
        if done and waited and prefers_html(request):
            return Response(None, 303, headers | {"location": f"{place}/result"})
        if not done:
            headers["retry-after"] = str(retry_after(job, site.control.now()))
        return JSONResponse(wording.job(sight), 202 if taken.new and not done else 200, headers)

    async def _seen(self, request: Request, job: Job, wait: float | None) -> tuple[Sight, bool]:
        """The job, in the end or as it is stored, and whether it was waited for."""
        site, waited = self._site, wait is not None
        try:
            # Who does not wait is told 202 even if it is done by now: not a matter of chance.
            if wait is not None and not job.done:
                waited = await await_end(site, request, job, wait)
                # What was cleaned away at once is answered as it was stored.
                job = (await run_in_threadpool(site.control.glance, [job.id])).get(job.id, job)
            return (await run_in_threadpool(seen, site.control, {job.id: job}, {}))[job.id], waited
        except StoreError:
            # A 503 would say that nothing is stored, and who asks again without a key would start it twice.
            return Sight(job), False


def _call(body: Mapping[str, Any], user: User, key: str | None) -> Call:
    """The call that a body asks for. Raises a `Problem`."""
    faults = []
    task, arguments = body.get("task"), body.get("arguments", {})
    if not isinstance(task, str):
        faults.append(("/task", "is required" if task is None else "is no text"))
    if not isinstance(arguments, dict):
        faults.append(("/arguments", "is no object of arguments by name"))
    options: dict[str, Any] = {}
    for name, value in body.items():
        if name in ("task", "arguments"):
            continue
        if name not in _OPTIONS:
            faults.append((pointer([name[:50]]), f"is unknown. Known are: {_KNOWN}"))
        elif value is not None:
            try:
                options[name] = _option(name, value)
            except ValueError as error:
                faults.append((f"/{name}", str(error)))
    if faults or not isinstance(task, str):
        raise unfit(faults)
    return Call(task, user.id, arguments, options, key)


def _option(name: str, value: Any) -> Any:
    """The value of an option. Raises `ValueError`, which says what it should be."""
    if name in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("is no number of seconds")
    elif name in _TIMES:
        try:
            return datetime.fromisoformat(value)
        except (ValueError, TypeError) as error:
            raise ValueError("is no time. Use ISO 8601 with a time zone: 2026-11-24T14:00:00Z") from error
    elif name in _TEXTS:
        if not isinstance(value, str):
            raise ValueError("is no text")
    elif not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError("is no list of texts")
    return value


def _key(request: Request) -> str | None:
    """The `Idempotency-Key`, with or without quotes around it. Raises a `Problem`."""
    given = request.headers.getlist("idempotency-key")
    if not given:
        return None
    key = given[0].strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if len(given) > 1 or not _KEY.fullmatch(key):
        raise Problem(
            400, "invalid-header", "The Idempotency-Key cannot be used", "Send one, of 1 to 200 printable characters."
        )
    return key


def _problem(error: Exception, most: int) -> Problem | None:
    """What a refused call is answered with."""
    match error:
        case InvalidCall():
            return unfit([(fault.pointer, fault.problem) for fault in error.faults])
        case SettingsError() | MissingExtra():
            # What is missing is no business of whoever asks; the log says it to whoever can mend it.
            log.error("a call needs what is not there: %s", error)
            return Problem(503, "not-configured", "The server is not set up for this")
        case UnknownTask():
            return Problem(
                404, "unknown-task", "There is no such task for you",
                "It is unknown here, not declared with api=True, or outside of the scopes of the token.",
            )  # fmt: skip
        case TooLarge():
            return too_large(most)
        case TooManyJobs():
            return Problem(
                429, "too-many-jobs", "Too many jobs are unfinished",
                f"At most {error.most:,} of one owner are taken. Wait until some have ended, or cancel some.",
                headers={"Retry-After": str(QUOTA_SECONDS)},
            )  # fmt: skip
        case IdempotencyMismatch():
            return Problem(
                422, "idempotency-mismatch", "The Idempotency-Key was used for another request",
                "A new request needs a new key.",
            )  # fmt: skip
        case DuplicateJob():
            return Problem(409, "duplicate", "An equal job is there already", id=error.job_id)
        case KeyBusy():
            return Problem(
                409, "in-flight", "An equal request is being stored", "Ask again soon.", headers={"Retry-After": "1"}
            )
        case _:
            return None
