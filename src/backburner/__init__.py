"""Long jobs for Python web apps, durable in the SQL database the app already has."""

from __future__ import annotations

from backburner.backburner import Backburner
from backburner.context import JobContext, current_job
from backburner.errors import BackburnerError
from backburner.job import Job
from backburner.outcome import Cancelled, PermanentError, Retry, Skip, StopWorker, TimedOut, Wait
from backburner.retry import RetryPolicy
from backburner.secret import Secret
from backburner.states import JobState
from backburner.task import Task
from backburner.track import track
from backburner.version import VERSION as _VERSION

__version__ = _VERSION

__all__ = [
    "Backburner",
    "BackburnerError",
    "Cancelled",
    "Job",
    "JobContext",
    "JobState",
    "PermanentError",
    "Retry",
    "RetryPolicy",
    "Secret",
    "Skip",
    "StopWorker",
    "Task",
    "TimedOut",
    "Wait",
    "current_job",
    "track",
]
