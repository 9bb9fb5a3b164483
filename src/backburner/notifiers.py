"""`Notifiers`: who is told when a job keeps failing; each call of one is a job of its own."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

from backburner.coroutines import finish
from backburner.errors import InvalidOption
from backburner.ids import derived
from backburner.job import ClaimedJob, NewJob
from backburner.notice import Notice, Notifier, log_notice
from backburner.outcome import NoticeWrite, Settlement
from backburner.registry import Registry
from backburner.run_options import NOTIFIED, RunOptions
from backburner.task import Enqueuer, Task, declare

PREFIX = "backburner.notify."
"""What the names of their tasks begin with."""


class Notifiers:
    """Notifiers by name; while there is none, the log is told."""

    def __init__(self, registry: Registry, enqueuer: Enqueuer) -> None:
        self._registry, self._enqueuer = registry, enqueuer
        self._log = self._task(log_notice, "log")
        self._tasks: list[Task[..., object]] = []

    def add(self, notifier: Notifier, name: str | None) -> None:
        """Tell this one too. Raises `InvalidOption` and `DuplicateTask`."""
        if not callable(notifier):
            raise InvalidOption("notifier", notifier, "cannot be called", "Pass a function, a Webhook or an Email")
        if notifier is log_notice:
            self._tasks.append(self._log)
            return
        made = name or str(getattr(notifier, "__name__", type(notifier).__name__.lower()))
        self._tasks.append(self._task(notifier, made))

    def told(self, job: ClaimedJob, options: RunOptions, end: Settlement, at: datetime) -> Settlement:
        """The end of an attempt, with what is to be said of it: once per job, when its tries reach the number."""
        tries = job.tries + end.tries
        if options.notify_after is None or options.notified or not end.tries or tries < options.notify_after:
            return end
        notice = Notice(
            job.id, job.task, job.title, job.queue, str(end.state), tries, job.attempt, end.reason, end.error, at
        )
        calls = tuple(self._call(task, job, notice) for task in self._tasks or [self._log])
        marked = (json.loads(job.options) if job.options else {}) | {NOTIFIED: True}
        return end._replace(notice=NoticeWrite(json.dumps(marked), calls))

    def _call(self, task: Task[..., object], job: ClaimedJob, notice: Notice) -> NewJob:
        # The same id however often the same notice is written: it is stored once.
        made = derived(job.id, hashlib.sha256(f"{task.name} {notice.tries}".encode()).digest())
        call = task.new_job(made, notice.at, (notice,), {}, captures=False)
        return self._enqueuer.sealed(call._replace(queue=job.queue, priority=job.priority, title=notice.headline))

    def _task(self, notifier: Notifier, name: str) -> Task[..., object]:
        def deliver(notice: Notice) -> None:
            finish(notifier(notice))

        made: Task[..., object] = declare(deliver, self._enqueuer, {"name": PREFIX + name})
        self._registry.add(made, listed=False)
        return made
