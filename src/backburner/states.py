"""The states of a job and the one table of moves between them; docs draw their diagram from it."""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands; the same ten words in Python, SQL, HTTP, pages and docs."""

    SCHEDULED = "scheduled"
    """Not before a time; a `Wait` comes here with its reason."""
    BLOCKED = "blocked"
    """Held back by something else than time; `blocked_on` says by what."""
    QUEUED = "queued"
    """Ready, any worker of its queue may take it."""
    RUNNING = "running"
    """Owned by a worker, under a lease and fenced by its attempt number."""
    RETRYING = "retrying"
    """Failed for now, runs again at a time."""
    SUCCEEDED = "succeeded"
    """Final: it returned."""
    FAILED = "failed"
    """Final: it will not run again by itself."""
    CANCELLED = "cancelled"
    """Final: someone stopped it."""
    INTERRUPTED = "interrupted"
    """Final: its worker went away and the task must not run twice."""
    SKIPPED = "skipped"
    """Final: it was not needed; the reason says why."""

    @property
    def final(self) -> bool:
        """True when the job will not move again by itself."""
        return self in FINAL

    @property
    def waiting(self) -> bool:
        """True when the job has not been taken by a worker yet."""
        return self in WAITING


_S = JobState

FINAL = frozenset({_S.SUCCEEDED, _S.FAILED, _S.CANCELLED, _S.INTERRUPTED, _S.SKIPPED})
WAITING = frozenset({_S.SCHEDULED, _S.BLOCKED, _S.QUEUED, _S.RETRYING})

TRANSITIONS: dict[str, dict[JobState, frozenset[JobState]]] = {
    "promote": {_S.SCHEDULED: frozenset({_S.QUEUED}), _S.RETRYING: frozenset({_S.QUEUED})},
    "claim": {_S.QUEUED: frozenset({_S.RUNNING}), _S.BLOCKED: frozenset({_S.RUNNING})},
    "park": {_S.QUEUED: frozenset({_S.BLOCKED})},
    "hold": {_S.RUNNING: frozenset({_S.BLOCKED})},
    "unblock": {_S.BLOCKED: frozenset({_S.QUEUED, _S.SCHEDULED})},
    "finish": {
        _S.RUNNING: frozenset({_S.SUCCEEDED, _S.FAILED, _S.CANCELLED, _S.INTERRUPTED, _S.SKIPPED}),
    },
    "retry later": {_S.RUNNING: frozenset({_S.RETRYING})},
    "wait": {_S.RUNNING: frozenset({_S.SCHEDULED, _S.BLOCKED})},
    "release": {_S.RUNNING: frozenset({_S.QUEUED})},
    "rescue": {_S.RUNNING: frozenset({_S.QUEUED, _S.FAILED, _S.INTERRUPTED, _S.CANCELLED})},
    "cancel": {state: frozenset({_S.CANCELLED}) for state in (*sorted(WAITING), _S.FAILED)},
    "expire": {state: frozenset({_S.SKIPPED}) for state in sorted(WAITING)},
    "debounce": {
        _S.QUEUED: frozenset({_S.SCHEDULED}),
        _S.BLOCKED: frozenset({_S.SCHEDULED}),
        _S.SCHEDULED: frozenset({_S.QUEUED}),
    },
    "retry": {state: frozenset({_S.QUEUED, _S.BLOCKED}) for state in sorted(FINAL)}
    | {_S.BLOCKED: frozenset({_S.QUEUED})},
}
"""verb -> from -> to. Only the operator's verb `retry` leaves a final state; it also frees a held job, and one that
waits for others. `cancel` of a failed job gives up a group that the job holds, and is refused otherwise; `claim` takes
a parked job only as the head of its group, and a launched one only in the process started for it."""


def allowed(verb: str, state: JobState) -> frozenset[JobState]:
    """The states `verb` may lead to from `state`; empty when it may not be used there."""
    return TRANSITIONS[verb].get(state, frozenset())
