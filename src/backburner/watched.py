"""`WatchedConnection`: a DB-API connection of a framework that can say when its transaction is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backburner.job import NewJob

Tell = Callable[[Sequence[NewJob]], None]


@dataclass(frozen=True, slots=True)
class WatchedConnection:
    """`connection` is the driver's own. `when_ended(jobs, tell)` has `tell(jobs)` called behind its commit, and
    answers False where that cannot be known. What equal tells are to tell may be told together. `savepoints` are those
    that are open in it, which can be rolled back by themselves.
    """

    connection: Any
    when_ended: Callable[[Sequence[NewJob], Tell], bool]
    savepoints: tuple[str, ...] = ()
