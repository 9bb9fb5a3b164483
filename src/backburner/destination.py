"""`Destinations`: where the people who wait for a job are taken when it is done."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from backburner.errors import InvalidOption
from backburner.states import JobState
from backburner.target import MAX_TARGET, checked_path

STORED_AS = "backburner.then"
"""The name in a job's `meta` under which its destinations stand."""


@dataclass(frozen=True, slots=True)
class Destinations:
    """Paths of the app's own site: `then` after success, `failed` after any other end; None where there is none."""

    then: str | None = None
    failed: str | None = None

    def of(self, state: JobState) -> str | None:
        """Where an end leads; None where it leads nowhere, and while there is none."""
        if not state.final:
            return None
        return self.then if state is JobState.SUCCEEDED else self.failed

    def __bool__(self) -> bool:
        """Whether there is any."""
        return self.then is not None or self.failed is not None


def checked_destinations(then: object, failed: object) -> Destinations:
    """Both in the form in which they are stored. Raises `InvalidOption`."""
    return Destinations(_checked("then", then), _checked("failed", failed))


def checked_destination(option: str, value: object) -> str:
    """A path of the app's own site, with a query and a fragment if there are any. Raises `InvalidOption`."""
    if not isinstance(value, str) or not value.startswith("/"):
        raise InvalidOption(option, value, "is no path of this site", "Begin with one slash; the host is never said")
    if len(value) > MAX_TARGET:
        raise InvalidOption(option, value, f"has {len(value):,} characters", f"Use at most {MAX_TARGET:,}")
    end = min((at for at in (value.find("?"), value.find("#")) if at >= 0), default=len(value))
    path, rest = value[:end], value[end:]
    try:
        encoded = checked_path(path)
    except InvalidOption as error:
        raise InvalidOption(option, value, error.problem, error.remedy) from error
    if not rest.isprintable() or any(c in rest for c in ' \\"<>`'):
        raise InvalidOption(option, value, "has a character that no query has", "Escape it: urllib.parse.urlencode")
    return encoded + quote(rest, safe="?#/%&=+,;:@!$'()*[]{}|^~-._")


def in_meta(meta: str | None, destinations: Destinations) -> str:
    """A job's `meta` with these destinations in it."""
    kept = _object(meta)
    kept[STORED_AS] = {"then": destinations.then, "failed": destinations.failed}
    return json.dumps(kept)


def of_meta(meta: str | None) -> Destinations:
    """What `in_meta` stored. What is no path of this site is left out, whoever wrote it."""
    found = _object(meta).get(STORED_AS)
    if not isinstance(found, dict):
        return Destinations()
    return Destinations(_believed(found.get("then")), _believed(found.get("failed")))


def _checked(option: str, value: object) -> str | None:
    return None if value is None else checked_destination(option, value)


def _believed(value: object) -> str | None:
    try:
        return _checked("then", value)
    except InvalidOption:
        return None


def _object(meta: str | None) -> dict[str, Any]:
    try:
        found = json.loads(meta or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
