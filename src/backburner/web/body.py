"""The JSON body of a request: of the right type, not too large, not too deep."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request

from backburner.codec import MAX_DEPTH, deeper
from backburner.web.problems import Problem

# An object that holds an object of arguments, each nested as deep as an argument may be.
_LEVELS = MAX_DEPTH + 2
_MOST_FAULTS = 100
_JSON = re.compile(r'application/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?', re.IGNORECASE)


async def json_object(request: Request, most: int) -> dict[str, Any]:
    """The body, an object; `most` bytes are read of it. Raises a `Problem`: 400, 413, 415, 422."""
    kinds = request.headers.getlist("content-type")
    if len(kinds) != 1 or not _JSON.fullmatch(kinds[0].strip()):
        raise Problem(
            415, "wrong-content-type", "The body is no JSON", "Send it with Content-Type: application/json.",
            headers={"Accept": "application/json"},
        )  # fmt: skip
    body = await _read(request, most)
    try:
        found = msgspec.json.decode(body)
    except RecursionError as error:
        raise _deep() from error
    except (msgspec.DecodeError, ValueError) as error:
        raise Problem(400, "malformed", "The body is no JSON", str(error)) from error
    if deeper(found, _LEVELS):
        raise _deep()
    if not isinstance(found, dict):
        raise unfit([("", "is no object")])
    return found


def unfit(faults: list[tuple[str, str]]) -> Problem:
    """The body is JSON, and not what is needed: each fault is a JSON pointer and what is wrong there; 100 are told."""
    errors = [{"pointer": f"#{pointer}", "detail": problem} for pointer, problem in faults[:_MOST_FAULTS]]
    detail = "; ".join(f"{pointer or 'the body'} {problem}" for pointer, problem in faults[:3])
    return Problem(422, "invalid-body", "The request does not fit", detail, errors=errors)


def too_large(most: int) -> Problem:
    """More than is taken."""
    return Problem(413, "too-large", "The request is too large", f"At most {most:,} bytes are taken.")


async def _read(request: Request, most: int) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and (len(length) > 18 or int(length) > most):
        raise too_large(most)
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise too_large(most)
            parts.append(part)
    except ClientDisconnect as error:
        raise Problem(400, "malformed", "The body was not sent to its end") from error
    return b"".join(parts)


def _deep() -> Problem:
    return Problem(400, "malformed", "The body is nested too deep", f"At most {_LEVELS} levels are taken.")
