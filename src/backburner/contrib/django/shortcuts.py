"""What a view answers that has started a job, and the notice that tells of it."""

from __future__ import annotations

import asyncio
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html

from backburner.job import Job
from backburner.web import arespond as web_arespond
from backburner.web import respond as web_respond
from backburner.web.respond import Reply
from backburner.web.sight import title_of

WEB = "backburner:web"


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


def _redirect(reply: Reply) -> HttpResponse:
    return HttpResponseRedirect(reply.location)
