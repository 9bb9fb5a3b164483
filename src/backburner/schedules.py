"""`Schedules`: jobs that come again and again, as the app declares them and as they are stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from backburner.checked import checked_pause
from backburner.cron import checked_cron, zone_of
from backburner.database import Database
from backburner.enqueue import job_of
from backburner.errors import BackburnerError, DuplicateJob, InvalidOption, JobNotFound
from backburner.ids import Ids
from backburner.job import Job, JobControl
from backburner.recurrence import LATE, Missed, checked_every
from backburner.registry import Registry
from backburner.schedule import Fire, Schedule, checked_missed, checked_name, defined, subject_of
from backburner.states import JobState
from backburner.task import Task

Arguments: TypeAlias = tuple[Any, ...] | Mapping[str, Any]
"""What a scheduled task is called with: positional arguments, or arguments by name."""
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
_MAX_FIRES = 1000


@dataclass(frozen=True, slots=True)
class Declaration:
    """A schedule as it was declared, all checked; it becomes a `Schedule` when there is a time to count from."""

    name: str
    task: Task[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    kind: str
    spec: str
    zone: str
    missed: Missed
    bound: int

    def at(self, now: datetime) -> Schedule:
        """The schedule, counting from `now`."""
        row = self.task.new_job(subject_of(self.name), now, self.args, self.kwargs, captures=False)
        said = self.task.steady(row)
        return defined(self.name, row, self.kind, self.spec, self.zone, self.missed, self.bound, said)


class Schedules:
    """`jobs.schedules`: look at schedules, add and remove them at run time, pause, resume and run them.

    What the code declares with `jobs.schedule` is here as well; workers store it when they start.
    """

    def __init__(self, database: Database, registry: Registry, ids: Ids, control: JobControl) -> None:
        self._database, self._registry, self._ids, self._control = database, registry, ids, control
        self._declared: dict[str, Declaration] = {}

    def declare(self, declaration: Declaration) -> Schedule:
        """Remember a schedule of the code. Raises `InvalidOption` when its name is taken."""
        made = declaration.at(_ANY_TIME)
        if declaration.name in self._declared:
            raise InvalidOption(
                "name", declaration.name, "is taken by another schedule of this app", "Give this one another: name=..."
            )
        self._declared[declaration.name] = declaration
        return replace(made, next_at=None)

    @property
    def declared(self) -> Sequence[Declaration]:
        """What the code declares, by name."""
        return [self._declared[name] for name in sorted(self._declared)]

    def add(
        self,
        task: Task[..., Any] | str,
        *,
        name: str,
        cron: str | None = None,
        every: float | timedelta | None = None,
        args: Arguments = (),
        zone: str = "UTC",
        missed: Missed = "skip",
        bound: int | None = None,
    ) -> Schedule:
        """Store a schedule at run time; `task` may be a name. The rest is that of `jobs.schedule`.

        Raises `UnknownTask`, and `InvalidOption` when the name is taken.
        """
        found = self._registry.require(task) if isinstance(task, str) else task
        declaration = declared(found, name, cron, every, args, zone, missed, bound)
        if name in self._declared:
            raise InvalidOption("name", name, "is taken by a schedule of the code", "Choose another name")
        schedule = replace(declaration.at(self._now()), source="run")
        self._database.store.schedules.add(schedule)
        return schedule

    def get(self, name: str) -> Schedule:
        """One schedule as it is now. Raises `ScheduleNotFound`."""
        return self._database.store.schedules.get(name)

    def pause(self, name: str, *, by: str | None = None, reason: str | None = None) -> Schedule:
        """Let it fire no more until `resume`. Raises `ScheduleNotFound` and `InvalidOption`."""
        checked_pause(reason, by)
        self._database.store.schedules.pause(name, by, reason)
        return self.get(name)

    def resume(self, name: str) -> Schedule:
        """Go on with the next fire time; nothing is made up for. Raises `ScheduleNotFound`."""
        self._database.store.schedules.resume(name)
        return self.get(name)

    def run(self, name: str) -> Job:
        """Enqueue a job of it now, besides its times, even while it is paused.

        Raises `ScheduleNotFound`, and `DuplicateJob` where the task's options say so, or where it is unique for a
        time that goes on and the job that has its key was cleaned away.
        """
        row, made = self._database.store.schedules.fire_now(name, self._ids.new())
        self._database.bell.ring([row.queue])
        try:
            return self._control.get(made)
        except JobNotFound as error:
            if made != row.id:
                raise DuplicateJob(", ".join(key.name for key in row.keys), made) from error
            # It has run already, and is kept for no time.
            return job_of(row, self._control, uncommitted=False)

    def remove(self, name: str) -> None:
        """Remove a schedule that was added at run time, or that the code has no longer.

        Jobs that it made stay. Raises `ScheduleNotFound`, and `InvalidOption` for one that the code declares.
        """
        found = self.get(name)
        if found.source == "code" and not found.disabled:
            raise InvalidOption(
                "name", name, "is declared by the code and would come back", "Take it out of the code, or pause it"
            )
        self._database.store.schedules.remove(name)

    def fires(self, name: str, limit: int = 50) -> Sequence[Fire]:
        """When it fired and which jobs that made, the latest first; kept for a week."""
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= _MAX_FIRES:
            raise InvalidOption("limit", limit, "is no number of rows", f"Use 1 to {_MAX_FIRES:,}")
        return self._database.store.schedules.fires(name, limit)

    def problems(self, schedule: Schedule) -> Sequence[str]:
        """Why it does not fire, or its jobs do not run, in sentences for people; none when all is well."""
        return list(self._problems(schedule))

    def list(self) -> Sequence[Schedule]:
        """Every stored schedule, by name."""
        return self._database.store.schedules.all()

    def _problems(self, schedule: Schedule) -> Iterator[str]:
        if schedule.disabled:
            yield "It is disabled: the code of no worker declares it any more."
        if schedule.paused_at is not None:
            by = f" by {schedule.paused_by}" if schedule.paused_by else ""
            yield f"It is paused since {_clock(schedule.paused_at)}{by}" + _because(schedule.reason)
        if schedule.next_at is None:
            yield "It never fires again."
        try:
            _ = schedule.times
        except BackburnerError as error:
            yield f"This machine cannot tell when it fires: {error}"
        if schedule.active and schedule.next_at is not None and self._now() - schedule.next_at > LATE:
            yield f"It was due at {_clock(schedule.next_at)}, and no worker has come to it."
        if len(self._registry) and schedule.task not in self._registry:
            yield f"Task {schedule.task} is not registered in this app."
        last = next(iter(self.fires(schedule.name, 1)), None)
        job = None if last is None or last.job is None else self._database.store.jobs.get_many([last.job]).get(last.job)
        if job is not None and job.state is JobState.BLOCKED and job.blocked_on == "unknown task":
            yield f"Its last job, {job.id}, is held: no live worker knows task {job.task}."

    def _now(self) -> datetime:
        store = self._database.store
        # The clock is the database's, once we have been there.
        store.ready()
        return store.clock.now()


def declared(
    task: Task[..., Any],
    name: str | None,
    cron: str | None,
    every: float | timedelta | None,
    args: Arguments,
    zone: str,
    missed: Missed,
    bound: int | None,
) -> Declaration:
    """A checked declaration. Raises `InvalidOption`, and what `task.enqueue` raises before it stores."""
    if not isinstance(task, Task):
        raise InvalidOption("task", task, "is no task", "Declare it with @jobs.task first")
    if (cron is None) == (every is None):
        raise InvalidOption("cron", cron, "says nothing without every, and too much with it", "Give one of the two")
    options = task.enqueue_options
    for option, value in (("run_at", options.run_at), ("connection", options.connection)):
        if value is not None:
            raise InvalidOption(option, value, "would be the same for every run", "Leave it out")
    if isinstance(options.expires, datetime):
        raise InvalidOption("expires", options.expires, "is one moment for all runs", "Give seconds, from each run on")
    kind, spec = ("cron", checked_cron(cron)) if cron is not None else ("every", str(checked_every(every)))
    missed, bound = checked_missed(missed, bound)
    positional, named = _arguments(task, args)
    found = Declaration(
        checked_name(task.name if name is None else name), task, positional, named, kind, spec,
        zone_of(zone).key, missed, bound,
    )  # fmt: skip
    found.at(_ANY_TIME)
    return found


def _arguments(task: Task[..., Any], args: object) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    if isinstance(args, Mapping):
        return (), args
    if isinstance(args, tuple | list):
        return tuple(args), {}
    raise task.parameters.no_call(args, "args=({},)")


def _because(reason: str | None) -> str:
    return f": {reason.strip().rstrip('.')}." if reason else "."


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
