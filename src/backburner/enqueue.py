"""`JobEnqueuer`: from a call of a task to a stored row, wherever it is to go."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime
from typing import Any

from backburner.attachment import Attachment
from backburner.block import Block, Destination, around
from backburner.bulk import Bulk
from backburner.captured import Captured
from backburner.coroutines import in_thread
from backburner.database import Database
from backburner.errors import DuplicateJob, InvalidOption, JobNotFound
from backburner.ids import Ids
from backburner.job import Job, JobControl, NewJob, SealedCookies
from backburner.launch import Launcher
from backburner.options import EnqueueOptions
from backburner.relations import LAUNCH, LAUNCH_ALONE
from backburner.seal import sealing
from backburner.settings import Settings
from backburner.states import JobState
from backburner.surroundings import Enqueueing, Surroundings
from backburner.task import Task
from backburner.transaction import CallersTransaction, OwnTransaction, TransactionBlock
from backburner.vault import Box, Vault


class JobEnqueuer:
    """Makes rows of calls and puts them where the surrounding block says."""

    def __init__(
        self, database: Database, ids: Ids, control: JobControl, captured: Captured, surroundings: Surroundings,
        launcher: Launcher,
    ) -> None:  # fmt: skip
        self._database, self._ids, self._control, self._captured = database, ids, control, captured
        self._surroundings, self._launcher = surroundings, launcher
        self._seal, self._vault = sealing(database.settings), Vault(database.settings.secrets)
        self._own = OwnTransaction(database)
        self._current: ContextVar[Block | None] = ContextVar("backburner_block", default=None)

    @property
    def settings(self) -> Settings:
        """The settings that say what is allowed."""
        return self._database.settings

    def configured(self) -> None:
        """The settings have changed."""
        self._seal, self._vault = sealing(self.settings), Vault(self.settings.secrets)
        self._launcher.settings = self.settings

    def context(self) -> str | None:
        """The values of this moment that are stored with a new job."""
        return self._captured.now()

    def owner(self) -> str | None:
        """Who is signed in where the call is made, if anybody knows."""
        return self._surroundings.owner()

    async def loaded(self) -> None:
        """Await this in a coroutine, before a thread enqueues for it."""
        await self._surroundings.loaded()

    def sealed(self, job: NewJob) -> NewJob:
        """The row with its signature, where rows are signed."""
        return self._seal(job)

    def box(self, task: str, subject: str) -> Box:
        """What encrypts and opens the secrets of a job."""
        return self._vault.box(task, subject)

    def enqueue(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Job:
        """Store one call."""
        return self._send(task, args, kwargs, self._destination(task))

    def enqueue_with(
        self, job_id: str, task: Task[..., Any], args: tuple[Any, ...], files: Sequence[Attachment],
        cookies: SealedCookies | None,
    ) -> Job:  # fmt: skip
        """Store one call with what has places of its own, in one transaction: files whose bytes are stored already
        under the id, and cookies.
        """
        destination = self._destination(task)
        with self.watched(task, destination) as call:
            job = task.new_job(job_id, self._database.store.clock.now(), args, {})
            job = job._replace(files=tuple(files), cookies=cookies)
            stored = self._stored(job, destination, destination.put((job,)))
            call.ids = (stored.id,)
            return stored

    @property
    def callers_transaction(self) -> CallersTransaction | None:
        """The transaction of the caller's that `jobs.transaction` is around the call, if it is."""
        block = around(self._current)
        return block.destination if block is not None and isinstance(block.destination, CallersTransaction) else None

    def row(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> NewJob:
        """The row of one call, to be stored by `put_own`. Raises what `enqueue` raises before it stores."""
        if task.enqueue_options.connection is not None:
            raise InvalidOption("connection", None, "is not for what is stored later", "Enqueue it at once")
        with self.watched(task) as call:
            job = self._new_job(task, args, kwargs)
            call.ids = (job.id,)
            return job

    def put_own(self, rows: Sequence[NewJob]) -> Mapping[str, str]:
        """Store rows in one transaction of our own, whatever is around; which others stand for them."""
        return self._own.put(rows)

    async def aenqueue(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Job:
        """Store one call without blocking the event loop; also in an asynchronous SQLAlchemy transaction."""
        await self.loaded()
        destination = self._destination(task)
        if not isinstance(destination, CallersTransaction):
            return await in_thread(self._send, task, args, kwargs, destination)
        with self.watched(task, destination) as call:
            # It is the caller's connection, so it stays in the caller's thread.
            job = self._new_job(task, args, kwargs)
            instead = await destination.run(lambda ready: ready.put((job,)))
            winner = instead.get(job.id, job.id)
            call.ids = (winner,)
        if winner == job.id:
            return self._made(job, destination)
        committed = await in_thread(self._committed, winner)
        if committed is not None:
            return committed
        return await destination.run(lambda ready: self._seen_by(ready, job, winner))

    def enqueue_many(self, task: Task[..., Any], calls: Iterable[object]) -> list[str]:
        """Store many calls of one task, all of them or none; their ids, in order."""
        arguments = [_arguments(task, call) for call in calls]
        if not arguments:
            return []
        destination = self._destination(task)
        with self.watched(task, destination, many=True) as call:
            now = self._database.store.clock.now()
            jobs = [
                task.new_job(job_id, now, args, kwargs)
                for job_id, (args, kwargs) in zip(self._ids.many(len(arguments)), arguments, strict=True)
            ]
            instead = destination.put(jobs)
            call.ids = ids = [instead.get(job.id, job.id) for job in jobs]
            return ids

    def launch(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Job:
        """Store one call and start a process for it. The row is not `running` before that process has claimed it."""
        with self.watched(task) as call:
            launched = self._launched(task, args, kwargs)
            call.ids = (launched.id,)
            return launched

    def _launched(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Job:
        options = task.enqueue_options
        _refuse_waiting(options, inside=around(self._current) is not None)
        job = self._new_job(task, args, kwargs)._replace(blocked_on=LAUNCH)
        if options.secrets is not None:
            # No other process has them: it is begun there, or nowhere.
            job = job._replace(repeatable=False, max_attempts=1, blocked_on=LAUNCH_ALONE)
        launched = self._launcher.start()
        try:
            stored = self._stored(job, self._own, self._own.put((job,)))
        except BaseException:
            launched.forget()
            raise
        if stored.id == job.id:
            launched.run(job.id, self._launcher.options, options.secrets or {})
        else:
            launched.forget()
        return stored

    def bulk(self, size: int) -> AbstractContextManager[Bulk]:
        """A block whose jobs are stored together at its end."""
        block = around(self._current)
        named = block is not None and block.named
        connection = None if named else self._surroundings.connection()
        outer = self._goes_to(block, connection)
        made = Bulk(self._current, outer, size, connection, named=named)
        return self._watched_bulk(made) if self._surroundings.watched and not isinstance(outer, Bulk) else made

    @contextmanager
    def _watched_bulk(self, bulk: Bulk) -> Iterator[Bulk]:
        with self._surroundings.watching(Enqueueing(None, None, many=True)) as call:
            with bulk:
                yield bulk
            call.queue, call.ids = bulk.queue, bulk.ids

    def watched(
        self, task: Task[..., Any], destination: Destination | None = None, *, many: bool = False
    ) -> AbstractContextManager[Enqueueing]:
        """What is around the enqueue of a task; what goes into a bulk block is watched as a part of that."""
        call = Enqueueing(task.name, task.enqueue_options.queue, many)
        if not self._surroundings.watched or isinstance(destination, Bulk):
            return nullcontext(call)
        return self._surroundings.watching(call)

    def transaction(self, target: object) -> TransactionBlock:
        """A block whose jobs are stored on the caller's connection."""
        return TransactionBlock(self._current, CallersTransaction(self._database, target))

    @contextmanager
    def apart(self) -> Iterator[None]:
        """A block into which no block around it reaches: what is enqueued goes where it says itself."""
        token = self._current.set(None)
        try:
            yield
        finally:
            self._current.reset(token)

    def put(self, job: NewJob, like: str | None = None) -> Job:
        """Store a row that was made elsewhere, where the surrounding block says; its secrets are of the job `like`.

        Raises `DecodeError` when those do not open.
        """
        job = self.sealed(job if like is None else self._vault.moved(job, like))
        destination = self._around()
        return self._stored(job, destination, destination.put([job]))

    def new_id(self) -> str:
        """An id for a new job."""
        return self._ids.new()

    def _destination(self, task: Task[..., Any]) -> Destination:
        if task.enqueue_options.secrets is not None:
            raise InvalidOption(
                "secrets", task.enqueue_options.secrets, "are never stored, a worker could not have them",
                "Use launch(...) instead of enqueue(...)",
            )  # fmt: skip
        connection = task.enqueue_options.connection
        if connection is not None:
            return CallersTransaction(self._database, connection)
        return self._around()

    def _around(self) -> Destination:
        """The block around the call, else the transaction that is open around it, else one of our own."""
        block = around(self._current)
        if block is not None and block.named:
            return block.destination
        return self._goes_to(block, self._surroundings.connection())

    def _goes_to(self, block: Block | None, connection: object | None) -> Destination:
        if block is not None and block.holds(connection):
            return block.destination
        return self._own if connection is None else CallersTransaction(self._database, connection)

    def _send(
        self, task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], destination: Destination
    ) -> Job:
        if not self._surroundings.watched:
            job = self._new_job(task, args, kwargs)
            return self._stored(job, destination, destination.put((job,)))
        with self.watched(task, destination) as call:
            job = self._new_job(task, args, kwargs)
            stored = self._stored(job, destination, destination.put((job,)))
            call.ids = (stored.id,)
            return stored

    def _new_job(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> NewJob:
        return task.new_job(self._ids.new(), self._database.store.clock.now(), args, kwargs)

    def _stored(self, job: NewJob, destination: Destination, instead: Mapping[str, str]) -> Job:
        """What enqueueing `job` answers: that job, or the one that stands for it."""
        winner = instead.get(job.id)
        if winner is None:
            return self._made(job, destination)
        return self._committed(winner) or self._seen_by(destination, job, winner)

    def _made(self, job: NewJob, destination: Destination) -> Job:
        return job_of(job, self._control, uncommitted=destination is not self._own)

    def _committed(self, job_id: str) -> Job | None:
        try:
            return self._control.get(job_id)
        except JobNotFound:
            return None

    def _seen_by(self, destination: Destination, job: NewJob, winner: str) -> Job:
        """The job that stands for another and is not committed. Raises `DuplicateJob` when it is gone."""
        if isinstance(destination, CallersTransaction):
            with suppress(JobNotFound):
                return replace(destination.get(winner), uncommitted=True, control=self._control)
        # Unique for a time that goes on, and cleaned away.
        raise DuplicateJob(", ".join(key.name for key in job.keys), winner)


def _refuse_waiting(options: EnqueueOptions, *, inside: bool) -> None:
    """What is launched runs at once, in a transaction of our own. Raises `InvalidOption`."""
    waits = {
        "group": options.group, "after": options.after or None, "delay": options.delay or None,
        "run_at": options.run_at, "connection": options.connection,
    }  # fmt: skip
    for name, value in waits.items():
        if value is not None:
            raise InvalidOption(name, value, "a launched job starts at once", "Enqueue it for a worker")
    if options.unique is not None and options.on_conflict in ("replace", "debounce"):
        raise InvalidOption(
            "on_conflict", options.on_conflict, "a launched job starts at once, and comes after none that runs already",
            "Use 'existing', 'reject' or 'skip', or enqueue it for a worker",
        )  # fmt: skip
    if inside:
        raise InvalidOption(
            "launch", None, "is said inside a block that stores jobs at its end", "Launch behind it, or enqueue"
        )


def job_of(new: NewJob, control: JobControl, *, uncommitted: bool) -> Job:
    """The value of a job that was just enqueued."""
    return Job(
        new.id, new.task, _state(new), new.queue,
        new.priority, new.created_at, new.run_at, new.args, new.codec, max_attempts=new.max_attempts,
        title=new.title, identifier=new.identifier, owner=new.owner, visibility=new.visibility,
        tags=tuple(json.loads(new.tags)) if new.tags else (), meta=new.meta, context=new.context, options=new.options,
        repeatable=new.repeatable, expires_at=new.expires_at, uncommitted=uncommitted, control=control,
        group=new.group_name, group_policy=new.group_policy, threshold=new.threshold, unique_key=new.unique_key,
        blocked_on=new.blocked_on,
    )  # fmt: skip


def _state(new: NewJob) -> JobState:
    if new.blocked_on is not None:
        return JobState.BLOCKED
    return JobState.QUEUED if new.run_at <= new.created_at else JobState.SCHEDULED


def again(job: Job, job_id: str, now: datetime, options: str | None) -> NewJob:
    """A new row that does the same as `job` with other `options`, at once."""
    return NewJob(
        job_id, job.task, job.args, job.codec, job.queue, job.priority, now, now, job.title, job.identifier,
        job.owner, job.visibility, json.dumps(job.tags) if job.tags else None, job.meta, job.context, options,
        job.max_attempts, job.repeatable,
    )  # fmt: skip


def _arguments(task: Task[..., Any], call: object) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    if isinstance(call, Mapping):
        return (), call
    if isinstance(call, tuple | list):
        return tuple(call), {}
    raise task.parameters.no_call(call, "one call as ({},)")
