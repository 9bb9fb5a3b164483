"""`SchedulesPage`: what comes again and again, in plain words, and when next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from backburner.errors import BackburnerError, DuplicateJob, InvalidOption, ScheduleNotFound
from backburner.job import Job
from backburner.schedule import Schedule
from backburner.web.access import Visitor
from backburner.web.dashboard.form import fields_of
from backburner.web.dashboard.frame import Frame, Said
from backburner.web.problems import Problem, forbidden, invalid, not_found
from backburner.web.rights import Permission
from backburner.web.site import Site

_RUNS, _FIRES = 3, 5
_VERBS = ("run", "pause", "resume")


@dataclass(frozen=True, slots=True)
class Planned:
    """One schedule: its next times, the jobs it made, and what is wrong with it."""

    schedule: Schedule
    next: Sequence[datetime]
    problems: Sequence[str]
    last: Sequence[Job]

    @property
    def path(self) -> str:
        """It in the addresses of forms."""
        return quote(self.schedule.name, safe="")

    def local(self, at: datetime) -> str:
        """A time as the schedule's own zone shows it, where that is known here."""
        try:
            shown, zone = at.astimezone(ZoneInfo(self.schedule.zone)), self.schedule.zone
        except (KeyError, ValueError, OSError):
            shown, zone = at, "UTC"
        return f"{shown:%a} {shown.day} {shown:%b, %H:%M:%S} {zone}"


class SchedulesPage:
    """`/dashboard/schedules`, and the forms on it."""

    def __init__(self, site: Site, frame: Frame) -> None:
        self._site, self._frame = site, frame

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        router.add_api_route("/dashboard/schedules", self.schedules, methods=["GET"])
        # A name may have slashes in it.
        router.add_api_route("/dashboard/schedules/{name:path}/{verb}", self.act, methods=["POST"])
        return router

    async def schedules(self, request: Request) -> Response:
        """All schedules."""
        visitor = await self._site.access.allowed(request, Permission.JOBS_VIEW)
        return await run_in_threadpool(self._page, request, visitor)

    async def act(self, request: Request, name: str, verb: str) -> Response:
        """Run it now, pause it, or let it go on."""
        visitor = await self._site.access.allowed(request, Permission.SCHEDULES_EDIT)
        if verb not in _VERBS:
            raise not_found()
        reason = (await fields_of(request)).get("reason", "").strip() or None
        return await run_in_threadpool(self._act, request, visitor, name, verb, reason)

    def _act(self, request: Request, visitor: Visitor, name: str, verb: str, reason: str | None) -> Response:
        schedules = self._site.jobs.schedules
        try:
            task = schedules.get(name).task
            if not visitor.rights.of_names(Permission.SCHEDULES_EDIT, task=task):
                raise forbidden(f"You may not do this with schedules of task {task}.")
            operator = self._site.operator(visitor)
            acts: dict[str, Callable[[], object]] = {
                "run": lambda: operator.run_schedule(name),
                "pause": lambda: operator.pause_schedule(name, reason=reason),
                "resume": lambda: operator.resume_schedule(name),
            }
            made = acts[verb]()
        except ScheduleNotFound as error:
            raise not_found() from error
        except InvalidOption as error:
            raise invalid(error.option, f"{error.problem}. {error.remedy}") from error
        except DuplicateJob as error:
            raise Problem(409, "duplicate", "An equal job is there already", "It has to end first.") from error
        said = {
            "run": f"{name} runs now.",
            "pause": f"{name} is paused.",
            "resume": f"{name} goes on.",
        }[verb]
        if isinstance(made, Job):
            return self._frame.back(request, f"/jobs/{made.id}", Said(said))
        undo = f"/schedules/{quote(name, safe='')}/resume" if verb == "pause" else ""
        return self._frame.back(request, "/schedules", Said(said, undo))

    def _page(self, request: Request, visitor: Visitor) -> Response:
        schedules = self._site.jobs.schedules
        found = [
            self._planned(visitor, one)
            for one in schedules.list()
            if visitor.rights.of_names(Permission.JOBS_VIEW, task=one.task)
        ]
        found.sort(key=lambda one: (one.schedule.disabled, not one.problems, one.next[0] if one.next else _NEVER))
        return self._frame.page(
            request, visitor, "schedules.html", title="Schedules", schedules=found, now=self._site.control.now()
        )

    def _planned(self, visitor: Visitor, schedule: Schedule) -> Planned:
        schedules = self._site.jobs.schedules
        try:
            following = schedule.next_runs(_RUNS)
        except BackburnerError:
            following = []
        fires = schedules.fires(schedule.name, _FIRES)
        jobs = self._site.control.glance([one.job for one in fires if one.job is not None])
        # Earlier ones may be of another task: a schedule can be declared anew.
        seen = {job_id for job_id, job in jobs.items() if visitor.allows(Permission.JOBS_VIEW, job)}
        last = [jobs[one.job] for one in fires if one.job in seen]
        return Planned(schedule, following, schedules.problems(schedule), last)


_NEVER = datetime.max.replace(tzinfo=ZoneInfo("UTC"))
