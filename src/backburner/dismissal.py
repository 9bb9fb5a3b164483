"""The mark of a job that its owner has put away: their list shows it no more, and nothing else changes."""

from __future__ import annotations

import json

DISMISSED = "backburner.dismissed"
"""The name in a job's `meta` under which the mark stands."""


def dismissed(meta: str | None) -> str:
    """A job's `meta` with the mark."""
    return json.dumps(_object(meta) | {DISMISSED: True})


def undismissed(meta: str | None) -> str:
    """A job's `meta` without it."""
    return json.dumps({name: value for name, value in _object(meta).items() if name != DISMISSED})


def _object(meta: str | None) -> dict[str, object]:
    found = json.loads(meta or "{}")
    return found if isinstance(found, dict) else {}
