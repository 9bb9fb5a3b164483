"""`View`: a filter of jobs that was saved under a name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class View:
    """One saved view of `owner`; a `shared` one is for all operators. `query` is a filter in its canonical form."""

    id: str
    name: str
    owner: str
    query: str
    columns: tuple[str, ...] | None
    shared: bool
    created_at: datetime
