"""Conditions of partial indexes, written into statements as the indexes say them: only then are they used."""

from __future__ import annotations

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
    return and_(state_is(t, "queued"), t.group_name.is_(None))


def queued_in_group(t: Any) -> ColumnElement[bool]:
    """Queued, and of a group."""
    return and_(state_is(t, "queued"), t.group_name.is_not(None))


def in_line(t: Any) -> ColumnElement[bool]:
    """In the line of its group: queued or parked."""
    parked = or_(t.state == "queued", t.blocked_on == GROUP)
    return and_(t.group_name.is_not(None), state_in(t, "queued", "blocked"), parked)
