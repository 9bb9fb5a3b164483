"""The page of components as an app: static files, a policy that forbids nearly everything, and Backburner below it."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backburner import Backburner
from backburner.web import User, arespond, notice, web_app

PAGES = Path(__file__).parent / "pages"
VISITOR = "dana"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; require-trusted-types-for 'script'; report-uri /reports"
)


def components_app(jobs: Backburner) -> Starlette:
    """The app. What browsers report of its policy is in `app.state.reports`."""
    inside, reports = web_app(jobs, resolve_user=lambda request: User(VISITOR)), list[bytes]()

    async def report(request: Request) -> Response:
        reports.append(await request.body())
        return Response(status_code=204)

    async def start(request: Request) -> Response:
        """An ordinary view: it answers a form, sent by a browser or by <backburner-submit>."""
        form = await request.form()
        task = jobs.registry.require("components.export").options(
            owner=VISITOR, idempotency_key=request.headers.get("idempotency-key")
        )
        job = await task.aenqueue(str(form["month"]))
        reply = await arespond(job, wait=0.2, then="/done.html")
        return RedirectResponse(reply.location, reply.status)

    async def tell(request: Request) -> Response:
        """What SEE-11 asks for: a notice with links, after a form was sent."""
        job = await jobs.registry.require("components.feed").options(owner=VISITOR).aenqueue()
        text = (PAGES / "told.html").read_text(encoding="utf-8").replace("{notice}", notice(job))
        return Response(text, media_type="text/html")

    app = Starlette(
        routes=[
            Route("/reports", report, methods=["POST"]),
            Route("/start", start, methods=["POST"]),
            Route("/tell", tell, methods=["POST"]),
            Mount("/backburner", inside),
            Mount("/", StaticFiles(directory=PAGES, html=True)),
        ],
        # Everybody who gets here is Dana: so only this machine may, and only under its own name.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]), Middleware(Strict)],
    )
    app.state.reports, app.state.inside = reports, inside
    return app


class Strict:
    """Sends the policy with each page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""

        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start" and not scope["path"].startswith("/backburner"):
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY.encode())]
            await send(message)

        await self._app(scope, receive, with_policy)
