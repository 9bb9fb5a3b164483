"""Columns of the list of jobs: which there are, and which somebody chose."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name in addresses, and its title. `wide` ones are left out where there is little room.

    `by` is the column of jobs that puts the list in its order; None where none does.
    """

    name: str
    title: str
    wide: bool = False
    by: str | None = None


COLUMNS = (
    Column("queue", "Queue", by="queue"),
    Column("progress", "Progress"),
    Column("attempt", "Attempt", by="attempt"),
    Column("owner", "Owner", wide=True, by="owner"),
    Column("since", "In this state"),
    Column("message", "Last message"),
    Column("link", "Link", wide=True),
    Column("priority", "Priority", by="priority"),
    Column("created", "Enqueued", by="created_at"),
    Column("started", "Started", by="started_at"),
    Column("finished", "Finished", by="finished_at"),
    Column("tags", "Tags"),
    Column("identifier", "Identifier", by="identifier"),
    Column("worker", "Worker"),
    Column("id", "Id"),
)
"""State and job stand before them, always."""
STATE, JOB = Column("state", "State", by="state"), Column("job", "Job", by="task")
SORTED = {column.name: column for column in (STATE, JOB, *COLUMNS) if column.by is not None}
USUAL = ("queue", "progress", "attempt", "owner", "since", "message", "link")


def chosen(given: str | None) -> tuple[Column, ...]:
    """The columns that an address names, in their order; what it names beside them is left out."""
    names = USUAL if given is None else tuple(given.split(","))
    return tuple(column for column in COLUMNS if column.name in names)


def spelled(columns: tuple[Column, ...]) -> str | None:
    """How an address names columns; None for the usual ones."""
    names = tuple(column.name for column in columns)
    return None if names == USUAL else ",".join(names)
