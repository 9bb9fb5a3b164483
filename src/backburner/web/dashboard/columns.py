"""Columns of the list of jobs: which there are, and which somebody chose."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name in addresses, and its title. `wide` ones are left out where there is little room."""

    name: str
    title: str
    wide: bool = False


COLUMNS = (
    Column("queue", "Queue"),
    Column("progress", "Progress"),
    Column("attempt", "Attempt"),
    Column("owner", "Owner", wide=True),
    Column("since", "In this state"),
    Column("message", "Last message"),
    Column("link", "Link", wide=True),
    Column("priority", "Priority"),
    Column("created", "Enqueued"),
    Column("tags", "Tags"),
    Column("identifier", "Identifier"),
    Column("worker", "Worker"),
    Column("id", "Id"),
)
"""State and job stand before them, always."""
USUAL = ("queue", "progress", "attempt", "owner", "since", "message", "link")


def chosen(given: str | None) -> tuple[Column, ...]:
    """The columns that an address names, in their order; what it names beside them is left out."""
    names = USUAL if given is None else tuple(given.split(","))
    return tuple(column for column in COLUMNS if column.name in names)


def spelled(columns: tuple[Column, ...]) -> str | None:
    """How an address names columns; None for the usual ones."""
    names = tuple(column.name for column in columns)
    return None if names == USUAL else ",".join(names)
