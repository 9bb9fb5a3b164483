"""What is kept of one attempt: its times, its error, the memory of its process."""

from __future__ import annotations

import os
import resource
import socket
import sys
import traceback
from datetime import datetime, timedelta

from backburner.outcome import AttemptRecord, Settlement
from backburner.states import JobState
from backburner.worker.verdict import text_of

_HOST = socket.gethostname()

_OUTCOMES = {
    JobState.RETRYING: "failed",
    JobState.SCHEDULED: "waited",
    JobState.BLOCKED: "held",
    JobState.QUEUED: "interrupted",
    JobState.RUNNING: "running",
}


def record_of(
    settlement: Settlement,
    now: datetime,
    took: float,
    error: BaseException | None,
    *,
    memory_before: int | None = None,
    hook_error: BaseException | None = None,
) -> AttemptRecord:
    """The record of an attempt that ended at `now`; `hook_error` is what failed after a body that did not."""
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
