"""Live streams of jobs as server-sent events: one job with its output, or several on one connection."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from backburner.clock import boot_seconds
from backburner.web.feed import MOST_VIEWERS, News, Viewer
from backburner.web.problems import Problem, invalid
from backburner.web.sight import Sight, Wording, final_mark, moment, progress_of
from backburner.web.site import Site

_Change = tuple[str, dict[str, Any]]
STREAM_SECONDS = 30.0
BEAT_SECONDS = 10.0
LOOK_SECONDS = 1.0
"""How long a stop of the server may go unnoticed by a quiet stream."""
SEND_SECONDS = 5.0
"""How much longer than its time a stream may take to be read. A viewer that reads no more holds nothing for ever."""
MOST_JOBS = 50
RECONNECT_MS = 1000
BRIEF = "backburner.brief"
"""In the scope of a request: a thread is held while it is answered, so its streams end after one look."""
_POSITION = re.compile(r"at-(\d{1,18})-(\d{1,18})")
_HEADERS = {"cache-control": "no-store, no-transform", "x-accel-buffering": "no"}


class EventRoutes:
    """`GET /jobs/{id}/events` and `GET /jobs/feed?ids=`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        router.add_api_route("/jobs/feed", self.feed, methods=["GET"])
        router.add_api_route("/jobs/{job_id}/events", self.events, methods=["GET"])
        return router

    async def events(self, request: Request, job_id: str) -> Response:
        """One job: snapshot, then what changes, with live output unless `log=0`."""
        visitor = await self._site.access.visitor(request)
        sights = await self._site.feed.sights([job_id])
        found = sights[job_id].job if job_id in sights else None
        visitor, job = self._site.access.entitled(visitor, found, job_id)
        asked = request.query_params
        last = request.headers.get("last-event-id") or asked.get("last_event_id") or ""
        if job.done and last == final_mark(job):
            return Response(status_code=204)
        self._refuse_too_many()
        position = _POSITION.fullmatch(last)
        at = (int(position[1]), int(position[2])) if position else (0, 0)
        wording, output = self._site.wording(request, visitor), asked.get("log") != "0"
        stream = Stream(self._site, wording, sights, output=output, at=at, brief=BRIEF in request.scope)
        return EventResponse(stream.events())

    async def feed(self, request: Request) -> Response:
        """Several jobs of the visitor on one connection, without output; those that are not theirs are left out."""
        ids = list(dict.fromkeys(filter(None, request.query_params.get("ids", "").split(","))))
        if not 1 <= len(ids) <= MOST_JOBS:
            raise invalid("ids", f"Name 1 to {MOST_JOBS} ids of jobs, separated by commas.")
        visitor = await self._site.access.visitor(request)
        self._refuse_too_many()
        found = await self._site.feed.sights(ids)
        sights = {}
        for job_id in ids:
            try:
                visitor, _ = self._site.access.entitled(visitor, found[job_id].job if job_id in found else None, job_id)
                sights[job_id] = found[job_id]
            except Problem:
                continue
        missing = [job_id for job_id in ids if job_id not in sights]
        wording, brief = self._site.wording(request, visitor), BRIEF in request.scope
        stream = Stream(self._site, wording, sights, output=False, missing=missing, brief=brief)
        return EventResponse(stream.events())

    def _refuse_too_many(self) -> None:
        if self._site.feed.viewers >= MOST_VIEWERS:
            raise Problem(
                503,
                "too-many-streams",
                "Too many live streams are open",
                "Ask for the job itself instead, or come back later.",
                headers={"Retry-After": "10"},
            )


class EventResponse(StreamingResponse):
    """Sends events, and lets go of a viewer that does not take them."""

    def __init__(self, events: AsyncGenerator[str, None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers=_HEADERS)
        self._events = events

    async def stream_response(self, send: Send) -> None:
        """All events, within the time of a stream. Without the last message the server closes the connection."""
        with suppress(TimeoutError):
            async with aclosing(self._events), asyncio.timeout(STREAM_SECONDS + SEND_SECONDS):
                await super().stream_response(send)


class Stream:
    """The events of one connection."""

    def __init__(
        self,
        site: Site,
        wording: Wording,
        sights: dict[str, Sight],
        *,
        output: bool,
        at: tuple[int, int] = (0, 0),
        missing: list[str] | None = None,
        brief: bool = False,
    ) -> None:
        self._site, self._wording, self._sights = site, wording, dict(sights)
        self._output, self._at, self._missing, self._brief = output, at, missing or [], brief
        self._open = set(sights)

    async def events(self) -> AsyncGenerator[str, None]:
        """Snapshots first, then what changes; ends when all jobs are done, at a stop, by its time, or when brief."""
        yield f"retry: {RECONNECT_MS}\n\n"
        for job_id in self._missing:
            yield _event("gone", {"id": job_id})
        for sight in self._sights.values():
            yield self._snapshot(sight)
        until = boot_seconds() + STREAM_SECONDS
        beat = boot_seconds()
        log_at, word_at = self._at
        feed, ids = self._site.feed, list(self._sights)
        with feed.watch(ids, output=self._output, log_at=log_at, word_at=word_at) as viewer:
            while self._open and not feed.stopping and not viewer.overrun and boot_seconds() < until:
                news = await viewer.news(LOOK_SECONDS)
                if news is not None:
                    for text in self._told(news, viewer):
                        yield text
                        beat = boot_seconds()
                    if self._brief and news.caught_up:
                        break
                elif boot_seconds() - beat >= BEAT_SECONDS:
                    beat = boot_seconds()
                    yield ": still here\n\n"

    def _told(self, news: News, viewer: Viewer) -> list[str]:
        """The events for one piece of news. A job's end comes last, when all its output has been told."""
        told: list[str] = []
        for job_id, line in news.pieces:
            self._at = (line.start + len(line.text), self._at[1])
            piece = {"id": job_id, "start": line.start, "text": line.text, "at": moment(line.at)}
            told.append(_event("log", piece, self._mark()))
        for job_id, number, message in news.words:
            self._at = (self._at[0], number)
            word = {"id": job_id, "level": message.level, "text": message.text, "at": moment(message.at)}
            told.append(_event("message", word, self._mark()))
        for job_id, sight in news.sights.items():
            before, self._sights[job_id] = self._sights[job_id], sight
            told += [_event(kind, body) for kind, body in self._changes(before, sight)]
        for job_id in news.gone & self._open:
            self._open.discard(job_id)
            told.append(_event("gone", {"id": job_id}))
        if news.caught_up:
            for job_id in [job_id for job_id in self._sights if job_id in self._open]:
                told += self._end(job_id, viewer)
        return told

    def _end(self, job_id: str, viewer: Viewer) -> list[str]:
        # A pulse of the feed's own look: the sight this stream began with may be older than its end.
        sight = self._sights[job_id]
        if not sight.job.done or viewer.pulses.get(job_id) != sight.pulse:
            return []
        self._open.discard(job_id)
        return [_event("done", {"id": job_id, "job": self._wording.job(sight)}, final_mark(sight.job))]

    def _changes(self, before: Sight, now: Sight) -> list[_Change]:
        old, job = before.job, now.job
        progress, links, state = list[_Change](), list[_Change](), list[_Change]()
        if job.progress != old.progress:
            progress = [("progress", {"id": job.id, "progress": progress_of(job.progress)})]
            known = self._wording.links(old.progress)
            new = [link for link in self._wording.links(job.progress) if link not in known]
            links = [("link", {"id": job.id, "link": link.body}) for link in new]
        if _standing(before) != _standing(now):
            state = [("state", {"id": job.id, "job": self._wording.job(now)})]
        # Whoever hears of progress finds a job that is running: it comes behind the start, and before the end.
        return [*progress, *links, *state] if job.done else [*links, *state, *progress]

    def _snapshot(self, sight: Sight) -> str:
        body = {
            "id": sight.job.id,
            "job": self._wording.job(sight),
            "now": moment(self._site.control.now()),
        }
        return _event("snapshot", body)

    def _mark(self) -> str:
        """The event id behind which a reconnecting viewer of one job goes on."""
        return f"at-{self._at[0]}-{self._at[1]}"


def _standing(sight: Sight) -> tuple[object, ...]:
    job = sight.job
    return (
        *(job.state, job.attempt, job.cancel_requested, job.run_at, job.reason, job.blocked_on, job.finished_at),
        sight.place,
    )


def _event(kind: str, body: dict[str, Any], mark: str | None = None) -> str:
    """One event. JSON has no raw line breaks, so one `data:` line holds it."""
    return f"event: {kind}\n{f'id: {mark}' + chr(10) if mark else ''}data: {json.dumps(body)}\n\n"
