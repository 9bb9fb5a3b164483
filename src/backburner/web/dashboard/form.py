"""The fields of a form that was sent."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.datastructures import ImmutableMultiDict
from starlette.requests import ClientDisconnect, Request

from backburner.web.problems import Problem

_MOST_BYTES = 1_048_576
_MOST_FIELDS = 2_000


async def fields_of(request: Request, most: int = _MOST_BYTES) -> ImmutableMultiDict[str, str]:
    """The fields, each as text. Raises a `Problem` for what is no form, or too large."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/x-www-form-urlencoded", ""):
        raise Problem(415, "wrong-content-type", "The body is no form", "Send it from one of our pages.")
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise Problem(413, "too-large", "The request is too large", f"At most {most:,} bytes are taken.")
            parts.append(part)
    except ClientDisconnect as error:
        raise Problem(400, "malformed", "The body was not sent to its end") from error
    try:
        found = parse_qsl(b"".join(parts).decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise Problem(400, "malformed", "The body is no form", "Send it from one of our pages.") from error
    return ImmutableMultiDict([(name, value.replace("\r\n", "\n")) for name, value in found])
