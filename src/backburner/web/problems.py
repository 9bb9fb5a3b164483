"""`Problem`: an answer that says what went wrong, as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

_TYPE = "urn:backburner:problem:"
TITLES = {
    400: "No JSON, nested too deep, or a header that cannot be",
    401: "Nobody known asks, or the token is wrong or over",
    403: "The token or the user may not, or the request comes from another site",
    404: "Unknown, somebody else's, or cleaned away",
    409: "The state, or an equal job, does not allow it",
    410: "A token of ours, or a file, past its time",
    413: "The body or the arguments are too large",
    415: "The body is no application/json",
    422: "It does not fit; errors or parameter say what",
    429: "Too many jobs of the user are unfinished",
    501: "A package is not installed",
    503: "The database does not answer, or too many streams are open",
}
"""What each status of a problem means here."""


class Problem(Exception):
    """Raise it in a route. `kind` names the problem for programs, `title` and `detail` are for people."""

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(title)
        self.status, self.kind, self.title, self.detail = status, kind, title, detail
        self.headers, self.more = dict(headers or {}), more

    def response(self) -> JSONResponse:
        """The answer."""
        body = {"type": _TYPE + self.kind, "title": self.title, "status": self.status}
        if self.detail:
            body["detail"] = self.detail
        return JSONResponse(body | self.more, self.status, self.headers, media_type="application/problem+json")


def not_found() -> Problem:
    """Unknown, somebody else's and cleaned away look the same."""
    return Problem(404, "not-found", "There is no such job or file", "It is unknown here, or was cleaned away.")


def gone(what: str) -> Problem:
    """Only for those who could have had it: a token of ours, a file of theirs."""
    return Problem(410, "gone", f"The {what} is no longer valid", "Its time is over.")


def unauthorized(detail: str, challenge: str = "") -> Problem:
    """Nobody known asks, and this is not for nobody. `challenge` is what else RFC 6750 says of a token."""
    bearer = f'Bearer realm="backburner"{", " if challenge else ""}{challenge}'
    return Problem(401, "sign-in", "Sign in first", detail, headers={"WWW-Authenticate": bearer})


def insufficient_scope(scope: str) -> Problem:
    """The scopes of the token, or of the app's own rule, do not open this. Said before anything is looked up."""
    bearer = f'Bearer realm="backburner", error="insufficient_scope", scope="{scope}"'
    detail = f"It needs the scope {scope}."
    return Problem(
        403, "insufficient-scope", "This is not allowed to you", detail, headers={"WWW-Authenticate": bearer}
    )


def forbidden(detail: str) -> Problem:
    """Somebody who may see a thing may not do this with it."""
    return Problem(403, "forbidden", "This is not allowed to you", detail)


def wrong_state(state: str, detail: str) -> Problem:
    """The job is in a state in which this cannot be done."""
    return Problem(409, "wrong-state", "The job's state does not allow this", detail, state=state)


def invalid(name: str, detail: str) -> Problem:
    """A parameter of the address that cannot be used."""
    return Problem(422, "invalid-parameter", f"The parameter {name} cannot be used", detail, parameter=name)


def unavailable() -> Problem:
    """The database does not answer."""
    return Problem(503, "unavailable", "The database does not answer", "Ask again soon.", headers={"Retry-After": "5"})
