"""What answers hold, as types: they shape what is sent, and the OpenAPI document is made of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from backburner.states import JobState

Moment = Annotated[str, Meta(description="ISO 8601, UTC", extra_json_schema={"format": "date-time"})]
Text = str | None
Verb = Literal["cancel", "retry", "tell", "dismiss", "delete"]


class ProgressBody(TypedDict):
    """How far a job is; `share` is from 0 to 1."""

    done: float
    total: float | None
    unit: Text
    share: float | None
    stage: Text
    message: Text
    failed: int
    began_at: Moment | None
    updated_at: Moment | None


class LinkBody(TypedDict):
    """Where the job leads: to an address, or, when its route has none any more, nowhere."""

    text: str
    href: Text
    target: Text


class FileBody(TypedDict):
    """A file that the job made, and where to get it."""

    id: str
    name: str
    media_type: str
    size: int
    href: str


class JobBody(TypedDict):
    """A job as this user may see it. What only operators may see is left out for others."""

    id: str
    title: str
    task: str
    queue: str
    state: JobState
    done: bool
    reason: Text
    blocked_on: Text
    cancel_requested: bool
    place: Annotated[int | None, Meta(description="In line, from 1 on; null elsewhere, and far behind")]
    attempt: int
    tries: int
    max_attempts: int | None
    identifier: Text
    tags: list[str]
    created_at: Moment
    run_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    expires_at: Moment | None
    progress: ProgressBody | None
    links: list[LinkBody]
    files: list[FileBody]
    actions: Annotated[list[Verb], Meta(description="What this user may do with it now")]
    href: str
    owner: NotRequired[Text]
    priority: NotRequired[int]
    error: NotRequired[Text]
    worker: NotRequired[Text]


class JobsBody(TypedDict):
    """A page of jobs, the newest first. `next` is the address of the next one."""

    jobs: list[JobBody]
    next: Text
    count: int
    count_capped: bool


class SharedBody(TypedDict):
    """Jobs that are open to who asks, whoever started them."""

    jobs: list[JobBody]


class UnfinishedBody(TypedDict):
    """A job that has no result yet."""

    id: str
    state: JobState


class FaultBody(TypedDict):
    """One thing that is wrong with a body: where, as a JSON pointer, and what."""

    pointer: str
    detail: str


class ProblemBody(TypedDict):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: NotRequired[str]
    errors: NotRequired[list[FaultBody]]
    parameter: NotRequired[str]
    state: NotRequired[str]
    id: NotRequired[str]


BODIES: tuple[Any, ...] = (JobBody, JobsBody, SharedBody, UnfinishedBody, ProblemBody)
"""What answers are named by in the OpenAPI document."""
