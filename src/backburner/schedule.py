"""`Schedule`: a stored definition of jobs that come again and again, and the jobs it makes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from backburner.checked import storable_text
from backburner.errors import InvalidOption
from backburner.job import Key, NewJob
from backburner.recurrence import Missed, Times, described, due, times_of

MAX_NAME = 180
"""Characters of a schedule's name; its tag `schedule:NAME` must be one, too."""
TAG = "schedule:"
DEFAULT_BOUND = 100

# What a new run has of its own; `args` and `task` have columns.
_OWN = frozenset({"id", "task", "args", "created_at", "keys", "parents", "parents_left", "mac"})


@dataclass(frozen=True, slots=True)
class Schedule:
    """One schedule, as it was when it was read. Times are aware and in UTC.

    `kind` is "cron" or "every", `spec` the expression or the seconds. `source` is "code" for what the app
    declares and "run" for what was added at run time. `version` counts changes of the definition. `disabled`:
    no worker's code has it any more. `seen_at` is when a worker last said that its code has it.
    """

    name: str
    task: str
    args: str
    options: str
    kind: str
    spec: str
    zone: str
    missed: Missed
    bound: int
    anchor: datetime
    source: str
    version: int = 1
    next_at: datetime | None = None
    last_at: datetime | None = None
    disabled: bool = False
    paused_at: datetime | None = None
    paused_by: str | None = None
    reason: str | None = None
    digest: str = ""
    replaced: str | None = None
    seen_at: datetime | None = None

    @property
    def description(self) -> str:
        """When it fires, in plain words: "every day at 02:30, Europe/Prague"."""
        return described(self.kind, self.spec, self.zone)

    @property
    def active(self) -> bool:
        """True when it fires: neither paused nor disabled, and with a next time."""
        return not self.disabled and self.paused_at is None and self.next_at is not None

    @property
    def times(self) -> Times:
        """Its fire times. Raises `InvalidOption` when the zone is unknown on this machine."""
        return times_of(self.kind, self.spec, self.zone, self.anchor)

    def next_runs(self, count: int = 3) -> list[datetime]:
        """The next fire times, UTC; none while it is paused or disabled."""
        found: list[datetime] = []
        moment = self.next_at if self.active else None
        while moment is not None and len(found) < count:
            found.append(moment)
            moment = self.times.after(moment)
        return found

    def due(self, now: datetime) -> list[datetime]:
        """The fire times that have to run at `now`."""
        if not self.active or self.next_at is None or self.next_at > now:
            return []
        return due(self.times, self.next_at, now, self.missed, self.bound)

    def job(self, job_id: str, now: datetime, at: datetime) -> NewJob:
        """The job of the fire time `at`, enqueued at `now`."""
        stored = json.loads(self.options)
        times: dict[str, Any] = {name: now + timedelta(seconds=seconds) for name, seconds in stored["times"].items()}
        # Not before its own time, so that what is made up for can tell the times apart.
        times["run_at"] = at + timedelta(seconds=stored["times"]["run_at"])
        keys = tuple(
            Key(name, scope, conflict, None if seconds is None else now + timedelta(seconds=seconds), digest)
            for name, scope, conflict, seconds, digest in stored["keys"]
        )
        own: dict[str, Any] = {"id": job_id, "task": self.task, "args": self.args, "created_at": now, "keys": keys}
        # Another release may know other fields.
        known = {name: value for name, value in (stored["job"] | times).items() if name in NewJob._fields}
        return NewJob(**own, **known)


class Fire(NamedTuple):
    """One time a schedule fired. `job` is what it made, None when it needed none. Times are UTC."""

    schedule: str
    at: datetime
    job: str | None


def subject_of(name: str) -> str:
    """For whom the secrets in the arguments of a schedule are encrypted: no job has such an id."""
    return f"{TAG}{name}"


def defined(
    name: str, row: NewJob, kind: str, spec: str, zone: str, missed: Missed, bound: int, said: str | None = None
) -> Schedule:
    """A schedule that makes jobs like `row`, not stored yet; it counts from the row's `created_at`.

    `said` are its arguments in the form by which two definitions are compared, where that is another one.
    """
    _refuse(row)
    tags = [*(json.loads(row.tags) if row.tags else ()), f"{TAG}{name}"]
    found = row._replace(tags=json.dumps(tags))._asdict()
    times = {key: value for key, value in found.items() if isinstance(value, datetime) and key not in _OWN}
    plain = {key: value for key, value in found.items() if key not in _OWN and key not in times and value is not None}
    options = {
        "job": plain,
        "times": {key: (value - row.created_at).total_seconds() for key, value in times.items()},
        "keys": [_stored_key(key, row.created_at) for key in row.keys],
    }
    # Whole seconds: every database and every person can write them down.
    anchor = row.created_at.replace(microsecond=0)
    made = Schedule(
        name, row.task, row.args, json.dumps(options, sort_keys=True), kind, spec, zone, missed, bound, anchor, "code"
    )
    what = [name, made.task, made.args if said is None else said, made.options, kind, spec, zone, missed, bound]
    return replace(
        made, digest=hashlib.sha256(json.dumps(what).encode()).hexdigest(), next_at=made.times.after(row.created_at)
    )


def checked_name(value: object) -> str:
    """A schedule's name. Raises `InvalidOption`."""
    if not isinstance(value, str) or not value or value != value.strip():
        raise InvalidOption("name", value, "is no name", f"Use text of 1 to {MAX_NAME} characters")
    if len(value) > MAX_NAME:
        raise InvalidOption("name", value, f"has {len(value)} characters", f"Use at most {MAX_NAME}")
    if '"' in value or "\\" in value or not value.isprintable():
        raise InvalidOption("name", value, "has a quote, a backslash or a control character", "Use letters and dashes")
    return storable_text("name", value)


def checked_missed(value: object, bound: object) -> tuple[Missed, int]:
    """How missed times are made up for, and how many of them at most. Raises `InvalidOption`."""
    if value not in ("skip", "once", "all"):
        raise InvalidOption("missed", value, "is unknown", "Use 'skip', 'once' or 'all'")
    if bound is None:
        bound = DEFAULT_BOUND
    elif value != "all":
        raise InvalidOption("bound", bound, "means nothing here", "Give missed='all' too")
    if isinstance(bound, bool) or not isinstance(bound, int) or not 1 <= bound <= 1000:
        raise InvalidOption("bound", bound, "is no number of runs", "Use 1 to 1,000")
    return value, bound


def _refuse(row: NewJob) -> None:
    if row.parents:
        raise InvalidOption("after", "of a schedule", "would be the same job for every run", "Leave it out")
    if row.owner is not None:
        raise InvalidOption("owner", row.owner, "is nobody who asks: a schedule does", "Leave owner out")
    if any(key.name.startswith("i:") for key in row.keys):
        raise InvalidOption("idempotency_key", "of a schedule", "would let it run once", "Use unique='live'")


def _stored_key(key: Key, start: datetime) -> list[Any]:
    seconds = None if key.until is None else (key.until - start).total_seconds()
    return [key.name, key.scope, key.on_conflict, seconds, key.digest]
