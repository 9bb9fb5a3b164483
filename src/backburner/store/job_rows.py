"""A job and its progress as they are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, Select, and_, select

from backburner.job import Job
from backburner.link import loaded
from backburner.progress import Progress
from backburner.states import JobState

if TYPE_CHECKING:
    from backburner.store.store import Store


def job_select(store: Store) -> Select[Any]:
    """Jobs with their present progress."""
    jobs, progress = store.schema.jobs, store.schema.progress
    current = and_(progress.c.job == jobs.c.id, progress.c.attempt == jobs.c.attempt)
    shown = [column.label(f"p_{column.name}") for column in progress.c if column.name != "checkpoint"]
    return select(jobs, *shown).select_from(jobs.outerjoin(progress, current))


_JOB_FIELDS = tuple(
    name
    for name in Job.__dataclass_fields__
    if name not in {"state", "tags", "group", "result_text", "progress", "uncommitted", "control"}
)


def job_of_row(row: Row[Any]) -> Job:
    """A row of `job_select` as a value."""
    return job_of(row._mapping)


def job_of(found: Mapping[Any, Any]) -> Job:
    """What `job_select` found as a value."""
    return Job(
        **{name: found[name] for name in _JOB_FIELDS},
        state=JobState(found["state"]),
        tags=tuple(json.loads(found["tags"])) if found["tags"] else (),
        group=found["group_name"],
        result_text=found["result"],
        progress=_progress(found) if found["p_job"] is not None else None,
    )


def _progress(found: Any) -> Progress:
    return Progress(
        done=found["p_done"],
        total=found["p_total"],
        unit=found["p_unit"],
        stage=found["p_stage"],
        message=found["p_message"],
        failed=found["p_failed"],
        links=loaded(found["p_links"]),
        began_at=found["p_began_at"],
        updated_at=found["p_updated_at"],
    )
