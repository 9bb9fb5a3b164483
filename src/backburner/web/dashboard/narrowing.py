"""What somebody who may see some jobs alone gets of a list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from backburner.condition import Condition, Exact, Field, Prefix, Value
from backburner.job import JobFilter
from backburner.task import Task
from backburner.web.access import Visitor
from backburner.web.rights import TENANT_TAG, Permission


def seen_by(visitor: Visitor, which: JobFilter) -> JobFilter:
    """Those of these jobs that the visitor may see."""
    confines = visitor.rights.confines(Permission.JOBS_VIEW)
    if confines is None:
        return which
    queues = tuple(_value(one.queue) for one in confines if one.queue is not None)
    tasks = tuple(_value(one.task) for one in confines if one.task is not None)
    tenants = tuple(Exact(f"{TENANT_TAG}{one.tenant}") for one in confines if one.tenant is not None)
    asked = ((Field.QUEUE, queues), (Field.TASK, tasks), (Field.TAG, tenants))
    more = tuple(Condition(field, values) for field, values in asked if values)
    if not more:
        return replace(which, states=frozenset())
    return replace(which, conditions=(*which.conditions, *more))


def sees_all_of(visitor: Visitor, queue: str) -> bool:
    """Whether the visitor sees every job of this queue."""
    return visitor.rights.of_names(Permission.JOBS_VIEW, queue)


def knows_queue(visitor: Visitor, queue: str, tasks: Iterable[Task[..., Any]]) -> bool:
    """Whether the visitor may know that there is this queue, though there be no job in it: it is named, or a task's."""
    confines = visitor.rights.confines(Permission.JOBS_VIEW)
    if confines is None or any(one.queue is not None and one.covers_queue(queue) for one in confines):
        return True
    return any(one.enqueue_options.queue == queue and knows_task(visitor, one) for one in tasks)


def knows_task(visitor: Visitor, task: Task[..., Any]) -> bool:
    """Whether the visitor sees the jobs that this task has by itself, or may start some."""
    queue, rights = task.enqueue_options.queue, visitor.rights
    return any(rights.of_names(one, queue, task.name) for one in (Permission.JOBS_VIEW, Permission.JOBS_RUN))


def _value(pattern: str) -> Value:
    return Prefix(pattern[:-1]) if pattern.endswith("*") else Exact(pattern)
