"""`SignInPage`: the form to sign in at the stand-alone server."""

from __future__ import annotations

import logging
import re
from urllib.parse import quote

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from backburner.errors import InvalidOption
from backburner.progress import printable
from backburner.target import checked_path
from backburner.web.dashboard.form import fields_of
from backburner.web.dashboard.frame import Frame
from backburner.web.login import BROWSER_COOKIE, BROWSER_SECONDS, COOKIE, FORM_COOKIE, SESSION_SECONDS, Login
from backburner.web.problems import not_found
from backburner.web.site import Site, root_of

log = logging.getLogger(__name__)
_MOST_BYTES = 16_384
_MOST_NAME = 200
_QUERY = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,2000}")


class SignInPage:
    """`/dashboard/login` and `/dashboard/logout`; not there where the app itself says who its users are."""

    def __init__(self, site: Site, frame: Frame) -> None:
        self._site, self._frame = site, frame

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        router.add_api_route("/dashboard/login", self.form, methods=["GET"])
        router.add_api_route("/dashboard/login", self.sign_in, methods=["POST"])
        router.add_api_route("/dashboard/logout", self.sign_out, methods=["POST"])
        return router

    async def form(self, request: Request) -> Response:
        """The form."""
        login = self._login()
        if login.user(request) is not None:
            return RedirectResponse(_next(request, request.query_params.get("next", "")), 303)
        return self._page(request, login, request.query_params.get("next", ""))

    async def sign_in(self, request: Request) -> Response:
        """Open a session; every refusal says the same, whether the name is known or not."""
        login = self._login()
        given = await fields_of(request, _MOST_BYTES)
        name, following = given.get("name", "")[:_MOST_NAME], given.get("next", "")
        if not login.is_form(request, given.get("form", "")):
            return self._page(
                request, login, following, 403, "The page was open for too long. Please sign in once more."
            )
        tried = login.tried(request, name)
        if wait := login.attempts.begin(tried):
            response = self._page(
                request, login, following, 429, f"There were too many attempts. Wait {wait // 60 + 1} min."
            )
            response.headers["retry-after"] = str(wait)
            return response
        session = await run_in_threadpool(login.sign_in, name, given.get("password", ""))
        if session is None:
            log.warning("sign-in refused: %s", printable(name))
            return self._page(request, login, following, 403, "Name and password do not fit.", name)
        login.attempts.passed(tried)
        log.info("signed in: %s", printable(name))
        response = RedirectResponse(_next(request, following), 303)
        kept = ((COOKIE, session, SESSION_SECONDS), (BROWSER_COOKIE, login.browser(request, name), BROWSER_SECONDS))
        for cookie, value, seconds in kept:
            response.set_cookie(
                cookie, value, max_age=seconds, path=root_of(request) or "/", httponly=True, samesite="lax",
                secure=_secure(request),
            )  # fmt: skip
        response.delete_cookie(FORM_COOKIE, path=root_of(request) or "/")
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session of this browser."""
        self._login()
        response = RedirectResponse(f"{root_of(request)}/dashboard/login", 303)
        response.delete_cookie(COOKIE, path=root_of(request) or "/")
        return response

    def _login(self) -> Login:
        if self._site.login is None:
            raise not_found()
        return self._site.login

    def _page(
        self, request: Request, login: Login, following: str, status: int = 200, wrong: str = "", name: str = ""
    ) -> Response:
        token = login.form_token()
        response = self._frame.page(
            request,
            None,
            "login.html",
            status,
            title="Sign in",
            token=token,
            next=following[:2_000],
            wrong=wrong,
            name=name,
        )
        response.set_cookie(
            FORM_COOKIE, token, path=root_of(request) or "/", httponly=True, samesite="strict", secure=_secure(request)
        )
        return response


def to_sign_in(request: Request) -> Response:
    """On to the form, and back here from it."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"{root_of(request)}/dashboard/login?next={quote(here, safe='')}", 303)


def _next(request: Request, given: str) -> str:
    """The page that was asked for, when it is one of ours below the dashboard."""
    root = root_of(request)
    place, mark, query = given.partition("?")
    try:
        path = checked_path(place)
    except InvalidOption:
        return f"{root}/dashboard"
    if not path.startswith(f"{root}/dashboard/") or not _QUERY.fullmatch(query):
        return f"{root}/dashboard"
    return path + mark + query


def _secure(request: Request) -> bool:
    """Whether the browser came by https; behind a proxy that ends TLS only the browser's `Origin` says so."""
    return request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")
