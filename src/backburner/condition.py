"""`Condition`: one thing that is asked of a job, as a filter says it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, TypeAlias


class Field(StrEnum):
    """What may be asked of; the words of the filter language."""

    STATE = "state"
    TASK = "task"
    QUEUE = "queue"
    TAG = "tag"
    IDENTIFIER = "identifier"
    OWNER = "owner"
    ERROR = "error"
    FINGERPRINT = "fingerprint"
    ID = "id"
    PRIORITY = "priority"
    CREATED = "created"
    FINISHED = "finished"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Exact:
    """This text and no other; of `TEXT`: somewhere in title, identifier or task, in upper or lower case."""

    text: str


@dataclass(frozen=True, slots=True)
class Prefix:
    """What begins with this text; when that is empty, whatever there is."""

    text: str


@dataclass(frozen=True, slots=True)
class Between:
    """A number or time in a range. `low` belongs to it, a time `high` does not; None is no bound."""

    low: int | datetime | None = None
    high: int | datetime | None = None


Value: TypeAlias = Exact | Prefix | Between


@dataclass(frozen=True, slots=True)
class Condition:
    """`field` has one of these `values`; with `negated`, none of them."""

    field: Field
    values: tuple[Value, ...]
    negated: bool = False


class Order(NamedTuple):
    """By a column of jobs: lowest or earliest first, or the other way round."""

    column: str
    descending: bool = False
