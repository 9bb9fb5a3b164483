"""The request at hand as a job of its own: what of it `jobs.route` takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any
from urllib.parse import quote

from backburner.errors import TooLarge
from backburner.requesting import RouteOptions
from backburner.route_jobs.request import FORM, MULTIPART, is_header_value

WRITES = ("POST", "PUT", "PATCH", "DELETE")
"""What a view that runs in the background is asked by, unless it says otherwise."""
_JSON = "application/json"


class NotTaken(ValueError):
    """A body that no job can carry; `status` is what its sender gets."""

    def __init__(self, status: int, problem: str) -> None:
        self.status = status
        super().__init__(problem)


@contextmanager
def taking() -> Iterator[None]:
    """Around `jobs.route`: a body that is too large is its sender's. Raises `NotTaken`."""
    try:
        yield
    except TooLarge as error:
        raise NotTaken(413, "The body is larger than what a job may carry; files may be larger.") from error


def path_taken(path: str) -> str:
    """A path that the framework has decoded, as `jobs.route` takes it."""
    return quote(path)


def body_taken(content_type: str, form: Any, files: Iterable[tuple[str, Any]], body: bytes) -> RouteOptions:
    """`form` and `files`, or `json`, of a request. `files` are pairs of a field and what `files=` takes.

    Raises `NotTaken`.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind in (FORM, MULTIPART):
        found: dict[str, list[Any]] = {}
        for field, file in files:
            found.setdefault(field, []).append(file)
        return {"form": form, "files": found}
    if kind == _JSON:
        try:
            return {"json": json.loads(body)}
        except ValueError as error:
            raise NotTaken(400, f"The body is no JSON: {error}") from error
    if body:
        raise NotTaken(415, f"A job takes a form or JSON, and not {kind or 'a body without a type'}.")
    return {}


def headers_taken(language: str | None) -> dict[str, str]:
    """The headers that go along: in which language the job answers."""
    return {"Accept-Language": language} if language and is_header_value(language) else {}


def file_taken(name: str | None, file: IO[bytes], media_type: str | None) -> tuple[str, IO[bytes], str]:
    """An uploaded file, as `files=` takes it."""
    return (name or "", file, media_type or "")
