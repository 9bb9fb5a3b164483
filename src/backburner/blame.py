"""What becomes of the jobs a dead worker leaves behind.

A crash is proven when the job was the only one begun in a process that nobody of us killed; all else is a
loss, which says nothing about the job. From the first of either on a job runs alone, in a process of its own:
so a job that kills its process is found out without taking others along.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from backburner.fault import Fault, fault_at
from backburner.outcome import AttemptRecord, Settlement
from backburner.states import JobState


class Orphan(NamedTuple):
    """A running job whose worker is dead."""

    id: str
    position: int
    attempt: int
    task: str
    crashes: int
    losses: int
    repeatable: bool
    began_at: datetime | None
    started_at: datetime | None
    cancel_requested: bool
    queue: str = ""


@dataclass(frozen=True, slots=True)
class Death:
    """What is known of how a worker ended.

    `begun` are the ids whose bodies had begun, None when nobody saw. `crashed` says that the process ended by
    itself; `stopped` that it was told to: then nobody is to blame. `cause` says how in words.
    """

    cause: str
    begun: frozenset[str] | None = None
    crashed: bool = False
    stopped: bool = False
    host: str = ""
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """How often a job may crash its process, and how often it may be lost, before it fails."""

    max_crashes: int = 3
    max_losses: int = 10


def judge(orphan: Orphan, death: Death, limits: Limits, now: datetime) -> Settlement:
    """How the attempt ends. A job that had not begun goes back without blame."""
    begun = orphan.id in death.begun if death.begun is not None else True
    if not orphan.repeatable or (death.begun is None and (orphan.crashes or orphan.losses)):
        # The mark in the row is written just before the body: without it the body cannot have begun.
        begun = orphan.began_at is not None
    if not begun:
        return Settlement(orphan.id, orphan.position, orphan.attempt, JobState.QUEUED)
    crash = death.crashed and death.begun is not None and len(death.begun) == 1
    loss = not crash and not death.stopped
    crashes, losses = orphan.crashes + crash, orphan.losses + loss
    state, reason = JobState.QUEUED, f"Its worker went away ({death.cause}); it runs again."
    if orphan.cancel_requested:
        state, reason = JobState.CANCELLED, f"Cancelled; its worker went away ({death.cause})."
    elif not orphan.repeatable:
        state, reason = JobState.INTERRUPTED, f"Its worker went away ({death.cause}); it must not run twice."
    elif crashes >= limits.max_crashes:
        state, reason = JobState.FAILED, f"It ended its process {crashes} times ({death.cause})."
    elif losses >= limits.max_losses:
        state, reason = JobState.FAILED, f"Its worker went away {losses} times ({death.cause})."
    return Settlement(
        orphan.id,
        orphan.position,
        orphan.attempt,
        state,
        reason=reason,
        crashes=int(crash),
        losses=int(loss),
        record=AttemptRecord(
            outcome="crashed" if crash else "lost" if loss else "interrupted",
            started_at=orphan.started_at or now,
            finished_at=now,
            host=death.host,
            pid=death.pid,
            reason=death.cause,
        ),
        fault=_fault(orphan, death, crash=crash) if state is JobState.FAILED else None,
    )


def _fault(orphan: Orphan, death: Death, *, crash: bool) -> Fault:
    """Nobody saw where it was: jobs of one task that ended so are of one kind."""
    kind = "ProcessCrashed" if crash else "WorkerLost"
    place = "ended its process" if crash else "its worker went away"
    line = f"{orphan.task}\0{place}"
    return fault_at(kind, place, death.cause, orphan.task, orphan.queue, death.host, line=line)
