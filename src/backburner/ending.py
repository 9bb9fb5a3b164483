"""`Ending`: what people are told of a job that is done, because they asked to be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Ending:
    """A job is done: `state` says how, `reason` why, in words for people; nothing private is in it.

    `owner` is whose job it is. `at` is when it ended, UTC.
    """

    job: str
    task: str
    title: str
    queue: str
    owner: str | None
    state: str
    reason: str | None
    attempt: int
    at: datetime

    @property
    def headline(self) -> str:
        """One line of what happened, without control characters."""
        text = f"{self.title}: {self.state}"
        return "".join(c if c.isprintable() else " " for c in text)[:200]

    @property
    def key(self) -> str:
        """The same when this is told again."""
        return f"{self.job}-end-{self.attempt}"


Teller: TypeAlias = Callable[[Ending], Any]
"""Tells somebody; may be a coroutine function. What it raises makes it be called again, as a task is."""
