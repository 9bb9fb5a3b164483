"""How an attempt ends: what a task may raise to say it, and the record that the store writes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from backburner.errors import InvalidOption
from backburner.fault import Fault
from backburner.job import NewJob, Parent
from backburner.progress import ProgressWrite
from backburner.states import JobState


class PermanentError(Exception):
    """Raise it to fail at once: the job is kept for a person and never retried by itself.

    Its text is for people. What it is raised `from` is kept for operators.
    """


class Skip(Exception):
    """Raise it to end as `skipped`: the work turned out not to be needed. The text is the reason."""


class Cancelled(BaseException):
    """The job was cancelled. Raised at the next Backburner call of a running job; a task may raise it too.

    It is no `Exception`, so that `except Exception` around one item does not swallow it.
    """


class TimedOut(Exception):
    """The job ran longer than its `timeout`, or gave no sign of life for its `stall_timeout`.

    Raised at the next Backburner call of a running job; counts as a temporary failure.
    """


class Wait(Exception):
    """Raise it to be run again later without using up a try: a precondition is not met yet.

    `after` is seconds or a timedelta, `until` an aware datetime; give one of them.
    """

    def __init__(
        self, after: float | timedelta | None = None, reason: str = "", *, until: datetime | None = None
    ) -> None:
        super().__init__(reason)
        if (after is None) == (until is None):
            raise InvalidOption("Wait", (after, until), "give either after or until", "For example Wait(60)")
        if until is not None and until.tzinfo is None:
            raise InvalidOption("until", until, "has no time zone", "Pass an aware datetime")
        self.after: float | None = seconds_of("after", after) if after is not None else None
        self.until: datetime | None = until
        self.reason: str = reason


class WaitsFor(BaseException):
    """Raised by `wait_for`: the attempt ends here, and the job runs again when what it waits for has come.

    It is no `Exception`, so that `except Exception` around one item does not swallow it.
    """

    def __init__(self, parent: Parent) -> None:
        super().__init__(f"Waits for {parent}.")
        self.parent: Parent = parent


class Retry(Exception):
    """Raise it to count this attempt as a temporary failure and run again after `after` seconds.

    Without `after` the task's retry policy chooses the delay. The limit of attempts still holds. The reason is
    for people; what it is raised `from` is kept for operators.
    """

    def __init__(self, reason: str = "", *, after: float | timedelta | None = None) -> None:
        super().__init__(reason)
        self.after: float | None = seconds_of("after", after) if after is not None else None
        self.reason: str = reason


class StopWorker(Exception):
    """Raise it to end this worker process before its next job.

    With `cause` the job ends by that exception's own rules; without, as a permanent failure.
    """

    def __init__(self, reason: str = "", *, cause: BaseException | None = None) -> None:
        super().__init__(reason)
        self.cause: BaseException | None = cause
        self.reason: str = reason


def seconds_of(option: str, value: float | timedelta) -> float:
    """A delay as seconds; refuses what is negative, not a number or not finite."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    # An int may be larger than any float.
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= sys.float_info.max:
        raise InvalidOption(option, value, "is not a delay", "Give seconds (0 or more) or a timedelta")
    return float(seconds)


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """What is kept of one attempt beside the job's own row.

    Memory is resident bytes of the process; times are UTC.
    """

    outcome: str
    started_at: datetime
    finished_at: datetime
    host: str
    pid: int
    reason: str | None = None
    error_type: str | None = None
    error: str | None = None
    traceback: str | None = None
    memory_before: int | None = None
    memory_after: int | None = None
    memory_peak: int | None = None


class NoticeWrite(NamedTuple):
    """What is stored together with an end that somebody is to be told of: the calls, and that they were made."""

    options: str
    calls: tuple[NewJob, ...]


class Settlement(NamedTuple):
    """The end of one attempt, as the store writes it: fenced by `(id, attempt)` and still running."""

    id: str
    position: int
    attempt: int
    state: JobState
    result: str | None = None
    reason: str | None = None
    error: str | None = None
    run_at: datetime | None = None
    tries: int = 0
    crashes: int = 0
    losses: int = 0
    blocked_on: str | None = None
    keep_until: datetime | None = None
    record: AttemptRecord | None = None
    progress: ProgressWrite | None = None
    notice: NoticeWrite | None = None
    parents: tuple[Parent, ...] = ()
    fault: Fault | None = None

    @property
    def plain(self) -> bool:
        """True for a success that leaves nothing on the job's own row but its result."""
        return self.state is JobState.SUCCEEDED and self[5:13] == _NOTHING_MORE

    @property
    def bare(self) -> bool:
        """True when nothing is to be written but the job's own row."""
        return self[13:] == _NOTHING_BESIDE


_NOTHING_MORE = (None, None, None, 0, 0, 0, None, None)
"""From `reason` to `keep_until`."""
_NOTHING_BESIDE = (None, None, None, (), None)
"""From `record` to `fault`."""

RELEASED = JobState.QUEUED
"""The state of a settlement that gives an unstarted job back, without blame."""
