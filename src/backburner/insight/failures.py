"""`Failures`: what fails, by cause: the same exception at the same line of the app."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from backburner.checked import MAX_REASON, MAX_WHO, checked_moment, checked_text
from backburner.condition import Condition, Exact, Field
from backburner.control import COUNT_LIMIT, Control
from backburner.errors import InvalidOption
from backburner.fault import FailureGroup
from backburner.job import Job, JobFilter
from backburner.outcome import AttemptRecord
from backburner.states import JobState
from backburner.steering import Acted

if TYPE_CHECKING:
    from backburner.database import Database

HOURS = (1, 3, 24, 168)
"""How far back a list of failures looks, in hours."""
MOST = 200
PARTS = 1_000
MAX_TEST = 100
MOST_STANDING = 100


@dataclass(frozen=True, slots=True)
class Failing:
    """A group as a list shows it. `failed` counts jobs that are failed now, no further than 10,000.

    `hours` are failed attempts hour by hour, the present one last. `new`: first seen in the last day.
    """

    group: FailureGroup
    failed: int
    hours: tuple[int, ...]
    muted: bool
    new: bool


@dataclass(frozen=True, slots=True)
class FailureDetails:
    """A group with its latest job and attempt, and the latest 1,000 failed jobs by task and by host."""

    failing: Failing
    job: Job | None
    attempt: AttemptRecord | None
    tasks: dict[str, int]
    hosts: dict[str, int]
    retrying: int


class Failures:
    """`jobs.insight.failures`. A group is known by its fingerprint."""

    def __init__(self, database: Database, control: Control) -> None:
        self._database, self._control = database, control

    def list(
        self, hours: int = 24, *, text: str | None = None, task: str | None = None, limit: int = 50
    ) -> Sequence[Failing]:
        """Groups that failed in the last hours, most jobs first, muted ones last.

        `text` is looked for in exception, message, place, task and fingerprint. Raises `InvalidOption`.
        """
        if hours not in HOURS:
            raise InvalidOption("hours", hours, "is no range of failures", f"Use {', '.join(map(str, HOURS))}")
        now = self._now()
        groups = self._database.store.failures.groups(now - timedelta(hours=hours))
        fitting = [one for one in groups if (task is None or one.task == task) and _says(one, text)]
        found = self._failing(fitting[: min(limit, MOST)], hours, now)
        return sorted(found, key=lambda one: (one.muted, -one.failed, -one.group.last_at.timestamp()))

    def standing(self) -> int:
        """How many groups of the last day have failed jobs and are not muted; 100 stands for as many and more."""
        return self._database.store.failures.standing(self._now() - timedelta(days=1), MOST_STANDING)

    def get(self, fingerprint: str) -> FailureDetails:
        """One group with all that is known of it. Raises `InvalidOption`."""
        store, now = self._database.store, self._now()
        failing = self._failing([self._group(fingerprint)], 24, now)[0]
        tasks, hosts = store.failures.parts(fingerprint, PARTS)
        newest = self._control.search(self.which(fingerprint), 1).jobs
        job = newest[0] if newest else None
        attempts = store.jobs.attempts(job.id) if job is not None else []
        retrying = self._control.tally(self.which(fingerprint, JobState.RETRYING), thorough=True).states
        return FailureDetails(
            failing, job, attempts[-1][1] if attempts else None, tasks, hosts, retrying.get(JobState.RETRYING, 0)
        )

    def which(self, fingerprint: str, state: JobState = JobState.FAILED) -> JobFilter:
        """The jobs of a group in this state."""
        same = Condition(Field.FINGERPRINT, (Exact(fingerprint),))
        return JobFilter(states=frozenset({state}), conditions=(same,))

    def retry_some(self, fingerprint: str, count: int = 5) -> Acted:
        """Retry the latest few jobs of a group, as a test. Raises `InvalidOption`."""
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_TEST:
            raise InvalidOption("count", count, "is no number of jobs for a test", f"Use 1 to {MAX_TEST}")
        self._group(fingerprint)
        ids = [job.id for job in self._control.search(self.which(fingerprint), count).jobs]
        return self._control.steering.act("retry", ids) if ids else Acted()

    def mute(self, fingerprint: str, by: str, *, reason: str | None = None, until: datetime | None = None) -> None:
        """Let a group count in no warning, for good or until an aware time. Raises `InvalidOption`."""
        checked_text("by", by, MAX_WHO)
        if reason is not None:
            checked_text("reason", reason, MAX_REASON)
        if until is not None and (until := checked_moment("until", until)) <= self._now():
            raise InvalidOption("until", until.isoformat(), "is over already", "Give a time to come")
        self._group(fingerprint)
        self._database.store.failures.mute(fingerprint, by, reason, until)

    def unmute(self, fingerprint: str) -> None:
        """Let a group count again. Raises `InvalidOption`."""
        self._group(fingerprint)
        self._database.store.failures.unmute(fingerprint)

    def _failing(self, groups: Sequence[FailureGroup], hours: int, now: datetime) -> Sequence[Failing]:
        store, keys = self._database.store, [one.fingerprint for one in groups]
        if not keys:
            return []
        failed = store.failures.failed(keys, COUNT_LIMIT)
        counted = store.failures.hours(keys, now - timedelta(hours=hours - 1))
        last = int(now.timestamp() // 3600)
        return [
            Failing(
                one,
                failed[one.fingerprint],
                tuple(counted[one.fingerprint].get(hour, 0) for hour in range(last - hours + 1, last + 1)),
                one.muted(now),
                one.first_at > now - timedelta(days=1),
            )
            for one in groups
        ]

    def _group(self, fingerprint: str) -> FailureGroup:
        found = self._database.store.failures.group(fingerprint)
        if found is None:
            raise InvalidOption("fingerprint", fingerprint, "is none of a failure that is kept", "Look at the list")
        return found

    def _now(self) -> datetime:
        store = self._database.store
        store.ready()
        return store.clock.now()


def _says(one: FailureGroup, text: str | None) -> bool:
    if not text:
        return True
    told = (one.error_type, one.message, one.place, one.task, one.fingerprint)
    return any(text.lower() in part.lower() for part in told)
