"""`Frame`: what is around every page: navigation, who looks, and what was just done."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from backburner.clock import boot_seconds
from backburner.errors import StoreError
from backburner.job import Job
from backburner.states import JobState
from backburner.web import words
from backburner.web.access import Visitor
from backburner.web.rendering import environment
from backburner.web.rights import Permission
from backburner.web.sight import moment
from backburner.web.site import Site, root_of
from backburner.where import quoted

LIVE_SECONDS = 5
ORDER = tuple(
    JobState(name)
    for name in (
        *("running", "queued", "blocked", "scheduled", "retrying"),
        *("succeeded", "failed", "interrupted", "cancelled", "skipped"),
    )
)
"""The order of states in filters."""
_SAID = "backburner_said"
_MOST_SAID = 600
_PAGES = (
    ("overview", "Overview", Permission.JOBS_VIEW),
    ("jobs", "Jobs", Permission.JOBS_VIEW),
    ("failures", "Failures", Permission.JOBS_VIEW),
    ("queues", "Queues", Permission.JOBS_VIEW),
    ("schedules", "Schedules", Permission.JOBS_VIEW),
    ("workers", "Workers", Permission.JOBS_VIEW),
    ("tasks", "Tasks", Permission.JOBS_VIEW),
    ("audit", "Audit", Permission.AUDIT_VIEW),
    ("settings", "Settings", Permission.SETTINGS_EDIT),
)
"""Path, name, and what is needed to see it."""
_OF_EVERYTHING = frozenset({"failures", "audit", "settings"})
"""Pages that nobody sees whose permission has limits."""
_PRODUCTION = re.compile(r"prod|live", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Said:
    """What was just done, in a sentence, and the form that undoes it: a path below the pages."""

    text: str
    undo: str = ""


class Frame:
    """Renders pages, and sends people on to one with a sentence about what they did."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._asked_at, self._standing = float("-inf"), 0
        self._templates = environment()
        self._templates.globals |= {
            "words": words,
            "moment": moment,
            "order": ORDER,
            "quoted": quoted,
            "links_of": site.links.of,
            "attempts_of": self._attempts,
        }

    def page(
        self, request: Request, visitor: Visitor | None, template: str, status: int = 200, **values: Any
    ) -> Response:
        """A page; `title` is among the values."""
        root = root_of(request)
        said = _said(request)
        named = self._site.jobs.settings.environment
        text = self._templates.get_template(f"dashboard/{template}").render(
            root=root,
            site=f"{root}/dashboard",
            development=self._site.development,
            signs_out=self._site.login is not None,
            environment=named,
            alarming=named is not None and _PRODUCTION.search(named) is not None,
            visitor=visitor,
            pages=[] if visitor is None else _pages(visitor),
            failing=self._failures(visitor),
            section=request.url.path.removeprefix(f"{root}/dashboard/").partition("/")[0],
            here=f"{request.url.path}{f'?{request.url.query}' if request.url.query else ''}",
            seconds=LIVE_SECONDS,
            said=said,
            P=Permission,
            **values,
        )
        response = HTMLResponse(text, status)
        if said is not None:
            response.delete_cookie(_SAID, path=root or "/")
        return response

    def _failures(self, visitor: Visitor | None) -> int:
        """How many kinds of failures there are, for who may see them all; asked every few seconds, whoever looks."""
        if visitor is None or not visitor.rights.everywhere(Permission.JOBS_VIEW):
            return 0
        now = boot_seconds()
        if now - self._asked_at > LIVE_SECONDS:
            self._asked_at = now
            # A page that says that the database is away has the last number.
            with suppress(StoreError):
                self._standing = self._site.jobs.insight.failures.standing()
        return self._standing

    def _attempts(self, job: Job) -> str:
        """How often it was tried, and how often it may be: that is said by the job, else by its task."""
        task = self._site.jobs.registry.get(job.task)
        if task is None:
            return words.attempts(job)
        return words.attempts(job, task.defaults.max_attempts or task.defaults.retry.max_attempts)

    def back(self, request: Request, path: str, said: Said | None = None) -> Response:
        """On to a page below the dashboard's own path, or to where the form says that it came from."""
        root = root_of(request)
        response = RedirectResponse(f"{root}/dashboard{path}", 303)
        if said is not None:
            text = quote(json.dumps([said.text[:_MOST_SAID], said.undo]))
            response.set_cookie(_SAID, text, max_age=60, path=root or "/", httponly=True, samesite="lax")
        return response


def _pages(visitor: Visitor) -> list[tuple[str, str]]:
    """Paths and names of the pages that are open to a visitor."""
    return [
        (path, name)
        for path, name, need in _PAGES
        if (visitor.rights.everywhere(need) if path in _OF_EVERYTHING else visitor.allows(need))
    ]


def origin_of(request: Request, default: str) -> str:
    """The page of ours below the dashboard that a form was sent from, as its `Referer` says; else `default`."""
    try:
        parts = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return default
    start = f"{root_of(request)}/dashboard"
    if parts.netloc.lower() != request.headers.get("host", "").lower() or not parts.path.startswith(f"{start}/"):
        return default
    return parts.path.removeprefix(start) + (f"?{parts.query}" if parts.query else "")


def _said(request: Request) -> Said | None:
    given = request.cookies.get(_SAID)
    if not given or len(given) > 3 * _MOST_SAID:
        return None
    try:
        text, undo = json.loads(unquote(given))
    except (ValueError, TypeError, RecursionError):
        return None
    return Said(str(text)[:_MOST_SAID], undo if isinstance(undo, str) and _UNDO.fullmatch(undo) else "")


_UNDO = re.compile(r"/(?:queues|schedules)/[\w.%~-]{1,400}/resume|/failures/\w{1,100}/unmute")
"""What a toast may offer. Its cookie is not signed, and a neighbour's site may set it."""
