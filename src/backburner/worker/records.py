"""What is kept of one attempt: its times, its error, the memory of its process."""

from __future__ import annotations

import os
import resource
import socket
import sys
import traceback
from datetime import datetime, timedelta

from backburner.job import ClaimedJob
from backburner.outcome import AttemptRecord, Settlement
from backburner.states import JobState
from backburner.worker.faults import fault_of
from backburner.worker.verdict import text_of

_HOST = socket.gethostname()

_OUTCOMES = {
    JobState.RETRYING: "failed",
    JobState.SCHEDULED: "waited",
    JobState.BLOCKED: "held",
    JobState.QUEUED: "interrupted",
    JobState.RUNNING: "running",
}


def recorded(
    settlement: Settlement,
    job: ClaimedJob,
    now: datetime,
    took: float,
    error: BaseException | None,
    *,
    memory_before: int | None = None,
    hook_error: BaseException | None = None,
) -> Settlement:
    """An end with the record of its attempt, which ended at `now`, and with its fault where it is a failure.

    `hook_error` is what failed after a body that did not.
    """
    failed = error is not None and settlement.state in (JobState.FAILED, JobState.RETRYING)
    return settlement._replace(
        record=_record(settlement, now, took, error, memory_before, hook_error),
        fault=fault_of(error, job) if failed and error is not None else None,
    )


def _record(
    settlement: Settlement,
    now: datetime,
    took: float,
    error: BaseException | None,
    memory_before: int | None,
    hook_error: BaseException | None,
) -> AttemptRecord:
    told = error if error is not None and settlement.error is not None else hook_error
    return AttemptRecord(
        outcome=_outcome(settlement),
        started_at=now - timedelta(seconds=took),
        finished_at=now,
        host=_HOST,
        pid=os.getpid(),
        reason=settlement.reason,
        error_type=type(told).__name__ if told is not None else None,
        error=text_of(told) if told is not None else None,
        traceback=trace_of(told) if told is not None else None,
        memory_before=memory_before,
        memory_after=resident_bytes(),
        memory_peak=peak_bytes(),
    )


def _outcome(settlement: Settlement) -> str:
    if settlement.parents:
        return "waited"
    return settlement.state if settlement.state.final else _OUTCOMES[settlement.state]


def trace_of(error: BaseException) -> str:
    """The traceback as text, from the task's own frame on, at most 20,000 characters (its end)."""
    text = "".join(traceback.format_exception(error))[-20_000:]
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def resident_bytes() -> int | None:
    """Resident memory of this process; None where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return None


def peak_bytes() -> int:
    """The most resident memory this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
