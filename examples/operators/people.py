"""Who looks at the pages of the shop."""

from __future__ import annotations

from starlette.requests import Request

from backburner.web import User


def user_of(request: Request) -> User:
    """Everybody is the operator here: the server listens on this machine alone."""
    return User("Marta Kral", operator=True)
