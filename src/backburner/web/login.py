"""`Login`: the sessions of people who signed in to the stand-alone server."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import Request

from backburner.errors import SettingsError
from backburner.web.attempts import Attempts, Tried
from backburner.web.passwords import Passwords
from backburner.web.user import User

COOKIE, FORM_COOKIE, BROWSER_COOKIE = "backburner_session", "backburner_form", "backburner_browser"
SESSION_SECONDS = 12 * 3_600
BROWSER_SECONDS = 180 * 86_400
_FORM_SECONDS = 3_600
_MOST_COOKIE = 1_000


class Login:
    """Signs sessions with the setting `secret`; a changed password ends those that were opened with the old one.

    Raises `SettingsError` without a secret, and for operators that cannot be read.
    """

    def __init__(self, operators: Sequence[str], signing: Sequence[str]) -> None:
        if not signing:
            raise SettingsError(
                "secret", None, "is not set, and sessions are signed with it",
                "Set BACKBURNER_SECRET to 16 characters or more, from secrets.token_urlsafe()",
            )  # fmt: skip
        self._passwords, self.attempts = Passwords(operators), Attempts()
        self._sessions = URLSafeTimedSerializer([*reversed(signing)], salt="backburner.web.session")
        self._browsers = URLSafeTimedSerializer([*reversed(signing)], salt="backburner.web.browser")
        self._forms = URLSafeTimedSerializer([*reversed(signing)], salt="backburner.web.form")

    def user(self, request: Request) -> User | None:
        """Who signed in with this browser, an operator; None for nobody."""
        found = _loaded(self._sessions, request.cookies.get(COOKIE), SESSION_SECONDS)
        match found:
            case [str(name), str(mark)] if mark == self._passwords.mark(name):
                return User(name, operator=True)
        return None

    def sign_in(self, name: str, password: str) -> str | None:
        """The value of a new session's cookie; None when name and password do not fit."""
        if not self._passwords.good(name, password):
            return None
        return str(self._sessions.dumps([name, self._passwords.mark(name)]))

    def tried(self, request: Request, name: str) -> Tried:
        """What an attempt to sign in as `name` counts for."""
        address = request.client.host if request.client is not None else ""
        return Tried.of(name, address, self._browser(request, name))

    def browser(self, request: Request, name: str) -> str:
        """The value of a cookie by which this browser is known as one in which `name` has signed in."""
        known = self._browser(request, name) or secrets.token_urlsafe(16)
        return str(self._browsers.dumps([name, known]))

    def _browser(self, request: Request, name: str) -> str | None:
        match _loaded(self._browsers, request.cookies.get(BROWSER_COOKIE), BROWSER_SECONDS):
            case [str(whose), str(known)] if whose == name:
                return known
        return None

    def form_token(self) -> str:
        """What a form and a cookie have to have in common: only a page of ours can say both."""
        return str(self._forms.dumps(secrets.token_urlsafe(16)))

    def is_form(self, request: Request, given: str) -> bool:
        """Whether a form was made here, for this browser."""
        cookie = request.cookies.get(FORM_COOKIE, "")
        same = secrets.compare_digest(cookie.encode(), given.encode())
        return same and isinstance(_loaded(self._forms, given, _FORM_SECONDS), str)


def _loaded(serializer: URLSafeTimedSerializer, text: str | None, seconds: int) -> Any:
    if not text or len(text) > _MOST_COOKIE:
        return None
    try:
        return serializer.loads(text, max_age=seconds)
    except BadData:
        return None
