"""A job in the words of Django's Tasks framework."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from traceback import format_exception
from typing import Any

from django.conf import settings as project
from django.utils import timezone

from backburner.job import Job
from backburner.outcome import AttemptRecord
from backburner.states import JobState

_STATUS = {JobState.RUNNING: "RUNNING", JobState.SUCCEEDED: "SUCCESSFUL"}


def status_of(state: JobState) -> str:
    """READY, RUNNING, SUCCESSFUL or FAILED: each end without a result is a failure there."""
    return _STATUS.get(state, "FAILED" if state.final else "READY")


def arguments_of(job: Job) -> dict[str, Any]:
    """`args` and `kwargs`."""
    found: dict[str, Any] = json.loads(job.args)
    return {"args": found["args"], "kwargs": found["kwargs"]}


def return_value_of(job: Job) -> Any:
    """What the task returned; None unless it has succeeded."""
    done = job.state is JobState.SUCCEEDED and job.result_text is not None
    return json.loads(job.result_text or "null") if done else None


def errors_of(attempts: Iterable[AttemptRecord]) -> Iterator[tuple[str, str]]:
    """Path of the exception's class, and traceback, of each attempt that failed."""
    for attempt in attempts:
        if attempt.error_type is not None and attempt.traceback is not None:
            yield _path(attempt.error_type, attempt.traceback), attempt.traceback


def error_of(error: BaseException) -> dict[str, str]:
    """`exception_class_path` and `traceback` of one that is here."""
    kind = type(error)
    return {
        "exception_class_path": f"{kind.__module__}.{kind.__qualname__}",
        "traceback": "".join(format_exception(error)),
    }


def workers_of(job: Job, attempts: Mapping[int, AttemptRecord]) -> list[str]:
    """One name per attempt. Which worker had one that has left no record, nobody knows any more."""
    named = {number: f"{attempt.host}:{attempt.pid}" for number, attempt in attempts.items()}
    return [named.get(number) or job.worker or f"attempt {number}" for number in range(1, job.attempt + 1)]


def local(moment: datetime | None) -> datetime | None:
    """As the project has its times: aware, or in its own zone and without one."""
    return moment if moment is None or project.USE_TZ else timezone.make_naive(moment)


def _path(name: str, traceback: str) -> str:
    """The last line of a traceback begins with the class, its module before it unless that is builtins."""
    found = re.findall(rf"^((?:\w+\.)*{re.escape(name)})(?::|$)", traceback, re.MULTILINE)
    path = found[-1] if found else name
    return path if "." in path else f"builtins.{path}"
