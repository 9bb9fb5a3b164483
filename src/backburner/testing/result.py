"""`JobResult`: one run of a job, as a test looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from backburner.states import JobState

Died = Literal["crash", "interrupt"]


@dataclass(frozen=True, slots=True)
class JobResult:
    """How one attempt ended.

    `state` is the state that the job is in after it, `value` what the task returned, as it was stored and read
    again, `error` what it raised (the very exception), `reason` what people are told. `died` says by which
    simulated death it ended.
    """

    id: str
    task: str
    attempt: int
    state: JobState
    value: Any = None
    error: BaseException | None = None
    reason: str | None = None
    died: Died | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the job has succeeded."""
        return self.state is JobState.SUCCEEDED

    @property
    def went_wrong(self) -> bool:
        """Whether the attempt failed, be it for good or not; waiting, skipping and cancelling are no failures."""
        return self.died is None and self.state in (JobState.RETRYING, JobState.FAILED, JobState.BLOCKED)
