"""What a view answers that has started a job, and the notice that tells of it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Collection
from typing import Any, TypeVar, Unpack, cast

from asgiref.sync import iscoroutinefunction
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html

from backburner.contrib.django.taking import atake, is_of_a_job, take
from backburner.job import Job
from backburner.options import CallOptions
from backburner.route_jobs import background_route
from backburner.route_jobs.taking import WRITES, NotTaken
from backburner.web import arespond as web_arespond
from backburner.web import respond as web_respond
from backburner.web.respond import Reply
from backburner.web.sight import title_of

WEB = "backburner:web"
V = TypeVar("V", bound=Callable[..., Any])


def respond(job: Job, *, wait: float = 0.5, then: str | None = None, failed: str | None = None) -> HttpResponse:
    """A redirect: to `then` or `failed` when the job ends within `wait` seconds (30 at most), else to its holding page,
    which goes on to them. Needs `backburner.contrib.django.urls`.

        def start(request):
            return respond(export.enqueue("2026-10"), then=reverse("exports"))

    Raises what `backburner.web.respond` raises: `WaitInsideTransaction` inside `atomic()`, and with ATOMIC_REQUESTS.
    """
    return _redirect(web_respond(job, wait=wait, then=then, failed=failed, at=mount()))


async def arespond(job: Job, *, wait: float = 0.5, then: str | None = None, failed: str | None = None) -> HttpResponse:
    """`respond` for an async view: no thread is held while it waits."""
    return _redirect(await web_arespond(job, wait=wait, then=then, failed=failed, at=mount()))


def in_background(
    *, wait: float = 0.5, then: str | None = None, failed: str | None = None, methods: Collection[str] = WRITES,
    **options: Unpack[CallOptions],
) -> Callable[[V], V]:  # fmt: skip
    """Have a view run as a job of who asks: the answer is `respond(job, wait=..., then=..., failed=...)`.

    Requests by other methods than `methods` are answered by the view at once. `options` are those of every job. Inside
    of other decorators, such as `login_required`, those hold for the first request and for the job.

        @login_required
        @in_background(then="/reports/")
        def build(request): ...
    """

    def decorate(view: V) -> V:
        def at_once(request: HttpRequest) -> bool:
            return request.method not in methods or is_of_a_job(request)

        @functools.wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if at_once(request):
                return view(request, *args, **kwargs)
            try:
                return respond(take(request, options), wait=wait, then=then, failed=failed)
            except NotTaken as problem:
                return _refused(problem)

        @functools.wraps(view)
        async def aanswer(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if at_once(request):
                return await view(request, *args, **kwargs)
            try:
                return await arespond(await atake(request, options), wait=wait, then=then, failed=failed)
            except NotTaken as problem:
                return _refused(problem)

        return background_route(cast("V", aanswer if iscoroutinefunction(view) else answer))

    return decorate


def notice(request: HttpRequest, job: Job, text: str | None = None, *, extra_tags: str = "") -> None:
    """Tell on the next page, by Django's messages, that the work goes on in the background, with a link to it.

    `text` is what comes before the link, and is escaped.
    """
    said = text if text is not None else f"{title_of(job)} runs in the background."
    link = format_html('{} <a href="{}">Show progress</a>', said, job_address(job, "/wait"))
    messages.info(request, link, extra_tags=extra_tags)


async def anotice(request: HttpRequest, job: Job, text: str | None = None, *, extra_tags: str = "") -> None:
    """`notice` in a thread, as Django's sessions need one."""
    await asyncio.to_thread(notice, request, job, text, extra_tags=extra_tags)


def mount() -> str:
    """The path below which the web side is, without a slash at its end. Raises `NoReverseMatch`."""
    return str(reverse(WEB, args=[""])).rstrip("/")


def job_address(job: Any, part: str = "") -> str:
    """Where the job is, below `mount`."""
    return f"{mount()}/jobs/{job.id}{part}"


def _refused(problem: NotTaken) -> HttpResponse:
    return HttpResponse(str(problem), status=problem.status, content_type="text/plain")


def _redirect(reply: Reply) -> HttpResponse:
    return HttpResponseRedirect(reply.location)
