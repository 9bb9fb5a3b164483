"""`Selection`: which jobs are meant, as people say it in keywords, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, TypedDict

from backburner.checked import checked_moment, storable_text
from backburner.errors import InvalidOption
from backburner.ids import is_id
from backburner.job import Job, JobFilter
from backburner.options import refuse_unknown
from backburner.states import FINAL, JobState
from backburner.where import Where


class Selection(TypedDict, total=False):
    """Keywords that choose jobs; what is not given does not matter.

    `state` is one state or several; `done` says final or not. `before` is a job or its id: only older ones.
    `where` is a filter as people type it: "state:failed task:orders.* created:<24h".
    """

    state: JobState | str | Iterable[JobState | str]
    task: str
    queue: str
    tag: str
    identifier: str
    owner: str
    done: bool
    created_after: datetime
    created_before: datetime
    before: str | Job
    where: str


def filter_of(chosen: Selection, now: Callable[[], datetime]) -> JobFilter:
    """The checked filter; ages in `where` count back from `now()`.

    Raises `InvalidOption`, naming keyword, value and remedy, and `FilterError`.
    """
    refuse_unknown(chosen, Selection.__annotations__, "a selection of jobs")
    states = _states(chosen["state"]) if "state" in chosen else None
    done = chosen.get("done")
    if done is not None:
        wanted = FINAL if done else frozenset(JobState) - FINAL
        states = wanted if states is None else states & wanted
    before = chosen.get("before")
    found = JobFilter(
        states=states,
        task=_text("task", chosen.get("task")),
        queue=_text("queue", chosen.get("queue")),
        tag=_text("tag", chosen.get("tag")),
        identifier=_text("identifier", chosen.get("identifier")),
        owner=_text("owner", chosen.get("owner")),
        created_after=_moment("created_after", chosen.get("created_after")),
        created_before=_moment("created_before", chosen.get("created_before")),
        before=before.id if isinstance(before, Job) else _id("before", before),
    )
    where = _text("where", chosen.get("where"))
    return found if where is None else _both(found, Where.of(where).filter(now()), where)


_UNSAID = (None, (), False)


def _both(one: JobFilter, other: JobFilter, where: str) -> JobFilter:
    """What both ask for. Raises `InvalidOption` when they say the same thing twice."""
    if one.states is not None and other.states is not None:
        one = replace(one, states=one.states & other.states)
    for name in (field.name for field in fields(other)):
        said = getattr(other, name)
        if said in _UNSAID or (name == "states" and one.states is not None):
            continue
        if getattr(one, name) not in _UNSAID:
            raise InvalidOption("where", where, f"says {name} once more", f"Say it there, or by {name}=")
        one = replace(one, **{name: said})
    return one


def one_of(job: Job | str, chosen: Mapping[str, Any]) -> str:
    """The id of the one job that is meant. Raises `InvalidOption` when it is none, or something else is said too."""
    if chosen:
        raise InvalidOption("job", job, f"is given beside {', '.join(chosen)}", "Say either which job, or which jobs")
    if not isinstance(job, Job | str):
        raise InvalidOption("job", job, "is neither a job nor an id", "Pass a Job or its id")
    return job.id if isinstance(job, Job) else job


def checked_limit(limit: int, most: int = 1000) -> int:
    """How many to list. Raises `InvalidOption` outside 1 to `most`."""
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= most:
        raise InvalidOption("limit", limit, "is out of range", f"Use 1 to {most}, and `before` for the next page")
    return limit


def _states(given: object) -> frozenset[JobState]:
    names = [given] if isinstance(given, str) else list(given) if isinstance(given, Iterable) else [given]
    found = set()
    for name in names:
        try:
            found.add(JobState(name))  # type: ignore[arg-type]
        except ValueError as error:
            known = ", ".join(JobState)
            raise InvalidOption("state", name, "is no state of a job", f"Use {known}") from error
    return frozenset(found)


def _text(option: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidOption(option, value, "is no text", "Pass a str")
    return storable_text(option, value)


def _id(option: str, value: object) -> str | None:
    if value is not None and not (isinstance(value, str) and is_id(value)):
        raise InvalidOption(option, value, "is no id of a job", "Pass a Job, or its id")
    return value


def _moment(option: str, value: datetime | None) -> datetime | None:
    return None if value is None else checked_moment(option, value)
