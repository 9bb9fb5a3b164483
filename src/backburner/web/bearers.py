"""`api_token`: signed, expiring tokens by which programs speak for a user, as `Authorization: Bearer`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta

from itsdangerous import BadSignature, URLSafeSerializer
from starlette.requests import Request

from backburner.backburner import Backburner
from backburner.control import Control
from backburner.errors import InvalidOption, SettingsError
from backburner.web.problems import unauthorized
from backburner.web.scopes import checked_scopes
from backburner.web.user import User

PREFIX = "bb_"
"""What our tokens begin with: others are left to the app's own rule."""
_SALT = "backburner.web.bearer"
_LONGEST = 3_155_760_000.0
_CHARACTERS = 16_000


class Bearers:
    """Reads who a bearer token speaks for."""

    def __init__(self, secrets: Sequence[str], control: Control) -> None:
        self._serializer = _serializer(secrets) if secrets else None
        self._control = control

    def user(self, request: Request) -> User | None:
        """The user of a token of ours; None when the request has none. Raises a `Problem` when it is no good."""
        tokens = [text for text in map(_token, request.headers.getlist("authorization")) if text is not None]
        if not tokens:
            return None
        found = self._read(tokens[0]) if len(tokens) == 1 else None
        if found is None:
            raise unauthorized("The bearer token is unknown or its time is over.", 'error="invalid_token"')
        return found

    def _read(self, token: str) -> User | None:
        if self._serializer is None or len(token) > _CHARACTERS:
            return None
        try:
            name, operator, scopes, until = self._serializer.loads(token.removeprefix(PREFIX))
            user = User(name, operator=bool(operator), scopes=frozenset(scopes))
        except (BadSignature, ValueError, TypeError):
            # Not ours, or with scopes that only a later version knows.
            return None
        return user if self._control.now().timestamp() < until else None


def api_token(jobs: Backburner, user: User, seconds: float) -> str:
    """A token by which a program speaks for `user`, with the scopes of that `User`, for `seconds`.

        token = api_token(jobs, User("billing", scopes=frozenset({"read", "enqueue:shop.export"})), 30 * 86_400)

    It is sent as `Authorization: Bearer bb_...`. Nothing of it is stored: it is valid until its time is over or
    its secret is in the settings no more. Raises `SettingsError` without a secret, and `InvalidOption`, also for a user
    without scopes: what a token may do has to be said.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= _LONGEST:
        raise InvalidOption("seconds", seconds, "is no life of a token", "Give more than 0 seconds")
    if not user.scopes:
        raise InvalidOption(
            "scopes", user.scopes, "say nothing, the token would open all or nothing",
            "Name them: User(id, scopes=frozenset({'read', 'act', 'enqueue'}))",
        )  # fmt: skip
    secrets = jobs.settings.secrets
    if not secrets:
        raise SettingsError(
            "secret", None, "is not set, and tokens are signed with it",
            "Set BACKBURNER_SECRET to 16 characters or more, from secrets.token_urlsafe()",
        )  # fmt: skip
    until = math.ceil((jobs.control.now() + timedelta(seconds=seconds)).timestamp())
    scopes = sorted(checked_scopes(user.scopes))
    return PREFIX + str(_serializer(secrets).dumps([user.id, int(user.operator), scopes, until]))


def _serializer(secrets: Sequence[str]) -> URLSafeSerializer:
    # The last one signs.
    return URLSafeSerializer([*reversed(secrets)], salt=_SALT)


def _token(header: str) -> str | None:
    scheme, _, token = header.partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token.startswith(PREFIX) else None
