"""`JobsPage`: one grid for jobs in all states, its filter bar, and what is done with many of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from backburner.checked import MAX_WHO
from backburner.control import JobPage
from backburner.ids import is_id
from backburner.job import Job
from backburner.progress import storable
from backburner.states import JobState
from backburner.view import View
from backburner.web import words
from backburner.web.access import Visitor
from backburner.web.dashboard.columns import COLUMNS, JOB, STATE
from backburner.web.dashboard.frame import ORDER, Frame
from backburner.web.dashboard.jobs_tools import address_of
from backburner.web.dashboard.listing import Listing
from backburner.web.dashboard.narrowing import seen_by
from backburner.web.dashboard.row import Row, row_of
from backburner.web.query import MOST
from backburner.web.rights import Permission
from backburner.web.site import Site, root_of

if TYPE_CHECKING:
    from backburner.store.search import Tally

_RETRIED = frozenset({JobState.FAILED, JobState.INTERRUPTED})
"""What "retry all" means unless the filter names a state."""
SHOWN = "x-backburner-shown"
"""A live update says here which jobs the page shows: they stay where they are, whatever became of them."""


@dataclass(frozen=True, slots=True)
class SavedView:
    """A view as a link."""

    view: View
    address: str
    own: bool


class JobsPage:
    """`/dashboard/jobs`."""

    def __init__(self, site: Site, frame: Frame) -> None:
        self._site, self._frame = site, frame

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        router.add_api_route("/dashboard/jobs", self.jobs, methods=["GET"])
        return router

    async def jobs(self, request: Request) -> Response:
        """The list, with its filters in the address."""
        visitor = await self._site.access.allowed(request, Permission.JOBS_VIEW)
        parameters = dict(request.query_params)
        if "column" in parameters:
            # What a form without scripts sends: one parameter for each ticked column.
            parameters["columns"] = ",".join(request.query_params.getlist("column"))
            del parameters["column"]
            return RedirectResponse(f"{root_of(request)}/dashboard/jobs{Listing.of(parameters).at()}", 303)
        listing = Listing.of(parameters)
        if listing.job_id is not None:
            return RedirectResponse(f"{root_of(request)}/dashboard/jobs/{listing.job_id}", 303)
        if "add" in parameters and not listing.wrong:
            return RedirectResponse(f"{root_of(request)}/dashboard/jobs{listing.at()}", 303)
        shown = [one for one in request.headers.get(SHOWN, "").split(",") if is_id(one)][:MOST]
        return await run_in_threadpool(self._page, request, visitor, listing, shown)

    def _page(self, request: Request, visitor: Visitor, listing: Listing, shown: Sequence[str]) -> Response:
        control = self._site.control
        now = control.now()
        ordered = self._in_order(visitor, listing, now)
        page = ordered or control.search(seen_by(visitor, listing.filter(now)), listing.limit)
        tally = control.tally(seen_by(visitor, listing.of_any_state(now)))
        return self._frame.page(
            request,
            visitor,
            "jobs.html",
            status=422 if listing.wrong else 200,
            title="Jobs",
            listing=listing,
            rows=self._rows(visitor, page.jobs, shown, now)
            if ordered is None
            else [row_of(job, now) for job in ordered.jobs],
            ordered=ordered is not None,
            page=page,
            now=now,
            counts={state: _amount(tally, (state,)) for state in ORDER},
            total=_amount(tally, ORDER),
            matching=_amount(tally, _matching(listing, now)),
            able=_able(listing, tally, now),
            older=_following(listing, page, ordered=ordered is not None),
            only=cache(listing.only),
            columns=COLUMNS,
            job_column=JOB,
            state_column=STATE,
            views=self._views(visitor),
        )

    def _in_order(self, visitor: Visitor, listing: Listing, now: datetime) -> JobPage | None:
        """The page in the order that is asked for; None without one, and where too many jobs match for it."""
        if listing.order is None:
            return None
        which = seen_by(visitor, listing.of_all(now))
        return self._site.control.search_in_order(which, listing.order, listing.limit, listing.skip)

    def _views(self, visitor: Visitor) -> Sequence[SavedView]:
        """One's own views and shared ones."""
        found = self._site.jobs.insight.views.list(storable(visitor.name, MAX_WHO))
        own = storable(visitor.name, MAX_WHO)
        return [SavedView(one, address_of(one.query, one.columns), one.owner == own) for one in found]

    def _rows(self, visitor: Visitor, page: Sequence[Job], shown: Sequence[str], now: datetime) -> list[Row]:
        """The jobs of the page, and those that were on it when it was made, in one order."""
        found = {job.id: job for job in page}
        left = [job_id for job_id in shown if job_id not in found]
        kept = self._site.control.glance(left) if left else {}
        found |= {job_id: job for job_id, job in kept.items() if visitor.allows(Permission.JOBS_VIEW, job)}
        return [row_of(found[job_id], now) for job_id in sorted(found, reverse=True)]


def _following(listing: Listing, page: JobPage, *, ordered: bool) -> str | None:
    """The address of the next page."""
    if page.next is None:
        return None
    return listing.at(skip=page.next) if ordered else listing.at(before=page.next)


def fitting(verb: str, listing: Listing, now: datetime) -> frozenset[JobState]:
    """In which of the states that match, those that are left out by name included, it can be done to many."""
    chosen = _matching(listing, now)
    if verb == "cancel":
        return frozenset(state for state in chosen if not state.final)
    if verb == "delete":
        return chosen - {JobState.RUNNING}
    return chosen & (_RETRIED if listing.states is None else {*_RETRIED, JobState.CANCELLED})


def _matching(listing: Listing, now: datetime) -> frozenset[JobState]:
    states = listing.of_all(now).states
    return frozenset(JobState) if states is None else states


def _able(listing: Listing, tally: Tally, now: datetime) -> dict[str, words.Amount]:
    """How many of all that match each action on many can take."""
    retried = fitting("retry", listing, now)
    return {
        "retry": _amount(tally, retried),
        "failed": _amount(tally, retried & {JobState.FAILED}),
        "interrupted": _amount(tally, retried & {JobState.INTERRUPTED}),
        "cancel": _amount(tally, fitting("cancel", listing, now)),
        "delete": _amount(tally, fitting("delete", listing, now)),
    }


def _amount(tally: Tally, states: Iterable[JobState]) -> words.Amount:
    """How many there are in these states together."""
    named = frozenset(states)
    return words.Amount(sum(tally.states.get(state, 0) for state in named), bool(tally.open & named))
