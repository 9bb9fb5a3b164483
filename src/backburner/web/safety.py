"""`Safety`: what holds for every request and answer: no writes from other sites, strict headers."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backburner.web.access import is_local
from backburner.web.problems import Problem

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'self'",
        "require-trusted-types-for 'script'",
    )
)
# Referrer-Policy is not no-referrer: with that, browsers send `Origin: null` on our own forms.
HEADERS = {
    "content-security-policy": _CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Safety:
    """Refuses cross-site writes, and with `development` every request from elsewhere; sets headers.

    Pure ASGI: it must not buffer streams.
    """

    def __init__(self, app: ASGIApp, development: bool) -> None:
        self._app, self._development = app, development

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def careful(message: Message) -> None:
            if message["type"] == "http.response.start":
                secure(MutableHeaders(scope=message))
            await send(message)

        connection = HTTPConnection(scope)
        problem = _unreadable(scope) or self._problem(connection, scope["method"])
        await (self._app if problem is None else problem.response())(scope, receive, careful)

    def _problem(self, connection: HTTPConnection, method: str) -> Problem | None:
        if self._development and not is_local(connection):
            return Problem(
                403,
                "development-only",
                "The development rule is for this machine alone",
                "Everything is open under it, so it answers only local requests. "
                "Pass resolve_user= to web_app to say who may see what.",
            )
        if method in _READS or from_our_pages(connection):
            return None
        return Problem(
            403,
            "cross-site",
            "Changes are accepted from our own pages only",
            "The request seems to come from another site (Sec-Fetch-Site, Origin).",
        )


def _unreadable(scope: Scope) -> Problem | None:
    """Servers pass bytes on as they come, and nothing behind this expects others than UTF-8 in an address."""
    try:
        scope.get("query_string", b"").decode()
    except UnicodeDecodeError:
        return Problem(400, "malformed", "The address cannot be read", "Its query is no UTF-8.")
    return None


def secure(headers: MutableHeaders) -> None:
    """Set on an answer what it does not say itself."""
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("cache-control", "no-store")


def from_our_pages(connection: HTTPConnection) -> bool:
    """Whether a write was sent by a page of the same origin, or by a program that carries no cookies.

    Browsers say where a request comes from, in `Sec-Fetch-Site` or at least in `Origin`. What says neither is
    no browser of today; with a cookie it is refused all the same.
    """
    headers = connection.headers
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in ("same-origin", "none"):
        return False
    if origin is not None:
        # The host alone: behind a proxy that ends TLS we do not know our own scheme.
        return _host(origin) == headers.get("host", "").lower() != ""
    return site is not None or "cookie" not in headers


def _host(origin: str) -> str:
    try:
        parts = urlsplit(origin)
        return parts.netloc.lower() if parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""
