"""`Control`: everything that is asked of stored jobs; the one door for REST, command line and dashboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from backburner.checks import Check, Checks
from backburner.codec import CODEC, decode_result
from backburner.condition import Order
from backburner.database import Database
from backburner.destination import Destinations, in_meta, of_meta
from backburner.errors import InvalidOption, JobFailed, NotFinished, WrongState
from backburner.ids import is_id
from backburner.job import Dependency, Job, JobFilter
from backburner.outcome import AttemptRecord
from backburner.progress import FailedItem, LogLine, Message
from backburner.registry import Registry
from backburner.seal import Seal, is_signed
from backburner.states import JobState
from backburner.steering import BATCH, CANCELLED, Steering
from backburner.waiting import JobWatch
from backburner.why import Why

if TYPE_CHECKING:
    from backburner.attachment import Attachment
    from backburner.broker import BrokerState
    from backburner.store.search import Tally

COUNT_LIMIT = 10_000
"""Counts stop here: a list of a million jobs says "10,000 or more", at the price of ten thousand."""
_NOBODY = "00000000-0000-0000-0000-000000000000"
LOG_PIECES = 500
"""Pieces of live output that one look brings; whoever got as many should look again."""


@dataclass(frozen=True, slots=True)
class JobDetails:
    """One job with all that is kept of it. `log` is its first part, `log_end` the offset where it ends."""

    job: Job
    attempts: tuple[tuple[int, AttemptRecord], ...]
    messages: tuple[Message, ...]
    failed_items: tuple[FailedItem, ...]
    failed_count: int
    log: tuple[LogLine, ...]
    log_end: int
    files: tuple[Attachment, ...]
    why: tuple[str, ...]
    parents: tuple[Dependency, ...] = ()
    milestones: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobPage:
    """Jobs that match, the newest first; `next` is the `before` of the next page, None when there is none.

    Not `complete`: only so many of the newest jobs were looked at, and older ones may match: look at the next page.
    """

    jobs: tuple[Job, ...]
    next: str | None
    complete: bool


class Control:
    """Look at stored jobs and act on them. `cause` in reasons is who or what asked.

    Methods that take an id raise `JobNotFound`, those that act also `WrongState`.
    """

    def __init__(self, database: Database, registry: Registry, watch: JobWatch) -> None:
        self._database, self._registry, self._watch = database, registry, watch
        self.steering = Steering(database)
        self._why, self._checks = Why(database, registry), Checks(database, registry)

    def get(self, job_id: str) -> Job:
        """One job as it is now."""
        return self._ours(self._database.store.jobs.get(job_id))

    def get_many(self, ids: Sequence[str]) -> dict[str, Job]:
        """The jobs of these ids that exist."""
        return {job_id: self._ours(job) for job_id, job in self._database.store.jobs.get_many(ids).items()}

    def find(self, which: JobFilter, limit: int) -> list[Job]:
        """Jobs that match, the newest first; the last one's id as `before` gives the next page."""
        return [self._ours(job) for job in self._database.store.jobs.find(which, limit)]

    def count(self, which: JobFilter, limit: int = COUNT_LIMIT) -> int:
        """How many match; `limit` means that many or more."""
        return self._database.store.jobs.count(which, limit)

    def counts(self, which: JobFilter | None = None, limit: int = COUNT_LIMIT) -> dict[JobState, int]:
        """How many of the jobs that match are in each state; `limit` means that many or more."""
        which = which or JobFilter()
        states = JobState if which.states is None else sorted(which.states)
        return {state: self.count(replace(which, states=frozenset({state})), limit) for state in states}

    def search(self, which: JobFilter, limit: int) -> JobPage:
        """A page of jobs as `glance` reads them, at a bounded price however many jobs there are."""
        found = self._database.store.search.page(which, limit)
        jobs = self.glance(found.ids)
        return JobPage(tuple(jobs[one] for one in found.ids if one in jobs), found.next, found.complete)

    def search_in_order(self, which: JobFilter, order: Order, limit: int, skip: int = 0) -> JobPage | None:
        """The same by a column of jobs; None where too many match for any order but the newest first."""
        found = self._database.store.search.in_order(which, order, limit, skip)
        if found is None:
            return None
        jobs = self.glance(found.ids)
        return JobPage(tuple(jobs[one] for one in found.ids if one in jobs), found.next, found.complete)

    def tally(self, which: JobFilter, limit: int = COUNT_LIMIT, *, thorough: bool = False) -> Tally:
        """How many match in each state, at a bounded price; `limit` means that many or more.

        `thorough` looks at as many jobs as a page of them does, for those who are about to change them.
        """
        return self._database.store.search.tally(which, limit, thorough=thorough)

    def show(self, job_id: str, *, log_after: int = 0, failed_limit: int = 1000) -> JobDetails:
        """One job with its attempts, messages, failed items, live output, files, parents, and why it waits."""
        store, job = self._database.store, self.get(job_id)
        return JobDetails(
            job=job,
            attempts=tuple(store.jobs.attempts(job_id)),
            messages=tuple(store.progress.messages(job_id)),
            failed_items=tuple(store.progress.failed_items(job_id, failed_limit)),
            failed_count=store.progress.failed_count(job_id),
            log=tuple(store.progress.log(job_id, log_after)),
            log_end=store.progress.log_end(job_id),
            files=tuple(store.attachments.of_job(job_id)),
            why=tuple(self.why_not_running(job)),
            parents=tuple(store.waits.of(job_id)),
            milestones=self.milestones(job_id),
        )

    def milestones(self, job_id: str) -> dict[str, datetime]:
        """What a job has said with `milestone` that it reached, and when, the first one first."""
        return self._database.store.waits.milestones(job_id) if is_id(job_id) else {}

    def glance(self, ids: Sequence[str]) -> dict[str, Job]:
        """The jobs of these ids that exist, without arguments, result and what else may be long."""
        return {job_id: self._ours(job) for job_id, job in self._database.store.reports.glance(ids).items()}

    def page(self, which: JobFilter, limit: int) -> list[Job]:
        """Jobs that match, the newest first, as `glance` reads them."""
        return [self._ours(job) for job in self._database.store.reports.page(which, limit)]

    def log_after(self, starts: Mapping[str, int]) -> dict[str, list[LogLine]]:
        """Live output of each job from its offset on, `LOG_PIECES` pieces in all."""
        return self._database.store.reports.log_after(starts, LOG_PIECES)

    def log_from(self, job_id: str, offset: int) -> list[LogLine]:
        """Live output from an offset in characters on, wherever that is; `LOG_PIECES` pieces at most."""
        pieces = self._database.store.reports.log_from(job_id, offset, LOG_PIECES)
        cut = [(max(offset - piece.start, 0), piece) for piece in pieces]
        return [LogLine(piece.start + skip, piece.text[skip:], piece.at) for skip, piece in cut if piece.text[skip:]]

    def messages_after(self, numbers: Mapping[str, int]) -> dict[str, list[tuple[int, Message]]]:
        """Numbered messages of each job behind a number."""
        return self._database.store.reports.messages_after(numbers)

    def files_of(self, ids: Sequence[str]) -> dict[str, list[Attachment]]:
        """The files of these jobs that have not expired."""
        return self._database.store.reports.files_of(ids)

    def file(self, file_id: str) -> Attachment | None:
        """What is known of a file, even one past its life; None when nothing is."""
        return self._database.store.reports.file(file_id)

    def place_in_line(self, job: Job, limit: int = 1000) -> int | None:
        """The place of a queued job in its queue, from 1 on; None otherwise, and beyond `limit`."""
        if job.state is not JobState.QUEUED:
            return None
        place = self._database.store.jobs.position_in_line(job, limit)
        return place if place <= limit else None

    def next_waits(self, queues: Sequence[str]) -> dict[str, float]:
        """For each of these queues that has a job ready: for how many seconds the next one has been."""
        since, now = self._database.store.reports.next_since(queues), self.now()
        return {queue: max((now - then).total_seconds(), 0.0) for queue, then in since.items()}

    def check_ready(self) -> None:
        """Raise `StoreError` unless the database answers and has its tables."""
        self._database.store.ready()
        self._database.store.jobs.states([_NOBODY])

    def now(self) -> datetime:
        """The present as the database sees it, UTC."""
        return self._database.store.clock.now()

    def broker(self) -> BrokerState | None:
        """How this process sees the broker: since when it is away, and its last error; None without a broker."""
        return self._database.broker

    def why_not_running(self, job: Job) -> list[str]:
        """Why a waiting job does not run, in sentences for people; none when it runs or is done."""
        return self._why.sentences(job)

    def checks(self, job: Job) -> list[Check]:
        """What has to be so before a waiting job can run, what is not so first; none when it runs or is done."""
        return self._checks.of(job)

    def line(self, job: Job, limit: int) -> list[Job]:
        """The next jobs of the line that a waiting job stands in, as `glance` reads them."""
        ids = self._checks.line(job, limit)
        found = self.glance(ids)
        return [found[job_id] for job_id in ids if job_id in found]

    def wait(self, job: Job, seconds: float) -> bool:
        """True as soon as the job is done, False after `seconds` at most."""
        return self._watch.wait(job, seconds)

    async def await_done(self, job: Job, seconds: float) -> bool:
        """`wait` for a coroutine: no thread is held while it waits."""
        return await self._watch.await_done(job, seconds)

    def result_of(self, job: Job) -> Any:
        """What the task returned, as the type it says it returns when the task is known here.

        Raises `NotFinished`, `JobFailed`, `JobNotFound` and `DecodeError`.
        """
        if not job.done:
            job = self.get(job.id)
        if not job.done:
            raise NotFinished(job.id, job.state)
        if job.state is not JobState.SUCCEEDED:
            raise JobFailed(job.id, job.state, job.reason or job.error)
        if job.result_text is None:
            return None
        task = self._registry.get(job.task)
        return decode_result(job.result_text, task.returns if task is not None else None)

    def cancel(self, job_id: str, reason: str = CANCELLED) -> Job:
        """Cancel a job: at once while it waits, by request while it runs."""
        self.steering.ended([job_id], self._database.store.jobs.cancel(job_id, reason))
        return self.get(job_id)

    def retry(self, job_id: str) -> Job:
        """Run a finished or held job again under the same id, at the end of the line.

        Raises `DuplicateJob` when another one has its unique key by now.
        """
        self._database.store.jobs.retry(job_id)
        job = self.get(job_id)
        self._database.store.edits.undismiss(job)
        self._database.bell.ring({job.queue: {job.priority: 1}})
        return job

    def edit(self, job_id: str, args: str) -> Job:
        """Give a job that is not running other arguments: JSON text, an object by parameter name.

        They are checked against the task's signature, stored as JSON whatever form they had, and signed anew where
        rows are signed. Raises `UnknownTask`, `InvalidArgument` and `TooLarge`.
        """
        job, settings = self.get(job_id), self._database.settings
        task = self._registry.require(job.task)
        text = task.parameters.rebound(args, task.box(job.task, job_id))
        edited = replace(job, args=text, codec=CODEC)
        mac = Seal(settings.secrets).of(edited) if is_signed(settings, job.task) else None
        if not self._database.store.edits.arguments(job_id, text, CODEC, mac):
            raise WrongState(job_id, self.get(job_id).state, "edit", "a job that is not running")
        return self.get(job_id)

    def lead(self, job_id: str, destinations: Destinations) -> None:
        """Store where those who wait for the job are taken when it is done; nothing happens when it is gone."""
        self._database.store.edits.meta(job_id, lambda meta: in_meta(meta, destinations))

    def destinations(self, job_id: str) -> Destinations:
        """What `lead` has stored."""
        return of_meta(self._database.store.edits.meta_of(job_id))

    def dismiss(self, job_id: str) -> None:
        """Leave a finished job out of its owner's list from now on; it is kept as long as it would be."""
        self._database.store.edits.dismiss(self.get(job_id))

    def delete(self, job_id: str) -> None:
        """Remove a job that is not running, with all that is kept of it."""
        self.steering.ended([job_id], self._database.store.jobs.delete(job_id))

    def cancel_all(self, which: JobFilter, reason: str = CANCELLED) -> int:
        """Cancel every job that matches and is not done; how many were."""
        return self.steering.all("cancel", which, reason)

    def retry_all(self, which: JobFilter) -> int:
        """Retry every job that matches and is finished or held; how many were.

        Succeeded and skipped jobs only when the filter names their state; none that waits for others.
        """
        return self.steering.all("retry", which)

    def delete_all(self, which: JobFilter) -> int:
        """Delete every job that matches and is not running; how many were."""
        return self.steering.all("delete", which)

    def items_to_retry(self, job_id: str) -> tuple[Job, list[str]]:
        """A finished job and the keys of its items that could not be done.

        Raises `WrongState` while it is not finished, `InvalidOption` when every item was done.
        """
        job = self.get(job_id)
        if not job.done:
            raise WrongState(job_id, job.state, "retry of failed items", "a finished job")
        progress = self._database.store.progress
        keys = [item.key for item in progress.failed_items(job_id, max(1, progress.failed_count(job_id)))]
        if not keys:
            raise InvalidOption("job", job_id, "has no failed items", "Retry the whole job: jobs.retry(id)")
        return job, keys

    def unfinished_identifiers(self, identifiers: Sequence[str], *, include_running: bool = True) -> set[str]:
        """Which of these identifiers belong to jobs that are not finished."""
        found: set[str] = set()
        for start in range(0, len(identifiers), BATCH):
            part = identifiers[start : start + BATCH]
            found |= self._database.store.jobs.unfinished_identifiers(part, include_running)
        return found

    def _ours(self, job: Job) -> Job:
        return replace(job, control=self)
