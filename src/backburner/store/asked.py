"""What a filter asks of a job, as conditions on columns."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, false, func, not_, or_, select, true

from backburner.condition import Between, Condition, Exact, Field, Prefix, Value
from backburner.dismissal import DISMISSED
from backburner.job import JobFilter
from backburner.states import FINAL, JobState
from backburner.store.conditions import ended
from backburner.store.types import characters

if TYPE_CHECKING:
    from backburner.store.schema import Schema

COLUMNS = (
    "id",
    "state",
    "task",
    "queue",
    "identifier",
    "owner",
    "tags",
    "title",
    "priority",
    "created_at",
    "finished_at",
    "visibility",
)
"""The columns of jobs that conditions look at."""


def asked(schema: Schema, t: Any, which: JobFilter) -> list[ColumnElement[bool]]:
    """All that a filter says of the columns `t`, which have at least `COLUMNS`, and `meta` for what is dismissed."""
    found: list[ColumnElement[bool]] = []
    if which.states is not None:
        states = sorted(which.states)
        found.append(ended(t, *states) if which.states <= FINAL else t.state.in_(states))
    exact = ((t.task, which.task), (t.queue, which.queue), (t.identifier, which.identifier), (t.owner, which.owner))
    found += [column == value for column, value in exact if value is not None]
    if which.tag is not None:
        found.append(_tagged(t, which.tag))
    if which.visibilities is not None:
        found.append(t.visibility.in_(sorted(which.visibilities)))
    if which.undismissed:
        # A quick look for the mark, as `json.dumps` writes it; in the values of an app its quotes are escaped.
        found.append(or_(t.finished_at.is_(None), t.meta.is_(None), t.meta.not_like(f'%"{DISMISSED}": true%')))
    if which.created_after is not None:
        found.append(t.created_at >= which.created_after)
    if which.created_before is not None:
        found.append(t.created_at < which.created_before)
    if which.before is not None:
        found.append(t.id < which.before)
    return found + [_one(schema, t, which, condition) for condition in which.conditions]


def of_failures(schema: Schema, which: JobFilter, condition: Condition) -> ColumnElement[bool]:
    """What a condition on fingerprints says of the rows of failures."""
    f = schema.failures.c
    names = [value.text for value in condition.values if isinstance(value, Exact)]
    begun = [
        f.fingerprint.startswith(value.text, autoescape=True) for value in condition.values if isinstance(value, Prefix)
    ]
    wanted = or_(f.fingerprint.in_(names), *begun) if begun else f.fingerprint.in_(names)
    if len(names) == 1 and not begun:
        wanted = f.fingerprint == names[0]
    if which.states is None or (JobState.FAILED in which.states and len(which.states) > 1):
        return wanted
    # What failed for good has the state, and nothing else has: asked for like this, the index gives the order of ids.
    return and_(wanted, f.final == (true() if JobState.FAILED in which.states else false()))


def _one(schema: Schema, t: Any, which: JobFilter, condition: Condition) -> ColumnElement[bool]:
    if condition.field is Field.FINGERPRINT:
        of = schema.failures.c.job
        wanted: ColumnElement[bool] = t.id.in_(select(of).where(of_failures(schema, which, condition)))
    else:
        wanted = or_(false(), *(_fits(t, condition.field, value) for value in condition.values))
    if not condition.negated:
        return wanted
    # What has no value at all is among the others.
    return not_(func.coalesce(wanted, false()))


def _fits(t: Any, field: Field, value: Value) -> ColumnElement[bool]:
    if isinstance(value, Between):
        return _within(_RANGES[field](t), value)
    if field is Field.TEXT:
        return or_(*(_holds(column, value.text) for column in (t.title, t.identifier, t.task)))
    if field is Field.TAG:
        return _tagged(t, value.text) if isinstance(value, Exact) else _tag_begins(t, value.text)
    column = getattr(t, field.value)
    if isinstance(value, Exact):
        return column == value.text  # type: ignore[no-any-return]
    if not value.text:
        return column.is_not(None)  # type: ignore[no-any-return]
    # Not LIKE: on SQLite it takes "Red" for "red".
    return func.substr(column, 1, len(value.text)) == value.text


_RANGES: dict[Field, Any] = {
    Field.PRIORITY: lambda t: t.priority,
    Field.CREATED: lambda t: t.created_at,
    Field.FINISHED: lambda t: t.finished_at,
}


def _within(column: Any, value: Between) -> ColumnElement[bool]:
    low = column >= value.low if value.low is not None else true()
    if value.high is None:
        return and_(low, column.is_not(None))
    return and_(low, column < value.high if isinstance(value.high, datetime) else column <= value.high)


def _holds(column: Any, text: str) -> ColumnElement[bool]:
    # As typed, too: SQLite knows upper and lower case of ASCII alone.
    folded = func.lower(column).contains(text.lower(), autoescape=True)
    return folded if text.isascii() else or_(folded, column.contains(text, autoescape=True))


def _tagged(t: Any, tag: str) -> ColumnElement[bool]:
    # Tags are stored as a JSON list of strings. Not LIKE: on SQLite it takes "Red" for "red".
    return func.replace(t.tags, json.dumps(tag), "") != t.tags  # type: ignore[no-any-return]


def _tag_begins(t: Any, text: str) -> ColumnElement[bool]:
    if not text:
        return characters(t.tags) > 2
    return func.replace(t.tags, json.dumps(text)[:-1], "") != t.tags  # type: ignore[no-any-return]
