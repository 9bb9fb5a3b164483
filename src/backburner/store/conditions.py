"""Conditions of partial indexes, written into statements as the indexes say them: only then are they used.

MySQL has no partial indexes. There a stored column stands for each condition, and statements name that column.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, or_

GROUP = "group"
"""`blocked_on` of a job that waits for its turn in its group."""


def state_is(t: Any, state: str) -> ColumnElement[bool]:
    """In this state. `t` are the columns of jobs, here and below."""
    return t.state == bindparam(None, state, literal_execute=True)  # type: ignore[no-any-return]


def state_in(t: Any, *states: str) -> ColumnElement[bool]:
    """In one of these states."""
    return t.state.in_(bindparam(None, states, expanding=True, literal_execute=True))  # type: ignore[no-any-return]


def queued_alone(t: Any) -> ColumnElement[bool]:
    """Queued, and of no group."""
    return t.ready == 0 if "ready" in t else and_(state_is(t, "queued"), t.group_name.is_(None))


def queued_in_group(t: Any) -> ColumnElement[bool]:
    """Queued, and of a group."""
    return t.ready == 1 if "ready" in t else and_(state_is(t, "queued"), t.group_name.is_not(None))


def in_line(t: Any) -> ColumnElement[bool]:
    """In the line of its group: queued or parked."""
    if "in_line" in t:
        return t.in_line == 1  # type: ignore[no-any-return]
    parked = or_(t.state == "queued", t.blocked_on == GROUP)
    return and_(t.group_name.is_not(None), state_in(t, "queued", "blocked"), parked)


def queued_in_line(t: Any) -> ColumnElement[bool]:
    """Queued, and of a group, for those who ask by its name: said so that only the index by group can be meant."""
    return and_(in_line(t), t.blocked_on.is_(None))


def waits_for_time(t: Any) -> ColumnElement[bool]:
    """Scheduled or retrying: queued at `due_time`."""
    return t.due_at.is_not(None) if "due_at" in t else state_in(t, "scheduled", "retrying")


def due_time(t: Any) -> ColumnElement[Any]:
    """When a job that `waits_for_time` is queued."""
    return t.due_at if "due_at" in t else t.run_at  # type: ignore[no-any-return]


def expired(t: Any, now: datetime) -> ColumnElement[bool]:
    """Not finished, and too late to start."""
    if "expiring_at" in t:
        return t.expiring_at <= now  # type: ignore[no-any-return]
    return and_(t.expires_at <= now, t.expires_at.is_not(None), t.finished_at.is_(None))


def ended(t: Any, *states: str) -> ColumnElement[bool]:
    """Finished, in one of these states. They are written into the statement: a plan that PostgreSQL has made once for
    any state would walk over a million successes for a few failures.
    """
    column = t.ended_as if "ended_as" in t else t.state
    if len(states) == 1:
        # Asked for by =: then the index gives the order of what comes behind it.
        fitting = column == bindparam(None, states[0], literal_execute=True)
    else:
        fitting = column.in_(bindparam(None, states, expanding=True, literal_execute=True))
    return and_(fitting, t.finished_at.is_not(None))
