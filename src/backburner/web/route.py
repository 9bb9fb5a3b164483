"""`Route`: one operation of the HTTP contract, and who it is for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from backburner.web.rights import Permission
from backburner.web.scopes import READ


class Audience(Enum):
    """Who a route is for; the number is the status for all others."""

    ANYBODY = 200
    SIGNED_IN = 401
    """Users who are known; they get what is their own."""
    OF_A_JOB = 404
    """Those for whom the job exists: owner, operators, who its visibility names, who holds a token for it."""
    OPERATORS = 403


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: its media type and what it holds, the name of a body or a schema; None for nothing."""

    text: str
    media: str | None = "application/json"
    body: str | dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `scope` is what a token needs; `takes` names parameters; `problems` are statuses.

    What has no `answers` is a page for people, and no part of the API; `needs` is the permission for it.
    """

    method: str
    path: str
    summary: str
    audience: Audience
    scope: str | None = READ
    takes: tuple[str, ...] = ()
    answers: tuple[tuple[int, Answer], ...] = ()
    problems: tuple[int, ...] = ()
    needs: Permission | None = None
