"""`OwnFiles`: scripts and sheets, packed for browsers that take them so."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

_PACKED = frozenset({".js", ".css", ".svg"})


class OwnFiles(StaticFiles):
    """Browsers keep them, and ask each time whether they are still the same."""

    def file_response(self, full_path: Any, stat_result: Any, scope: Scope, status_code: int = 200) -> Response:
        """The file, or 304."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["cache-control"] = "no-cache"
        path, asked = Path(full_path), Headers(scope=scope)
        if path.suffix not in _PACKED:
            return response
        response.headers["vary"] = "Accept-Encoding"
        plain = response.headers["etag"]
        marks = asked.get("if-none-match", "")
        if (packed := f'{plain[:-1]}-gzip"') in marks:
            return NotModifiedResponse(
                Headers({"etag": packed, "cache-control": "no-cache", "vary": "Accept-Encoding"})
            )
        if status_code != 200 or response.status_code != 200 or not _takes_gzip(asked):
            return response
        headers = {
            name: response.headers[name] for name in ("last-modified", "cache-control", "vary", "content-type")
        } | {"content-encoding": "gzip", "etag": packed}
        return Response(_packed(path, stat_result.st_mtime_ns), 200, headers)


def _takes_gzip(asked: Headers) -> bool:
    return any(part.strip() in ("gzip", "*") for part in asked.get("accept-encoding", "").lower().split(","))


@cache
def _packed(path: Path, _changed: int) -> bytes:
    """The packed bytes; `_changed` is part of what they are remembered by. There are few such files, and small ones."""
    return gzip.compress(path.read_bytes(), 9, mtime=0)
