"""Stores what running jobs report, four times a second, and brings them what others want of them: stop."""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Any

from backburner.attachment import Attachment
from backburner.clock import boot_seconds
from backburner.context import JobContext
from backburner.errors import LeaseLost, StoreError
from backburner.files import FileStore
from backburner.job import ClaimedJob, Parent
from backburner.outcome import Cancelled, Settlement, TimedOut
from backburner.progress import LogLine, Progress, ProgressWrite
from backburner.states import JobState
from backburner.store.store import Store
from backburner.worker.hooked import Hooked
from backburner.worker.meetings import Meetings

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.25
WATCH_SECONDS = 1.0


@dataclass(slots=True)
class Running:
    """One body under way, and what of its reports is stored already. `alone` says that it has a process of its
    own here: that one ends it when it does not stop. Time limits count from `limits_from`, None while that process
    is not up yet.
    """

    job: ClaimedJob
    context: JobContext
    slot: int
    started: float
    limits_from: float | None
    timeout: float | None = None
    stall_timeout: float | None = None
    stop: Callable[[], None] | None = None
    alive_at: float = 0.0
    stopped_at: float | None = None
    stored: Progress | None = None
    log_end: int | None = None
    trimmed: int = 0
    unwritten: ProgressWrite | None = None
    connection: Connection | None = None
    anew: bool = False
    alone: bool = False
    hooked: Hooked | None = None
    verdict: Settlement | None = None
    told: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class Reporter:
    """One thread. Also the desk that running jobs turn to."""

    def __init__(
        self,
        store: Store,
        files: FileStore,
        worker: Callable[[], str],
        encode: Callable[[JobContext, Any], str],
        enlist: Callable[[object], AbstractContextManager[None]],
        meetings: Meetings,
        *,
        max_log: int,
        deaf: Callable[[Running], None],
        grace: float = 10.0,
    ) -> None:
        self._store, self._files, self._worker, self._encode = store, files, worker, encode
        self._enlist, self._meetings = enlist, meetings
        self._max_log, self._deaf, self._grace = max_log, deaf, grace
        self.running: dict[int, Running] = {}
        self._hurry = threading.Event()
        self._closing = False
        self._watched_at = 0.0
        self._thread = threading.Thread(target=self._work, name="backburner-reporter", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._hurry.set()
        self._thread.join(5.0)

    def begin(self, running: Running) -> None:
        """A body begins."""
        self.running[running.slot] = running

    def end(self, running: Running, complete: bool) -> ProgressWrite | None:
        """A body has ended: what is left to store goes with its settlement."""
        self.running.pop(running.slot, None)
        write = self._last(running)
        return _completed(running, write) if complete else write

    def _last(self, running: Running) -> ProgressWrite | None:
        """What is left to store, however long the database is away: the body has ended, its outcome must stay."""
        pause = 0.05
        while True:
            try:
                with running.lock:
                    return self._collect(running)
            except StoreError as error:
                log.warning("the end of job %s waits: %s", running.job.id, error)
                threading.Event().wait(random.uniform(0, pause))
                pause = min(2.0, pause * 2)

    def urgent(self, context: JobContext) -> None:
        self._hurry.set()

    def flush(self, context: JobContext) -> None:
        running = self._running_of(context)
        if running is not None and running.job.id not in self._write([running]):
            raise LeaseLost(running.job.id, running.job.attempt)

    @contextmanager
    def transaction(self, context: JobContext) -> Iterator[Connection]:
        running = self._owned(context)
        job = running.job
        # The store's own transactions are not repeated here: the app's writes are its to repeat.
        # What is enqueued inside goes with them, and workers are told of it after the commit.
        with self._alone(running), self._store.used():
            begun = self._store.begin()
            with begun.connection as connection, self._enlist(connection), begun:
                running.connection = connection
                yield connection
                with running.lock:
                    write = self._collect(running) or ProgressWrite(job.id, job.attempt)
                    if context._finished:
                        write = _completed(running, write) or write
                    owned = self._store.progress.write_on(connection, [write])
                if job.id not in owned:
                    raise LeaseLost(job.id, job.attempt)
                if context._finished:
                    result = self._encode(context, context._result)
                    end = Settlement(job.id, job.position, job.attempt, JobState.SUCCEEDED, result=result)
                    if not self._store.claims.settle_on(connection, [end], self._worker()):
                        raise LeaseLost(job.id, job.attempt)

    @contextmanager
    def _alone(self, running: Running) -> Iterator[None]:
        """While a body has a transaction open, the flushing thread leaves its job alone.

        It would store a checkpoint before the writes it belongs to; and on SQLite it would wait for the body
        to let go of the database, with the lock that the body needs to do so. When the transaction fails, the
        checkpoint said inside goes with it.
        """
        context = running.context
        with running.lock:
            context._in_transaction = True
            kept, unwritten = context._saved().kept(), running.unwritten
        try:
            yield
            running.unwritten = None
        except BaseException:
            with running.lock:
                context._saved().restore(kept)
                context._finished = False
                if running.unwritten is not None:
                    earlier = unwritten.checkpoint if unwritten is not None else None
                    running.unwritten = replace(running.unwritten, checkpoint=earlier)
            raise
        finally:
            context._in_transaction, running.connection = False, None

    def attach(self, context: JobContext, name: str, source: str | IO[bytes], media_type: str | None) -> Attachment:
        attachment = self._files.keep(context.id or "", name, source, media_type, self._store.clock.now())
        running = self._running_of(context)
        self._store.attachments.add(attachment, running.connection if running is not None else None)
        return attachment

    def milestone(self, context: JobContext, name: str) -> None:
        running = self._owned(context)
        self._meetings.milestone(running.job, name, running.connection)

    def wait_for(self, context: JobContext, parent: Parent) -> None:
        self._meetings.wait_for(self._owned(context).job, parent)

    def stored_checkpoint(self, context: JobContext) -> str | None:
        return self._store.progress.checkpoint(context.id or "") if context.attempt > 1 else None

    def _owned(self, context: JobContext) -> Running:
        running = self._running_of(context)
        if running is None:
            raise LeaseLost(context.id or "", context.attempt)
        return running

    def _running_of(self, context: JobContext) -> Running | None:
        return next((r for r in list(self.running.values()) if r.context is context), None)

    def _work(self) -> None:
        while not self._closing:
            self._hurry.wait(FLUSH_SECONDS)
            self._hurry.clear()
            running = list(self.running.values())
            if not running:
                continue
            try:
                self._write(running)
                if boot_seconds() - self._watched_at >= WATCH_SECONDS:
                    self._watched_at = boot_seconds()
                    self._bring_cancels(running)
            except StoreError as error:
                log.warning("progress waits: %s", error)
            except Exception:
                log.exception("progress could not be stored")
            try:
                self._enforce(running)
            except Exception:
                log.exception("time limits could not be enforced")
            # Urgent reports of many jobs still make one transaction.
            threading.Event().wait(0.02)

    def _write(self, running: Sequence[Running]) -> set[str]:
        with ExitStack() as locks:
            # Held until it is written: the end of a job must not send the same once more.
            free = [one for one in running if self._held(one, locks)]
            writes = [write for write in map(self._collect, free) if write is not None]
            return self._send(running, writes)

    def _held(self, one: Running, locks: ExitStack) -> bool:
        """Take the lock of a body; not of one that has ended, nor of one that has a transaction open: on SQLite
        it keeps us from writing, and would wait for its lock before it ends.
        """
        one.lock.acquire()
        if one.context._in_transaction or self.running.get(one.slot) is not one:
            one.lock.release()
            return False
        locks.callback(one.lock.release)
        return True

    def _send(self, running: Sequence[Running], writes: list[ProgressWrite]) -> set[str]:
        if not writes:
            return {one.job.id for one in running}
        owned = self._store.progress.write(writes)
        written = {write.job for write in writes}
        for one in running:
            if one.job.id not in written:
                continue
            one.unwritten = None
            if one.job.id not in owned and self.running.get(one.slot) is one:
                one.context._stop = LeaseLost(one.job.id, one.job.attempt)
            elif one.log_end is not None and one.log_end - one.trimmed > self._max_log * 1.25:
                one.trimmed = one.log_end - self._max_log
                self._store.progress.trim_log(one.job.id, one.trimmed)
        return owned | {one.job.id for one in running if one.job.id not in written}

    def _collect(self, one: Running) -> ProgressWrite | None:
        """What is new since the last flush, with what an earlier flush could not write."""
        context, earlier = one.context, one.unwritten
        if context._silent and one.stored is None and earlier is None:
            return None
        if context._began_at is None:
            began = self._store.clock.now() - timedelta(seconds=boot_seconds() - one.started)
            context._began_at = began
        if one.log_end is None:
            # Asked before anything is taken out: when it cannot be told now, nothing is lost.
            again = one.job.attempt > 1
            one.anew = again and self._store.progress.checkpoint(one.job.id) is None
            one.log_end = self._store.progress.log_end(one.job.id) if again else 0
        reported = context._reported
        lines = _drain(context._output)
        messages, failed = _drain(context._messages), _drain(context._failed_items)
        checkpoint = context._checkpoint.taken(context._failed) if context._checkpoint is not None else None
        if not (checkpoint or lines or messages or failed or reported != one.stored or earlier):
            return None
        write = ProgressWrite(
            job=one.job.id,
            attempt=one.job.attempt,
            progress=reported,
            checkpoint=checkpoint or (earlier.checkpoint if earlier else None),
            log=self._log(one, earlier.log if earlier else (), lines),
            messages=(*(earlier.messages if earlier else ()), *messages),
            failed_items=(*(earlier.failed_items if earlier else ()), *failed),
            anew=one.anew,
        )
        one.stored, one.unwritten = reported, write
        return write

    def _log(self, one: Running, earlier: tuple[LogLine, ...], lines: list[Any]) -> tuple[LogLine, ...]:
        """Output to store: no more than the end that is kept anyway, however much was said in between."""
        if not lines or one.log_end is None:
            return earlier
        text = "".join(line for line, _ in lines)
        one.log_end += len(text)
        kept, first = text[-self._max_log :] if self._max_log else "", one.log_end - self._max_log
        said = (*earlier, LogLine(one.log_end - len(kept), kept, lines[-1][1]))
        return tuple(piece for piece in said if piece.text and piece.start + len(piece.text) > first)

    def _bring_cancels(self, running: Sequence[Running]) -> None:
        for job_id in self._store.claims.cancelled(self._worker()):
            for one in running:
                if one.job.id == job_id and one.context._stop is None:
                    self._stop(one, Cancelled("Cancelled on request."))

    def _enforce(self, running: Sequence[Running]) -> None:
        """Time limits: total, and since the last sign of life; and what was told to stop and does not."""
        now = boot_seconds()
        for one in running:
            context = one.context
            if context._alive or one.alive_at == 0.0 or one.limits_from is None:
                context._alive, one.alive_at = False, now
            if one.stopped_at is not None:
                if now - one.stopped_at > self._grace and not one.alone:
                    one.stopped_at = float("inf")
                    self._deaf(one)
            elif one.limits_from is None:
                continue
            elif one.timeout is not None and now - one.limits_from > one.timeout:
                self._stop(one, TimedOut(f"It took longer than {one.timeout:g} s."))
            elif one.stall_timeout is not None and now - one.alive_at > one.stall_timeout:
                self._stop(one, TimedOut(f"It gave no sign of life for {one.stall_timeout:g} s."))

    def _stop(self, one: Running, why: BaseException) -> None:
        one.context._stop, one.stopped_at = why, boot_seconds()
        if one.stop is not None:
            one.stop()


def _completed(one: Running, write: ProgressWrite | None) -> ProgressWrite | None:
    """Finished means complete, whatever the last count was."""
    progress = (write.progress if write is not None else None) or one.stored
    if progress is None or progress.total is None or progress.done >= progress.total:
        return write
    write = write or ProgressWrite(one.job.id, one.job.attempt)
    return replace(write, progress=replace(progress, done=progress.total))


def _drain(entries: deque[Any]) -> list[Any]:
    """Take all entries out; the job's thread may append meanwhile."""
    taken = []
    while entries:
        taken.append(entries.popleft())
    return taken
