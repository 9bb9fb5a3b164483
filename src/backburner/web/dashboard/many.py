"""`ManyJobs`: cancel, retry or delete many jobs at once, after a page that says what that means."""

from __future__ import annotations

import re
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
from backburner.web.problems import forbidden, invalid
from backburner.web.query import MOST
from backburner.web.rights import Permission
from backburner.web.site import Site

TYPED_FROM = 1_000
"""For more jobs than this, the number has to be typed."""
_PERMISSIONS = {
    "retry": Permission.JOBS_RETRY,
    "cancel": Permission.JOBS_CANCEL,
    "delete": Permission.JOBS_DELETE,
}
_DONE = {"retry": "in line again", "cancel": "cancelled, or asked to stop", "delete": "deleted"}
_ING = {"retry": "The retry of", "cancel": "The cancelling of", "delete": "The deletion of"}
_WARNINGS = {
    "retry": "",
    "cancel": "Those that run stop at their next step. What they have done so far stays.",
    "delete": "The jobs, their output and their files are removed for good. Running ones stay.",
}
_ALL = "all"
_FEW_MORE = 10
_DIGITS = re.compile(r"[0-9][0-9, .]*\+?")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before it is done. `filter` is None for jobs that were selected one by one."""

    verb: str
    ids: tuple[str, ...]
    filter: str | None
    count: int
    interrupted: int = 0
    unfit: int = 0
    risky: tuple[str, ...] = ()
    more: bool = False
    """Whether there may be more than were counted."""

    @property
    def risks(self) -> bool:
        """Whether it is about interrupted jobs and no others, as far as is known."""
        return self.interrupted > 0 and not self.count and not self.more

    @property
    def number(self) -> str:
        """How many, as people write it."""
        count = self.interrupted if self.risks else self.count
        return f"{words.number(min(count, COUNT_LIMIT))}+" if self.more else words.number(count)

    @property
    def title(self) -> str:
        """The question."""
        return f"{self.button}?"

    @property
    def button(self) -> str:
        """What is done, and to how many."""
        return f"{self.verb.capitalize()} {self.jobs}"

    @property
    def jobs(self) -> str:
        """To how many; nothing is said of a number where none of those counted fit and there may be more."""
        if self.more and not self.count:
            return "all that match"
        if self.risks:
            return self.interrupted_text
        return "1 job" if self.number == "1" else f"{self.number} jobs"

    @property
    def interrupted_text(self) -> str:
        """The interrupted ones, which are counted apart."""
        if self.more:
            return f"{words.Amount(self.interrupted, more=True)} interrupted jobs"
        return "1 interrupted job" if self.interrupted == 1 else f"{words.number(self.interrupted)} interrupted jobs"

    @property
    def warning(self) -> str:
        """What cannot be undone."""
        return _WARNINGS[self.verb]

    @property
    def left_out(self) -> str:
        """How many of the selected ones it cannot be done to."""
        if not self.unfit:
            return ""
        return f"{words.number(self.unfit)} of those selected cannot be {_past(self.verb)} in their state."

    @property
    def typed(self) -> bool:
        """Whether `answer` has to be typed."""
        if self.more:
            return True
        return (self.verb == "delete" and self.count > 0) or self.count + self.interrupted > TYPED_FROM

    @property
    def answer(self) -> str:
        """What has to be typed: how many they are, or that it is all of them where that is all that is known."""
        return _ALL if self.more and not self.count else self.number

    @property
    def any(self) -> bool:
        """Whether there is anything that it can be done to."""
        return bool(self.count or self.interrupted or self.more)

    @property
    def pattern(self) -> str:
        """What the field for the answer takes."""
        if self.answer == _ALL:
            return "[Aa][Ll][Ll]"
        return re.escape(self.number).replace(",", ",?").replace(r"\+", r"\+?")

    def agrees(self, typed: str, asked: str = "") -> bool:
        """Whether that is the answer: to this question, or as it was `asked` when that meant about as many."""
        answer = asked if self._is_about(asked) else self.answer
        if answer == _ALL:
            return typed.strip().lower() == _ALL
        return _DIGITS.fullmatch(typed.strip()) is not None and _plain(typed) == _plain(answer)

    def _is_about(self, asked: str) -> bool:
        """Jobs come and end while a person types: a few more than were asked for are no other question."""
        if asked == _ALL:
            return True
        if _DIGITS.fullmatch(asked) is None or (self.more and not asked.endswith("+")):
            return False
        before, now = int(_plain(asked)), int(_plain(self.number))
        return now <= before + max(_FEW_MORE, before // 10)


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
        if question.typed and not question.agrees(given.get("typed", ""), given.get("asked", "")):
            meant = "for it is not known how many they are" if question.answer == _ALL else "the number of jobs"
            wrong = f"Type {question.answer}, {meant}. Nothing was changed."
            return await run_in_threadpool(self._asked, request, visitor, question, wrong, given.get("typed", ""))
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
        self, request: Request, visitor: Visitor, question: Question, wrong: str = "", typed: str = ""
    ) -> Response:
        status = 422 if wrong else 200
        return self._frame.page(
            request,
            visitor,
            "many.html",
            status,
            title=question.title,
            question=question,
            wrong=wrong,
            typed=typed[:40],
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


def _past(verb: str) -> str:
    return {"retry": "retried", "cancel": "cancelled", "delete": "deleted"}[verb]


def _plain(number: str) -> str:
    return re.sub(r"[^0-9]", "", number)
