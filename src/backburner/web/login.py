"""`Login`: the sessions of people who signed in to the stand-alone server, and how often one may try."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import Request

from backburner.clock import boot_seconds
from backburner.errors import SettingsError
from backburner.web.passwords import Passwords
from backburner.web.user import User

COOKIE, FORM_COOKIE = "backburner_session", "backburner_form"
SESSION_SECONDS = 12 * 3_600
_FORM_SECONDS = 3_600
_MOST_COOKIE = 1_000


class Attempts:
    """Counts failures by name and by address; whoever has failed too often waits. Of this process alone."""

    def __init__(self, most: int = 10, seconds: float = 900.0, clock: Callable[[], float] = boot_seconds) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._failed: OrderedDict[str, list[float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, *keys: str) -> int:
        """Seconds until another attempt is taken; 0: now."""
        now = self._clock()
        with self._lock:
            waits = [self._wait(key, now) for key in keys]
        return max(0, *(int(one + 0.999) for one in waits))

    def failed(self, *keys: str) -> None:
        """One more failure."""
        now = self._clock()
        with self._lock:
            for key in keys:
                self._failed.setdefault(key, []).append(now)
                self._failed.move_to_end(key)
                del self._failed[key][: -self._most]
            while len(self._failed) > _MOST_KEYS:
                self._failed.popitem(last=False)

    def passed(self, *keys: str) -> None:
        """Forget the failures."""
        with self._lock:
            for key in keys:
                self._failed.pop(key, None)

    def taken_back(self, key: str) -> None:
        """The latest one was none."""
        with self._lock:
            if times := self._failed.get(key):
                times.pop()

    def _wait(self, key: str, now: float) -> float:
        recent = [then for then in self._failed.get(key, ()) if now - then < self._seconds]
        return recent[0] + self._seconds - now if len(recent) >= self._most else 0.0


_MOST_KEYS = 10_000


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
