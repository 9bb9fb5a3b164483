"""Waiting for a job while a request is open, without a thread."""

from __future__ import annotations

from starlette.requests import Request

from backburner.clock import boot_seconds
from backburner.job import Job
from backburner.web.feed import MOST_VIEWERS
from backburner.web.site import Site

ALONE_SECONDS = 0.2
"""How long a job is looked at by itself: the rounds of the feed are too far apart for a job of 30 ms."""
LOOK_SECONDS = 1.0
"""How long a client that went away, or a stop of the server, may go unnoticed."""


async def await_end(site: Site, request: Request, job: Job, seconds: float) -> bool:
    """Return when the job is done or gone, or after `seconds`; False, at once, where too many wait already."""
    feed = site.feed
    if feed.viewers >= MOST_VIEWERS:
        return False
    until = boot_seconds() + seconds
    with feed.watch([job.id]) as viewer:
        if await site.jobs.await_done(job, min(seconds, ALONE_SECONDS)):
            return True
        while (left := until - boot_seconds()) > 0 and not feed.stopping:
            news = await viewer.news(min(left, LOOK_SECONDS))
            if await request.is_disconnected():
                break
            if news is not None and (news.gone or any(sight.job.done for sight in news.sights.values())):
                break
    return True
