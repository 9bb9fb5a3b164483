"""`QueuesPage`: how queues stand; pause them, let them go on, say how many of their jobs may run at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import quote

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from backburner.contradictions import ALL_QUEUES
from backburner.errors import InvalidOption
from backburner.job import JobFilter
from backburner.queues import QueueState
from backburner.states import JobState
from backburner.web import words
from backburner.web.access import Visitor
from backburner.web.dashboard.form import fields_of
from backburner.web.dashboard.frame import Frame, Said
from backburner.web.dashboard.narrowing import knows_queue, seen_by, sees_all_of
from backburner.web.problems import forbidden, invalid
from backburner.web.rights import Permission
from backburner.web.site import Site
from backburner.workers import WorkerState

_COUNTED = 10_000
_OPEN = frozenset({JobState.QUEUED, JobState.BLOCKED, JobState.RUNNING})
_DIGITS = re.compile(r"[0-9]{1,6}")
_MINUTES = {"": None, "30": 30, "120": 120, "480": 480, "1440": 1440}
"""For how long a pause may be said to last."""


@dataclass(frozen=True, slots=True)
class Line:
    """One queue, who takes its jobs, and how long the next one has waited."""

    queue: QueueState
    workers: int
    slots: int
    oldest: float | None

    @property
    def name(self) -> str:
        """What people call it."""
        return "All queues" if self.queue.name == ALL_QUEUES else self.queue.name

    @property
    def path(self) -> str:
        """It in the addresses of forms."""
        return quote(self.queue.name, safe="")

    @property
    def waiting(self) -> str:
        """How many wait."""
        return words.number(self.queue.waiting) + ("+" if self.queue.capped else "")

    @property
    def share(self) -> float | None:
        """How much of what may run does; None when nothing says how much may."""
        most = self.queue.most or self.slots
        return min(self.queue.running / most, 1.0) if most else None

    @property
    def stuck(self) -> bool:
        """Whether jobs wait that nobody takes."""
        return self.queue.name != ALL_QUEUES and not self.workers and self.queue.waiting > 0


class QueuesPage:
    """`/dashboard/queues`, and the forms on it."""

    def __init__(self, site: Site, frame: Frame) -> None:
        self._site, self._frame = site, frame

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        router.add_api_route("/dashboard/queues", self.queues, methods=["GET"])
        router.add_api_route("/dashboard/queues/{queue:path}/pause", self.pause, methods=["POST"])
        router.add_api_route("/dashboard/queues/{queue:path}/resume", self.resume, methods=["POST"])
        router.add_api_route("/dashboard/queues/{queue:path}/limit", self.limit, methods=["POST"])
        return router

    async def queues(self, request: Request) -> Response:
        """All queues."""
        visitor = await self._site.access.allowed(request, Permission.JOBS_VIEW)
        return await run_in_threadpool(self._page, request, visitor)

    async def pause(self, request: Request, queue: str) -> Response:
        """Pause one, or all."""
        visitor = await self._permitted(request, Permission.QUEUES_PAUSE, queue)
        given = await fields_of(request)
        minutes = given.get("minutes", "")
        if minutes not in _MINUTES:
            raise invalid("minutes", f"Use one of {', '.join(filter(None, _MINUTES))}, or leave it out.")
        lasting = _MINUTES[minutes]
        until = None if lasting is None else self._site.control.now() + timedelta(minutes=lasting)
        reason = given.get("reason", "").strip() or None
        operator = self._site.operator(visitor)
        await self._do(lambda: operator.pause(_named(queue), reason=reason, until=until))
        said = "Everything is paused." if queue == ALL_QUEUES else f"Queue {queue} is paused."
        undo = f"/queues/{quote(queue, safe='')}/resume" if queue != ALL_QUEUES else ""
        return self._frame.back(request, "/queues", Said(said, undo))

    async def resume(self, request: Request, queue: str) -> Response:
        """Let one go on, or all."""
        operator = self._site.operator(await self._permitted(request, Permission.QUEUES_PAUSE, queue))
        await self._do(lambda: operator.resume(_named(queue)))
        said = "Everything goes on." if queue == ALL_QUEUES else f"Queue {queue} goes on."
        return self._frame.back(request, "/queues", Said(said))

    async def limit(self, request: Request, queue: str) -> Response:
        """Say how many of its jobs may run at once; nothing in the field: no limit."""
        operator = self._site.operator(await self._permitted(request, Permission.QUEUES_LIMIT, queue))
        text = (await fields_of(request)).get("most", "").strip()
        if text and (not _DIGITS.fullmatch(text) or int(text) < 1):
            raise invalid("most", "Give a whole number from 1 on, or nothing for no limit.")
        most = int(text) if text else None
        await self._do(lambda: operator.limit(queue, most))
        said = (
            f"Queue {queue} has no limit." if most is None else f"Queue {queue} may run {words.number(most)} at once."
        )
        return self._frame.back(request, "/queues", Said(said))

    async def _permitted(self, request: Request, permission: Permission, queue: str) -> Visitor:
        visitor = await self._site.access.allowed(request, permission)
        if not visitor.rights.of_names(permission, queue=queue if queue != ALL_QUEUES else None):
            raise forbidden(f"You may not do this with queue {queue}.")
        return visitor

    async def _do(self, act: Callable[[], object]) -> None:
        try:
            await run_in_threadpool(act)
        except InvalidOption as error:
            raise invalid(error.option, f"{error.problem}. {error.remedy}") from error

    def _page(self, request: Request, visitor: Visitor) -> Response:
        jobs = self._site.jobs
        workers = jobs.workers.list()
        named = {queue for one in workers for queue in one.queues or ()}
        named |= {task.enqueue_options.queue for task in jobs.registry}
        states = list(self._seen(visitor, jobs.queues.list(named)))
        # Of queues alone in which everything is theirs: the next one may be anybody's.
        oldest = self._site.control.next_waits(
            [state.name for state in states if state.waiting and sees_all_of(visitor, state.name)]
        )
        lines = [_line(state, workers, oldest.get(state.name)) for state in states]
        everything = next((line for line in lines if line.queue.name == ALL_QUEUES), None)
        shown = sorted((line for line in lines if line.queue.name != ALL_QUEUES), key=_order)
        return self._frame.page(
            request, visitor, "queues.html", title="Queues", lines=shown, everything=everything,
            now=self._site.control.now(), minutes=_MINUTES,
        )  # fmt: skip

    def _seen(self, visitor: Visitor, states: Sequence[QueueState]) -> Iterator[QueueState]:
        """Queues that a visitor may know of, with as many jobs as are theirs to see."""
        for state in states:
            if state.name == ALL_QUEUES or sees_all_of(visitor, state.name):
                yield state
                continue
            which = seen_by(visitor, JobFilter(queue=state.name, states=_OPEN))
            tally = self._site.control.tally(which, _COUNTED, thorough=True)
            running = tally.states.get(JobState.RUNNING, 0)
            waiting = min(sum(tally.states.values()) - running, _COUNTED)
            if waiting or running or knows_queue(visitor, state.name, self._site.jobs.registry):
                capped = waiting >= _COUNTED or not tally.complete
                yield replace(state, waiting=waiting, running=running, capped=capped)


def _line(state: QueueState, workers: Sequence[WorkerState], oldest: float | None) -> Line:
    taking = [
        one for one in workers if one.alive and one.told is None and (one.queues is None or state.name in one.queues)
    ]
    return Line(state, len(taking), sum(one.concurrency for one in taking), oldest)


def _order(line: Line) -> tuple[bool, int, str]:
    """Most waiting first, paused last."""
    return line.queue.paused, -line.queue.waiting, line.queue.name


def _named(queue: str) -> str | None:
    return None if queue == ALL_QUEUES else queue
