"""Files that jobs made, for those who may see the job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO
from urllib.parse import quote

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from backburner.errors import InvalidOption
from backburner.insight.operations import EXPORT
from backburner.web.problems import Problem, gone, not_found
from backburner.web.site import Site

_CHUNK = 262_144


class DownloadRoutes:
    """`GET /files/{id}`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter()
        router.add_api_route("/files/{file_id}", self.file, methods=["GET"])
        return router

    async def file(self, request: Request, file_id: str) -> Response:
        """The bytes, always as a download, never shown inside our origin."""
        control = self._site.control
        file = await run_in_threadpool(control.file, file_id)
        if file is None:
            await self._site.access.visitor(request)
            raise not_found()
        visitor, job = await self._site.access.job(request, file.job)
        if job.task == EXPORT and not (visitor.operator or visitor.owns(job)):
            # It has rows of all jobs that whoever asked for it may see.
            raise not_found()
        if file.expires_at is not None and file.expires_at <= control.now():
            raise gone("file")
        try:
            source = await run_in_threadpool(self._site.jobs.files.open, file.place)
        except (FileNotFoundError, InvalidOption) as error:
            # Or its row says a place that is none, which is nobody's business who asks for the file.
            raise Problem(410, "gone", "The file is no longer there", "Its time is over.") from error
        headers = {
            "content-disposition": disposition(file.name),
            "content-length": str(file.size),
            "content-security-policy": "default-src 'none'; sandbox",
        }
        return StreamingResponse(_chunks(source), media_type=file.media_type, headers=headers)


def disposition(name: str) -> str:
    """The header that makes a browser save a file under its name, whatever characters that has."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%;' else "_" for c in name)
    return f"attachment; filename=\"{plain or 'file'}\"; filename*=UTF-8''{quote(name, safe='')}"


def _chunks(source: IO[bytes]) -> Iterator[bytes]:
    # A plain generator: Starlette reads it in threads.
    with source:
        while chunk := source.read(_CHUNK):
            yield chunk
