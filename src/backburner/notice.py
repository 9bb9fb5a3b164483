"""`Notice`: what operators are told of a job that keeps failing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from backburner.progress import printable

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Notice:
    """A job has failed for the `tries`-th time, which is what its `notify_after` says.

    `state` is what the job then became: retrying or failed. `reason` is its public text, `error` the private one.
    """

    job: str
    task: str
    title: str | None
    queue: str
    state: str
    tries: int
    attempt: int
    reason: str | None
    error: str | None
    at: datetime

    @property
    def headline(self) -> str:
        """One line of what happened, without control characters."""
        text = f"{self.title or self.task} failed {self.tries} times, now {self.state}"
        return "".join(c if c.isprintable() else " " for c in text)[:200]

    @property
    def key(self) -> str:
        """The same when this is told again."""
        return f"{self.job}-{self.tries}"


Notifier: TypeAlias = Callable[[Notice], Any]
"""Tells somebody; may be a coroutine function. What it raises makes it be called again, as a task is."""


def log_notice(notice: Notice) -> None:
    """Say it in the log of the worker, as an error of the logger `backburner.notice`."""
    log.error("job %s: %s: %s", notice.job, notice.headline, printable(notice.error or ""))
