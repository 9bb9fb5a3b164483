"""`Desk`: what a worker does for a job that it runs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from backburner.attachment import Attachment
    from backburner.context import JobContext
    from backburner.job import Parent


class Desk(Protocol):
    """What the worker does for a running job."""

    def urgent(self, context: JobContext) -> None:
        """Store what this job reports soon, not at the next round."""
        ...

    def flush(self, context: JobContext) -> None:
        """Store what this job reports before returning; raises `LeaseLost`."""
        ...

    def transaction(self, context: JobContext) -> AbstractContextManager[Connection]:
        """A transaction on the jobs' database that ends fenced."""
        ...

    def attach(self, context: JobContext, name: str, source: Any, media_type: str | None) -> Attachment: ...

    def milestone(self, context: JobContext, name: str) -> None:
        """Store that a job has reached a milestone; raises `LeaseLost`."""
        ...

    def wait_for(self, context: JobContext, parent: Parent) -> None:
        """Return when it has come; else raise what ends the attempt, or why it never will."""
        ...

    def stored_checkpoint(self, context: JobContext) -> str | None: ...
