"""`AuditPage`: who did what, on what, and what that changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from backburner.action import Action
from backburner.errors import InvalidOption
from backburner.ids import is_id
from backburner.web import words
from backburner.web.access import Visitor
from backburner.web.dashboard.frame import Frame
from backburner.web.problems import forbidden, invalid
from backburner.web.rights import Permission
from backburner.web.site import Site
from backburner.where import quoted

_NAMES = ("by", "action", "kind", "target")
_MOST_TEXT = 420
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """One action, with where it leads and what it changed: name, before, after."""

    action: Action
    href: str
    changes: tuple[tuple[str, str, str], ...]


class AuditPage:
    """`/dashboard/audit`."""

    def __init__(self, site: Site, frame: Frame) -> None:
        self._site, self._frame = site, frame

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter()
        router.add_api_route("/dashboard/audit", self.audit, methods=["GET"])
        return router

    async def audit(self, request: Request) -> Response:
        """The newest actions first."""
        visitor = await self._site.access.allowed(request, Permission.AUDIT_VIEW)
        if not visitor.rights.everywhere(Permission.AUDIT_VIEW):
            raise forbidden("The audit is about everything: this needs audit.view without limits.")
        given = {name: request.query_params.get(name, "").strip() for name in (*_NAMES, "before")}
        for name, value in given.items():
            if len(value) > _MOST_TEXT or "\0" in value:
                raise invalid(name, f"Use at most {_MOST_TEXT} characters.")
        return await run_in_threadpool(self._page, request, visitor, given)

    def _page(self, request: Request, visitor: Visitor, given: dict[str, str]) -> Response:
        chosen = {name: value or None for name, value in given.items()}
        try:
            found = self._site.jobs.insight.audit.page(**chosen)  # type: ignore[arg-type]
        except InvalidOption as error:
            raise invalid(error.option, f"{error.problem}. {error.remedy}") from error
        kept = {name: given[name] for name in _NAMES if given[name]}
        return self._frame.page(
            request,
            visitor,
            "audit.html",
            title="Audit",
            entries=[_entry(one) for one in found.rows],
            given=given,
            now=self._site.control.now(),
            complete=found.complete,
            older=f"?{urlencode(kept | {'before': found.next})}" if found.next else None,
            only=lambda **more: f"?{urlencode(kept | more)}",
        )


def _entry(action: Action) -> Entry:
    target = quote(action.target, safe="")
    href = {
        "job": f"/jobs/{target}" if is_id(action.target) else "",
        "queue": "/queues",
        "schedule": "/schedules",
        "worker": "/workers",
        "setting": "/settings",
        "failure": f"/failures?open={target}",
        "jobs": f"/jobs?{urlencode({'q': action.target})}" if ":" in action.target or quoted(action.target) else "",
    }.get(action.kind, "")
    before, after = _object(action.before), _object(action.after)
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    changes = tuple((name, _text(before, name), _text(after, name)) for name in names[:_SHOWN])
    return Entry(action, href, changes)


def _object(text: str | None) -> dict[str, object]:
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}


def _text(values: dict[str, object], name: str) -> str:
    value = values.get(name)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return words.number(value) if isinstance(value, int | float) else str(value)[:200]
