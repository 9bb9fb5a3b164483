"""`FailuresPage`: a hundred thousand failed jobs are a few problems: what fails, by exception and line of the app."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from backburner.errors import InvalidOption
from backburner.insight.failures import HOURS, Failing, FailureDetails
from backburner.web import words
from backburner.web.access import Visitor
from backburner.web.dashboard.form import fields_of
from backburner.web.dashboard.frame import Frame, Said
from backburner.web.dashboard.trace import Trace, trace_of
from backburner.web.problems import Problem, forbidden, invalid, not_found
from backburner.web.rights import Permission
from backburner.web.site import Site

TEST_COUNT = 5
_BARS = 56
"""At most so many bars in the little chart of a group."""
_DAYS = {"": None, "1": 1, "7": 7, "30": 30}


@dataclass(frozen=True, slots=True)
class Group:
    """One group as a row: its bars, each from 0 to 1."""

    failing: Failing
    bars: tuple[float, ...]

    @property
    def seen(self) -> bool:
        """Whether anything failed in the range of the little chart."""
        return any(self.bars)


@dataclass(frozen=True, slots=True)
class Opened:
    """The group that is open: its latest traceback, and where it happens."""

    details: FailureDetails
    trace: Trace | None
    error: str


class FailuresPage:
    """`/dashboard/failures`, and the forms on it."""

    def __init__(self, site: Site, frame: Frame) -> None:
        self._site, self._frame = site, frame

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        router.add_api_route("/dashboard/failures", self.failures, methods=["GET"])
        router.add_api_route("/dashboard/failures/{fingerprint}/{verb}", self.act, methods=["POST"])
        return router

    async def failures(self, request: Request) -> Response:
        """The groups, most jobs first; one of them open."""
        visitor = await self._site.access.allowed(request, Permission.JOBS_VIEW)
        if not visitor.rights.everywhere(Permission.JOBS_VIEW):
            raise forbidden("You may see some jobs only, and this is about all of them.")
        given = request.query_params
        hours = given.get("hours", "24")
        if hours not in {str(each) for each in HOURS}:
            raise invalid("hours", f"Use one of {', '.join(map(str, HOURS))}.")
        text, task = given.get("text", "").strip() or None, given.get("task") or None
        return await run_in_threadpool(self._page, request, visitor, int(hours), text, task, given.get("open", ""))

    async def act(self, request: Request, fingerprint: str, verb: str) -> Response:
        """Retry a few as a test, mute, or let it count again."""
        needs = Permission.JOBS_RETRY
        visitor = await self._site.access.allowed(request, needs)
        if not all(visitor.rights.everywhere(one) for one in (needs, Permission.JOBS_VIEW)):
            raise forbidden("You may retry some jobs only. Select them in the list of jobs.")
        given = await fields_of(request)
        operator = self._site.operator(visitor)
        days = given.get("days", "")
        if days not in _DAYS:
            raise invalid("days", "Use 1, 7 or 30, or leave it out.")
        lasting, reason = _DAYS[days], given.get("reason", "").strip() or None
        until = None if lasting is None else self._site.control.now() + timedelta(days=lasting)
        verbs: dict[str, Callable[[], object]] = {
            "test": lambda: operator.retry_some(fingerprint, TEST_COUNT),
            "mute": lambda: operator.mute(fingerprint, reason=reason, until=until),
            "unmute": lambda: operator.unmute(fingerprint),
        }
        if verb not in verbs:
            raise not_found()
        try:
            done = await run_in_threadpool(verbs[verb])
        except InvalidOption as error:
            if error.option == "fingerprint":
                raise Problem(404, "unknown-failure", "There is no such failure", "It was cleaned away.") from error
            raise invalid(error.option, f"{error.problem}. {error.remedy}") from error
        count = getattr(done, "done", 0)
        said = {
            "test": f"{'1 job is' if count == 1 else f'{words.number(count)} jobs are'} in line again.",
            "mute": "It is muted: it counts in no warning.",
            "unmute": "It counts again.",
        }[verb]
        undo = f"/failures/{fingerprint}/unmute" if verb == "mute" else ""
        return self._frame.back(request, f"/failures?{urlencode({'open': fingerprint})}", Said(said, undo))

    def _page(
        self, request: Request, visitor: Visitor, hours: int, text: str | None, task: str | None, opened: str
    ) -> Response:
        failures = self._site.jobs.insight.failures
        found = failures.list(hours, text=text, task=task)
        failed = sum(one.failed for one in found)
        return self._frame.page(
            request,
            visitor,
            "failures.html",
            title="Failures",
            now=self._site.control.now(),
            hours=hours,
            all_hours=HOURS,
            text=text or "",
            task=task or "",
            groups=[Group(one, _bars(one.hours)) for one in found],
            failed=failed,
            opened=self._opened(opened, found),
            test=TEST_COUNT,
            days=_DAYS,
            at=lambda **more: _address(hours, text, task, more),
        )

    def _opened(self, fingerprint: str, found: Sequence[Failing]) -> Opened | None:
        if fingerprint not in {one.group.fingerprint for one in found}:
            return None
        details = self._site.jobs.insight.failures.get(fingerprint)
        attempt = details.attempt
        trace = trace_of(attempt.traceback) if attempt is not None and attempt.traceback else None
        return Opened(details, trace, (attempt.error or "") if attempt is not None else "")


def _address(hours: int, text: str | None, task: str | None, more: dict[str, object]) -> str:
    given = {"hours": "" if hours == 24 else str(hours), "text": text, "task": task} | more
    return f"?{urlencode({key: value for key, value in given.items() if value})}"


def _bars(hours: Sequence[int]) -> tuple[float, ...]:
    """A week has more hours than there is room for: then a bar is the sum of several."""
    width = -(-len(hours) // _BARS)
    sums = [sum(hours[start : start + width]) for start in range(0, len(hours), width)]
    top = max(sums, default=0)
    return tuple(one / top for one in sums) if top else ()
