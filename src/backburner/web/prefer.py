"""What a request would like: how long the answer may wait (`Prefer`, RFC 7240), and in which form it comes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.requests import Request

LONGEST_WAIT = 30.0
_PREFERENCE = re.compile(r"(?:^|[,;\s])(?:wait=(\d{1,6}(?:\.\d{1,3})?)|(respond-async))(?=$|[,;\s])")
_HTML = frozenset({"text/html", "application/xhtml+xml"})


@dataclass(frozen=True, slots=True)
class Preference:
    """`wait` in seconds, at most 30; None when it was not given or cannot be read, and then nothing is applied."""

    wait: float | None
    respond_async: bool

    @classmethod
    def of(cls, request: Request) -> Preference:
        """What a request prefers."""
        found = _PREFERENCE.findall(", ".join(request.headers.getlist("prefer")))
        waits = [min(float(wait), LONGEST_WAIT) for wait, _ in found if wait]
        return cls(waits[0] if waits else None, any(word for _, word in found))

    def applied(self, *, waited: bool, later: bool) -> str | None:
        """`Preference-Applied`: `waited` for the job, answered before it was done (`later`)."""
        parts = ["respond-async"] if self.respond_async and later else []
        parts += [f"wait={self.wait:g}"] if waited and self.wait is not None else []
        return ", ".join(parts) or None


def prefers_html(request: Request) -> bool:
    """Whether a page is asked for rather than JSON: by a browser that follows a form, say."""
    weights = {"html": 0.0, "json": 0.0}
    for part in request.headers.get("accept", "").lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        form = "html" if kind in _HTML else "json" if kind in ("application/json", "application/*") else None
        if form is not None:
            weights[form] = max(weights[form], _weight(parameters))
    return weights["html"] > weights["json"]


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return float(value) if re.fullmatch(r"[01](\.\d{0,3})?", value.strip()) else 0.0
    return 1.0
