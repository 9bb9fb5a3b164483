"""My jobs: what an end user has started, running and finished. It works without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import TypeAlias

from fastapi import APIRouter
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from backburner.control import COUNT_LIMIT
from backburner.job import JobFilter
from backburner.states import FINAL, JobState
from backburner.web.access import RETRIED_BY_OWNERS, Visitor
from backburner.web.acting import act_by_form
from backburner.web.bodies import JobBody
from backburner.web.language import Language, language_of
from backburner.web.problems import invalid, not_found
from backburner.web.query import Query
from backburner.web.sight import Sight, Wording, look
from backburner.web.site import Site
from backburner.web.user import User
from backburner.web.view import View, view_of
from backburner.web.visiting import OwnPage, Visiting

MOST_ACTIVE, MOST_FINISHED = 20, 30
_OPEN = frozenset(JobState) - FINAL
_SHOWN = ("", "active", "finished")
_VERBS = frozenset({"cancel", "retry", "dismiss"})
_FIRST = (JobState.RUNNING, JobState.RETRYING, JobState.QUEUED, JobState.BLOCKED, JobState.SCHEDULED)
"""In which order active jobs are listed."""


@dataclass(frozen=True, slots=True)
class Mine:
    """What a page of the app's own is made of.

    `head` belongs into its head, `body` where people shall look; both are markup, which templates take as it is.
    """

    title: str
    head: Markup
    body: Markup


MinePage: TypeAlias = OwnPage[Mine]
"""The app's own page around a `Mine`: its HTML, or a whole response. May be async; runs in a thread if not."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One job of the list. `ended` and `became` are the sentence of a finished one."""

    job: JobBody
    view: View
    page: str
    forms: dict[str, str]
    may_retry: bool
    moment: str = ""
    ended: str = ""
    became: str = ""
    day: str = ""


class MineRoutes:
    """`GET /mine` and what the forms on it ask for."""

    def __init__(self, site: Site, visiting: Visiting, page: MinePage | None = None) -> None:
        self._site, self._visiting, self._page = site, visiting, page

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        router.add_api_route("/mine", self.mine, methods=["GET"])
        router.add_api_route("/mine/{job_id}/{verb}", self.act, methods=["POST"])
        return router

    async def mine(self, request: Request) -> Response:
        """The page. `show=active` or `finished` shows one of the two parts, `before` older jobs."""
        visitor, user = await self._site.access.signed_in(request)
        asked = request.query_params
        show = asked.get("show", "")
        if show not in _SHOWN:
            raise invalid("show", "Use active or finished, or leave it out.")
        before = Query.of({"before": asked.get("before", "")}).filter.before
        part = await run_in_threadpool(self._part, request, visitor, user, show, before)
        response = await self._visiting.page(request, part, self._page)
        response.headers["vary"] = "Accept-Language, Cookie, Authorization"
        return response

    async def act(self, request: Request, job_id: str, verb: str) -> Response:
        """A form's cancel, try again or dismiss; then back to the page."""
        if verb not in _VERBS:
            raise not_found()
        visitor, _ = await act_by_form(self._site, request, job_id, verb)
        return Response(None, 303, {"location": self._site.wording(request, visitor).href("/mine")})

    def _part(self, request: Request, visitor: Visitor, user: User, show: str, before: str | None) -> Mine:
        control, lang = self._site.control, language_of(request)
        of_user = JobFilter(owner=user.id, undismissed=True)
        active, finished = replace(of_user, states=_OPEN), replace(of_user, states=FINAL)
        counts = [control.count(which) for which in (active, finished)]
        rows, ended = _Rows(self._site.wording(request, visitor), control.now(), lang), list[Sight]()
        open_now = [] if show == "finished" else self._sights(active, MOST_ACTIVE)
        if show != "active":
            ended = self._sights(replace(finished, before=before), MOST_FINISHED + 1)
        older = (
            f"?show={show or 'finished'}&before={ended[MOST_FINISHED - 1].job.id}" if len(ended) > MOST_FINISHED else ""
        )
        here = rows.wording.href("/mine")
        title = lang.say("mine")
        body = self._visiting.markup(
            request,
            "mine_part.html",
            title=title,
            here=here,
            show=show,
            chips=_chips(lang, counts),
            active=[rows.row(sight) for sight in sorted(open_now, key=lambda sight: _FIRST.index(sight.job.state))],
            more_active=counts[0] > MOST_ACTIVE and show != "finished",
            days=_days([rows.row(sight) for sight in ended[:MOST_FINISHED]]),
            nothing=_nothing(lang, show, counts, before),
            older=here + older if older else "",
            newest=f"{here}{'?show=' + show if show else ''}" if before else "",
        )
        return Mine(title, self._visiting.markup(request, "visitor_head.html"), body)

    def _sights(self, which: JobFilter, limit: int) -> list[Sight]:
        ids = [job.id for job in self._site.control.page(which, limit)]
        found = look(self._site.control, ids)
        # What has gone on meanwhile is in the other part the next time.
        return [found[job_id] for job_id in ids if job_id in found and found[job_id].job.state in (which.states or ())]


class _Rows:
    """Makes rows of what was seen."""

    def __init__(self, wording: Wording, now: datetime, lang: Language) -> None:
        self.wording, self._now, self._lang = wording, now, lang

    def row(self, sight: Sight) -> _Row:
        job, lang = sight.job, self._lang
        body, view = self.wording.job(sight), view_of(sight, self._now, lang)
        row = _Row(
            body,
            view,
            self.wording.href(f"/jobs/{job.id}/wait"),
            {verb: self.wording.href(f"/mine/{job.id}/{verb}") for verb in _VERBS},
            job.state in RETRIED_BY_OWNERS and "retry" in body["actions"],
        )
        if job.finished_at is None:
            return row
        ended = lang.say("ended_ago", state=lang.say(job.state.value), time=lang.ago(job.finished_at, self._now))
        became = _became(job.state, view, lang)
        day, moment = lang.day(job.finished_at, self._now), lang.moment(job.finished_at)
        return replace(row, moment=moment, ended=ended, became=became, day=day)


def _became(state: JobState, view: View, lang: Language) -> str:
    """What became of a job, behind how and when it ended."""
    if state is JobState.SUCCEEDED:
        return "" if view.message == lang.say("done") else f", {view.message}"
    # The last characters of the id, so that support finds the job.
    return f". {view.message}{f' {view.note}' if view.note else ''}"


def _chips(lang: Language, counts: Sequence[int]) -> list[tuple[str, str, str]]:
    shown = [sum(counts), *counts]
    capped = [f"{lang.number(COUNT_LIMIT)}+" if count >= COUNT_LIMIT else lang.number(count) for count in shown]
    texts = [lang.say(key) for key in ("every", "active", "finished")]
    return list(zip(_SHOWN, texts, capped, strict=True))


def _days(rows: Sequence[_Row]) -> list[tuple[str, list[_Row]]]:
    """Finished jobs by the day on which they ended, the latest first."""
    ordered = sorted(rows, key=lambda row: row.job["finished_at"] or "", reverse=True)
    return [(day, list(those)) for day, those in groupby(ordered, key=lambda row: row.day)]


def _nothing(lang: Language, show: str, counts: Sequence[int], before: str | None) -> str:
    active, finished = counts
    if show == "active":
        return "" if active else lang.say("none_active")
    if show == "finished" or before:
        return "" if finished else lang.say("none_finished")
    return "" if active or finished else lang.say("none")
