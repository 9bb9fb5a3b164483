"""From an answer to the job's end: its body becomes output or a file, its status the outcome."""

from __future__ import annotations

import codecs
import tempfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from backburner.capture import LogLines
from backburner.context import JobContext
from backburner.files import UNKNOWN_TYPE, is_media_type
from backburner.outcome import PermanentError, Retry
from backburner.route_jobs.gate import REFUSED, SPOOLED
from backburner.route_jobs.outgoing import Answer

TEMPORARY = frozenset({408, 425, 429, *range(500, 600)})
"""What is tried again, unless the app says otherwise."""
MAX_ANSWER = 67_108_864
_LONGEST_PAUSE = 86_400
_TEXT = ("application/json", "application/xml", "application/javascript", "application/x-ndjson")


class RouteFailed(Exception):
    """A route answered with a status that is worth another try."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.public_text: str = text


@dataclass(frozen=True, slots=True)
class Reading:
    """How answers are read: statuses that are tried again, bytes that a body may have, headers that are kept."""

    temporary: Collection[int]
    most: int
    keep: Collection[str]

    def read(self, job: JobContext, answer: Answer, path: str) -> dict[str, Any]:
        """The job's result. Raises what ends the attempt otherwise."""
        size = self._body(job, answer, path)
        refused = answer.header(REFUSED.lower())
        if answer.status in (403, 503) and refused is not None:
            raise (PermanentError if answer.status == 403 else RouteFailed)(refused)
        if answer.status >= 400:
            raise self._failure(job, answer)
        location = answer.header("location")
        if location is not None and 300 <= answer.status < 400:
            job.message(f"It answered {_named(answer.status)} and leads to {location}")
        kept = {name: value for name, value in answer.headers if name in self.keep or name == "location"}
        return {"status": answer.status, "headers": kept, "size": size}

    def _body(self, job: JobContext, answer: Answer, path: str) -> int:
        kind = _kind(answer.header("content-type"))
        if _is_text(kind):
            return self._to_output(job, answer, kind.get_content_charset("utf-8"))
        return self._to_file(job, answer, kind.get_content_type(), path)

    def _to_output(self, job: JobContext, answer: Answer, charset: str) -> int:
        """Text goes to the job's output, line by line as it comes."""
        try:
            # Refuses also what decodes to something else than text.
            "".encode(charset)
            decoder = codecs.getincrementaldecoder(charset)("replace")
        except (LookupError, ValueError):
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
        lines, size = LogLines(job), 0
        try:
            for piece in self._bounded(answer.pieces):
                size += len(piece)
                lines.write(decoder.decode(piece))
            lines.write(decoder.decode(b"", final=True))
        finally:
            lines.end()
        return size

    def _to_file(self, job: JobContext, answer: Answer, media_type: str, path: str) -> int:
        """All else is a file for the people who wait."""
        with tempfile.SpooledTemporaryFile(SPOOLED) as file:
            for piece in self._bounded(answer.pieces):
                file.write(piece)
            size = file.tell()
            if size and answer.status < 300:
                file.seek(0)
                disposition = Message()
                disposition["content-disposition"] = answer.header("content-disposition") or "inline"
                name = disposition.get_filename() or unquote(path.rstrip("/").rpartition("/")[2]) or "answer"
                # The view has done its work: what it calls its answer is no reason to call it again.
                job.attach(file, name, media_type if is_media_type(media_type) else UNKNOWN_TYPE)
        return size

    def _bounded(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        size = 0
        for piece in pieces:
            size += len(piece)
            if size > self.most:
                raise PermanentError(f"Its answer is larger than {self.most:,} bytes.")
            yield piece

    def _failure(self, job: JobContext, answer: Answer) -> Exception:
        said = f"The route answered {_named(answer.status)}."
        if answer.status not in self.temporary:
            return PermanentError(said)
        pause = answer.header("retry-after") or ""
        repeatable = job._claimed is None or job._claimed.repeatable
        if pause.isascii() and pause.isdigit() and repeatable:
            return Retry(said, after=min(int(pause), _LONGEST_PAUSE))
        return RouteFailed(said)


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _kind(content_type: str | None) -> Message:
    kind = Message()
    kind["content-type"] = content_type or "application/octet-stream"
    return kind


def _is_text(kind: Message) -> bool:
    name = kind.get_content_type()
    return kind.get_content_maintype() == "text" or name in _TEXT or name.endswith(("+json", "+xml"))
