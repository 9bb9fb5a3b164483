"""What somebody who may see some jobs alone gets of a list."""

from __future__ import annotations

from dataclasses import replace

from backburner.condition import Condition, Exact, Field, Prefix, Value
from backburner.job import JobFilter
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


def _value(pattern: str) -> Value:
    return Prefix(pattern[:-1]) if pattern.endswith("*") else Exact(pattern)
