"""From what a body raised to how its attempt ends. Pure: no clock, no chance, no store of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from backburner.errors import LeaseLost, NotSerializable, SignatureChanged, TooLarge
from backburner.job import ClaimedJob
from backburner.outcome import Cancelled, PermanentError, Retry, Settlement, Skip, StopWorker, TimedOut, Wait, WaitsFor
from backburner.progress import storable
from backburner.relations import PARENTS
from backburner.retry import RetryPolicy
from backburner.seams import Gone
from backburner.states import JobState
from backburner.store.upkeep import CHANGED, DAMAGED, SIGNATURE, UNKNOWN_TASK

START_AGAIN_SECONDS = 5.0
"""The pause before a job is tried again whose body could not begin."""

STOPPED_WITH_ERROR = "It stopped with an error."
"""What people read of an unexpected exception: its text is for operators."""

_MOST = 4000
"""Characters of an exception's text that are kept."""
_LINE = 1000
"""Characters of what operators read first."""


class Rules(NamedTuple):
    """What decides about a failure: the task's policy, the job's own limit, and whether it may run twice."""

    retry: RetryPolicy
    max_attempts: int | None
    repeatable: bool


def of_error(
    job: ClaimedJob, error: BaseException, rules: Rules, now: datetime, random: Callable[[], float]
) -> Settlement:
    """How an attempt ends that raised `error`."""
    ended = _Ending(job)
    if isinstance(error, StopWorker):
        error = error.cause or PermanentError(error.reason or "The task asked its worker to stop.")
    private = private_of(error)
    if isinstance(error, Cancelled):
        return ended(JobState.CANCELLED, text_of(error) or "Cancelled on request.")
    if isinstance(error, Skip):
        return ended(JobState.SKIPPED, text_of(error) or "Not needed.")
    if isinstance(error, Wait):
        run_at = error.until or now + timedelta(seconds=error.after or 0.0)
        return ended(JobState.SCHEDULED, storable(error.reason, _MOST) or "Waits.", run_at=run_at)
    if isinstance(error, WaitsFor):
        waits = ended(JobState.BLOCKED, text_of(error))
        return waits._replace(blocked_on=PARENTS, parents=(error.parent,))
    if isinstance(error, PermanentError | NotSerializable | TooLarge):
        public = public_of(error) if isinstance(error, PermanentError) else "Its result cannot be stored."
        return ended(JobState.FAILED, public, error=private, tries=1)
    return _temporary(ended, job, error, rules, now, random, private)


def _temporary(
    ended: _Ending,
    job: ClaimedJob,
    error: BaseException,
    rules: Rules,
    now: datetime,
    random: Callable[[], float],
    private: str,
) -> Settlement:
    asked = isinstance(error, Retry)
    public = public_of(error)
    if not rules.repeatable and not asked:
        return ended(JobState.FAILED, public, error=private, tries=1)
    delay = rules.retry.decide(job.tries + 1, error, random, rules.max_attempts)
    if delay is None:
        return ended(JobState.FAILED, public, error=private, tries=1)
    if isinstance(error, Retry) and error.after is not None:
        delay = error.after
    return ended(JobState.RETRYING, public, error=private, tries=1, run_at=now + timedelta(seconds=delay))


def public_of(error: BaseException) -> str:
    """What people may read of a failure: what was written for them, else that it failed and no more."""
    if isinstance(error, PermanentError | Retry | TimedOut):
        return text_of(error) or STOPPED_WITH_ERROR
    try:
        said = getattr(error, "public_text", None)
        return (storable(said, _MOST) if isinstance(said, str) else "") or STOPPED_WITH_ERROR
    except Exception:  # noqa: BLE001 (a property of the app's code)
        return STOPPED_WITH_ERROR


def private_of(error: BaseException) -> str:
    """What operators read of a failure in one line: the exception, and the one it was raised from."""
    cause = error.__cause__
    return _named(error) if cause is None else f"{_named(error)} (from {_named(cause)})"[:_LINE]


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {text_of(error)}"[:_LINE]


def text_of(error: BaseException) -> str:
    """What an exception says, as text that every database stores; an app's exception may fail at that too."""
    try:
        return storable(str(error), _MOST)
    except Exception as raised:  # noqa: BLE001 (its text is the app's code)
        return f"<its text raised {type(raised).__name__}>"


def untold(job: ClaimedJob, error: Exception) -> Settlement:
    """The body has ended, and to find out how raised an error itself: final, for it must not run again unseen."""
    return Settlement(
        job.id, job.position, job.attempt, JobState.FAILED,
        reason=STOPPED_WITH_ERROR, error=private_of(error), tries=1,
    )  # fmt: skip


def unknown_task(job: ClaimedJob) -> Settlement:
    """Nobody here knows the task: held until a worker comes that does."""
    reason = f"No worker here knows the task {job.task!r}."
    return Settlement(job.id, job.position, job.attempt, JobState.BLOCKED, reason=reason, blocked_on=UNKNOWN_TASK)


def damaged(job: ClaimedJob, error: Exception) -> Settlement:
    """The row cannot be read: held and visible, for a person."""
    public, held = "Its stored call cannot be read.", DAMAGED
    if isinstance(error, SignatureChanged):
        public, held = "Its task has changed since it was enqueued.", SIGNATURE
    return Settlement(
        job.id,
        job.position,
        job.attempt,
        JobState.BLOCKED,
        reason=public,
        error=_named(error),
        blocked_on=held,
    )


def changed(job: ClaimedJob, problem: str) -> Settlement:
    """Somebody else wrote the row, or changed it: held and visible, and not run."""
    return Settlement(
        job.id, job.position, job.attempt, JobState.BLOCKED,
        reason="Its stored call was changed by others.", error=f"Signature: {problem}", blocked_on=CHANGED,
    )  # fmt: skip


def released(job: ClaimedJob) -> Settlement:
    """It was claimed and never begun: back in line, without blame."""
    return Settlement(job.id, job.position, job.attempt, JobState.QUEUED)


def not_started(job: ClaimedJob, error: BaseException, now: datetime, max_losses: int) -> Settlement:
    """Its body could not even begin: once more after a pause, as a loss, and not for ever."""
    over = job.losses + 1 >= max_losses
    return Settlement(
        job.id,
        job.position,
        job.attempt,
        JobState.FAILED if over else JobState.SCHEDULED,
        reason=f"It could not be started {job.losses + 1} times." if over else "It could not be started.",
        error=private_of(error),
        run_at=None if over else now + timedelta(seconds=START_AGAIN_SECONDS),
        losses=1,
    )


def is_lost(error: BaseException | None) -> bool:
    """True when the attempt is not ours any more: then there is nothing to write."""
    return isinstance(error, LeaseLost | Gone)


class _Ending:
    """Builds the settlement of one job."""

    def __init__(self, job: ClaimedJob) -> None:
        self._job = job

    def __call__(
        self,
        state: JobState,
        reason: str,
        *,
        error: str | None = None,
        tries: int = 0,
        run_at: datetime | None = None,
    ) -> Settlement:
        job = self._job
        return Settlement(
            job.id, job.position, job.attempt, state, reason=reason, error=error, tries=tries, run_at=run_at
        )
