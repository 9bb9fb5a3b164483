"""`Value`: an argument, a result or a note of a job, as it may be shown."""

from __future__ import annotations

import json
from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from backburner.codec import CODEC, ENCRYPTED, HIDDEN, is_closed, is_sensitive, without_secrets
from backburner.job import Job

PICKLED = "pickled, for its task alone"
_SHORT = 120


@dataclass(frozen=True, slots=True)
class Value:
    """One value. `hidden` says why it is not in the page; `whole` is the rest of a long one."""

    name: str
    text: str = ""
    whole: str = ""
    hidden: str = ""


def arguments_of(job: Job, secrets: Set[str] = frozenset(), *, shown: bool) -> list[Value]:
    """What a job was called with, by parameter; names alone for those who may not see it.

    `secrets` are parameters that the task says are secret: a value from before it said so is in the clear.
    """
    if job.codec != CODEC:
        return [Value("all", hidden=PICKLED)]
    try:
        found = json.loads(job.args)
    except ValueError:
        return [Value("all", hidden="damaged, no JSON")]
    if not isinstance(found, dict):
        return [Value("all", hidden="damaged, no arguments by name")]
    return [
        _value(name, value, shown=shown and (name not in secrets or is_closed(value))) for name, value in found.items()
    ]


def result_of(job: Job, *, shown: bool) -> Value | None:
    """What its task returned; None when that is nothing."""
    if job.result_text is None or job.result_text == "null":
        return None
    if not shown:
        return Value("result", hidden=HIDDEN)
    try:
        return _value("result", json.loads(job.result_text), shown=True)
    except ValueError:
        return Value("result", hidden="damaged, no JSON")


def notes_of(job: Job, *, shown: bool) -> list[Value]:
    """What the app has written beside it, and the values captured when it was enqueued."""
    try:
        found = json.loads(job.meta) if job.meta else {}
    except ValueError:
        return []
    if not isinstance(found, dict):
        return []
    return [_value(name, value, shown=shown) for name, value in found.items() if not name.startswith("backburner.")]


def _value(name: str, value: Any, *, shown: bool) -> Value:
    if is_closed(value):
        return Value(name, hidden=ENCRYPTED)
    if is_sensitive(name) or not shown:
        return Value(name, hidden=HIDDEN)
    text = json.dumps(without_secrets(value), ensure_ascii=False)
    if len(text) <= _SHORT:
        return Value(name, text)
    return Value(name, text[:_SHORT] + "…", json.dumps(without_secrets(value), ensure_ascii=False, indent=2))
