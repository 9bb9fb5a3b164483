"""`ManyJobs`: cancel, retry or delete many jobs at once, after a page that says what that means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from backburner.control import COUNT_LIMIT
from backburner.ids import is_id
from backburner.states import JobState
from backburner.web import words
from backburner.web.access import Visitor
from backburner.web.dashboard.form import fields_of
from backburner.web.dashboard.frame import Frame, Said, origin_of
from backburner.web.dashboard.jobs import fitting
from backburner.web.dashboard.listing import Listing
from backburner.web.dashboard.narrowing import seen_by
from backburner.web.dashboard.question import Question, Wrong, objection_to
from backburner.web.problems import forbidden, invalid
from backburner.web.query import MOST
from backburner.web.rights import Permission
from backburner.web.site import Site

_PERMISSIONS = {
    "retry": Permission.JOBS_RETRY,
    "cancel": Permission.JOBS_CANCEL,
    "delete": Permission.JOBS_DELETE,
}
_DONE = {"retry": "in line again", "cancel": "cancelled, or asked to stop", "delete": "deleted"}
_ING = {"retry": "The retry of", "cancel": "The cancelling of", "delete": "The deletion of"}
_NOTHING: Mapping[str, str] = {}


class ManyJobs:
    """`/dashboard/jobs/many`."""

    def __init__(self, site: Site, frame: Frame) -> None:
        self._site, self._frame = site, frame

    def router(self) -> APIRouter:
        """The routes. Before that of one job: `many` is no id."""
        router = APIRouter()
        router.add_api_route("/dashboard/jobs/many", self.ask, methods=["GET"])
        router.add_api_route("/dashboard/jobs/many", self.act, methods=["POST"])
        return router

    async def ask(self, request: Request) -> Response:
        """The question."""
        given = request.query_params
        visitor, verb = await self._permitted(request, given.get("verb", ""))
        chosen = _Chosen.of(given, given.getlist("id"))
        question = await run_in_threadpool(self._question, visitor, verb, chosen)
        return await run_in_threadpool(self._asked, request, visitor, question)

    async def act(self, request: Request) -> Response:
        """Do it, when the number that had to be typed is right."""
        given = await fields_of(request)
        visitor, verb = await self._permitted(request, given.get("verb", ""))
        chosen = _Chosen.of(given, given.getlist("id"))
        question = await run_in_threadpool(self._question, visitor, verb, chosen)
        wrong = objection_to(question, given)
        if wrong:
            return await run_in_threadpool(self._asked, request, visitor, question, wrong, given)
        interrupted = given.get("interrupted") == "1"
        operator = self._site.operator(visitor)
        if chosen.listing is not None:
            states = fitting(verb, chosen.listing, self._site.control.now())
            if not states or not question.any:
                raise invalid("q", "Nothing of what matches can be acted on so.")
            where = chosen.listing.where.with_state(*states)
            job = await run_in_threadpool(lambda: operator.operate(verb, where, interrupted=interrupted))
            said = Said(f"{_ING[verb]} {question.jobs} has begun: this job does it, and can be cancelled.")
            return self._frame.back(request, f"/jobs/{job.id}", said)
        ids = [*question.ids, *(question.risky if interrupted else ())]
        count = (await run_in_threadpool(operator.act, verb, ids)).done if ids else 0
        jobs = "1 job is" if count == 1 else f"{words.number(count)} jobs are"
        return self._frame.back(request, origin_of(request, "/jobs"), Said(f"{jobs} {_DONE[verb]}."))

    async def _permitted(self, request: Request, verb: str) -> tuple[Visitor, str]:
        await self._site.access.allowed(request, Permission.JOBS_VIEW)
        if verb not in _PERMISSIONS:
            raise invalid("verb", "Use retry, cancel or delete.")
        return await self._site.access.allowed(request, _PERMISSIONS[verb]), verb

    def _asked(
        self, request: Request, visitor: Visitor, question: Question, wrong: Wrong | None = None,
        given: Mapping[str, str] = _NOTHING,
    ) -> Response:  # fmt: skip
        status = 422 if wrong else 200
        return self._frame.page(
            request,
            visitor,
            "many.html",
            status,
            title=question.title,
            question=question,
            wrong=wrong,
            typed=given.get("typed", "")[:40],
            ticked=given.get("interrupted") == "1",
        )

    def _question(self, visitor: Visitor, verb: str, chosen: _Chosen) -> Question:
        control = self._site.control
        if chosen.listing is None:
            found = list(control.glance(chosen.ids).values())
            fit = [job for job in found if visitor.sees(job) and visitor.may(verb, job)]
            risky = [job for job in fit if verb == "retry" and job.state is JobState.INTERRUPTED]
            doubtful = tuple(job.id for job in risky)
            sure = tuple(job.id for job in fit if job.id not in doubtful)
            return Question(verb, sure, None, len(sure), len(risky), len(chosen.ids) - len(fit), doubtful)
        self._check_confined(visitor, verb)
        now = control.now()
        able, seen = fitting(verb, chosen.listing, now), seen_by(visitor, chosen.listing.of_all(now))
        states = able if seen.states is None else able & seen.states
        tally = control.tally(replace(seen, states=states), thorough=True)
        counts = tally.states
        risky_count = counts.get(JobState.INTERRUPTED, 0) if verb == "retry" and JobState.INTERRUPTED in able else 0
        certain = able - {JobState.INTERRUPTED} if verb == "retry" else able
        count = sum(counts.get(state, 0) for state in certain)
        more = bool(tally.open & states) or COUNT_LIMIT in counts.values()
        return Question(verb, (), chosen.text, count, risky_count, more=more)

    def _check_confined(self, visitor: Visitor, verb: str) -> None:
        if not all(visitor.rights.everywhere(one) for one in (_PERMISSIONS[verb], Permission.JOBS_VIEW)):
            raise forbidden("You may do this with some jobs only. Select them one by one.")


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Which jobs a form means: those of a filter, or single ones."""

    listing: Listing | None
    ids: tuple[str, ...]

    @classmethod
    def of(cls, given: Mapping[str, str], ids: Sequence[str]) -> _Chosen:
        if given.get("all") == "1":
            listing = Listing.of({"q": given.get("q", "")})
            if listing.wrong:
                raise invalid("q", listing.wrong)
            return cls(listing, ())
        if len(ids) > MOST:
            raise invalid("id", f"Select at most {MOST} jobs, or take all that match.")
        found = tuple(dict.fromkeys(one for one in ids if is_id(one)))
        if not found:
            raise invalid("id", "No job is selected. Go back and tick some.")
        return cls(None, found)

    @property
    def text(self) -> str:
        return "" if self.listing is None else self.listing.text
