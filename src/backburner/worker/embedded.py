"""A worker inside a process of the app's own: for small apps and for tests. It never ends that process."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

from backburner.clock import boot_seconds
from backburner.errors import StoreError
from backburner.ids import Ids
from backburner.store.dialects.base import Life
from backburner.store.workers import Order, WorkerRow
from backburner.version import VERSION
from backburner.worker.heartbeat import Beating, Heartbeat
from backburner.worker.options import WorkerOptions
from backburner.worker.page import Page
from backburner.worker.process import WorkerProcess

if TYPE_CHECKING:
    from backburner.backburner import Backburner

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1


class Worker:
    """Runs jobs in threads of this process.

        with Worker(jobs):
            ...

    What a process of its own gives is missing here: a task that crashes takes the app along, and a thread
    that does not stop is only written off. `options` are `WorkerOptions`; `processes` means nothing here.
    """

    def __init__(self, jobs: Backburner, options: WorkerOptions | None = None) -> None:
        settings = jobs.settings
        self._jobs = jobs
        self._options = options or WorkerOptions(
            concurrency=settings.concurrency,
            lease=settings.lease,
            beat=settings.beat,
            poll=settings.poll,
            grace=settings.grace,
        )
        self._ids = Ids()
        self._page = Page(2 * self._options.concurrency)
        self._process: WorkerProcess | None = None
        self._heartbeat: Heartbeat | None = None
        self._life: Life | None = None
        self._stopped = threading.Event()
        self._stop_lock = threading.Lock()
        self._watch: threading.Thread | None = None

    def start(self) -> Worker:
        """Start working in the background. Raises `SchemaMissing` and `StoreUnavailable`."""
        store = self._jobs.store
        store.ready()
        self._stopped.clear()
        self._page.resting = False
        process = WorkerProcess(self._jobs, self._options, self._page, self._ids.new(), may_exit=False)
        heartbeat = Heartbeat(store, self._options.lease, self._options.beat, self._beating, self._jobs.seams)
        self._process, self._heartbeat = process, heartbeat
        try:
            self._register(process.id)
            process.prepare()
            heartbeat.once()
            heartbeat.start()
            process.start()
        except BaseException:
            self._take_back(process, heartbeat)
            raise
        self._watch = threading.Thread(target=self._look, name="backburner-watch", daemon=True)
        self._watch.start()
        return self

    def _take_back(self, process: WorkerProcess, heartbeat: Heartbeat) -> None:
        """It could not be started: as though nobody had tried."""
        self._process = None
        heartbeat.close()
        process.discard()
        self._page.lease_until = 0.0
        with suppress(StoreError):
            self._jobs.store.workers.end(process.id, "it could not be started")
        self._end_life()

    def _end_life(self) -> None:
        life, self._life = self._life, None
        if life is not None:
            life.end()

    def stop(self, grace: float | None = None) -> bool:
        """Stop: nothing more is claimed, what runs has `grace` seconds. False when something runs on.

        That something keeps its job until this process ends, or until its lease is over.
        """
        with self._stop_lock:
            return self._stop(grace)

    def _stop(self, grace: float | None) -> bool:
        process, heartbeat = self._process, self._heartbeat
        if process is None or heartbeat is None:
            return True
        process.become_quiet("it was told to stop")
        pause = threading.Event()

        def wait(seconds: float) -> None:
            pause.wait(seconds)

        ended = process.wind_down(self._options.grace if grace is None else grace, wait)
        self._stopped.set()
        heartbeat.close()
        if ended:
            self._jobs.store.workers.end(process.id, "stopped")
            self._end_life()
        self._process = None
        return ended

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the worker has come to its end by itself (`burst`, `max_jobs` ...); False after `seconds`."""
        until = float("inf") if seconds is None else boot_seconds() + seconds
        while self._process is not None and self._process.quiet is None:
            if boot_seconds() >= until:
                return False
            self._process.woken.wait(_LOOK_SECONDS)
        return True

    def __enter__(self) -> Worker:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _register(self, worker: str) -> None:
        store, options = self._jobs.store, self._options
        now = store.clock.now()
        # Whoever it was before is dead.
        self._end_life()
        self._life = store.dialect.hold_life(worker)
        store.workers.register(
            WorkerRow(
                id=worker,
                supervisor=worker,
                host=socket.gethostname(),
                pid=os.getpid(),
                label=options.label,
                queues=json.dumps(options.queues) if options.queues else None,
                concurrency=options.concurrency,
                version=VERSION,
                started_at=now,
                beat_at=now,
                lease_until=now,
                priorities=options.priority_text,
            )
        )

    def _beating(self) -> list[Beating]:
        process = self._process
        return [] if process is None else [Beating(process.id, self._page, self._reborn, self._told)]

    def _told(self, word: str) -> None:
        """What was asked from elsewhere. It cannot be loaded anew: its code is the app's process."""
        process = self._process
        if process is None or process.quiet is not None:
            return
        if word == Order.STOP:
            process.become_quiet("it was told to stop")
            # Not here: to stop is also to end the thread of the beats.
            threading.Thread(target=self.stop, name="backburner-stop", daemon=True).start()
        self._page.resting = True

    def _reborn(self) -> None:
        """Others marked us dead: what we hold is theirs. Go on as somebody new."""
        if self._process is not None:
            log.error("worker %s was marked dead by others; going on as another", self._process.id)
            # Known under its new name before others see that: its own chores must not take it for dead.
            self._process.abandon(self._ids.new())
            self._register(self._process.id)

    def _look(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            if self._process is not None and self._process.quiet is None:
                self._process.look_around()
