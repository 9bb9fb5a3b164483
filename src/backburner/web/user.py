"""`User`: who is asking, as the app's own rule or a token says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request

from backburner.web.scopes import checked_scopes


@dataclass(frozen=True, slots=True)
class User:
    """Who is asking. `id` is what jobs are given as their `owner`; an operator may see and do everything.

    `scopes` take from that: of `read`, `act`, `enqueue` and `enqueue:NAME` only what is named may be done; None, for
    somebody who signed in, takes nothing. Raises `InvalidOption` for scopes that are unknown.
    """

    id: str
    operator: bool = False
    scopes: frozenset[str] | None = None

    def __post_init__(self) -> None:
        """Check the scopes."""
        if self.scopes is not None:
            object.__setattr__(self, "scopes", checked_scopes(self.scopes))


ResolveUser = Callable[[Request], User | Awaitable[User | None] | None]
"""The app's own rule: from a request to its user, None for nobody. May be async; runs in a thread if not."""
