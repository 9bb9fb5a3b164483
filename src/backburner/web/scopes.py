"""Scopes: what a token, or a user of the app's own rule, may do at most. They only ever take away."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from backburner.errors import InvalidOption

READ, ACT, ENQUEUE = "read", "act", "enqueue"
_ONE_TASK = f"{ENQUEUE}:"
_CHARACTERS, _MOST = 210, 50


def checked_scopes(given: object) -> frozenset[str]:
    """Scopes as they may be: read, act, enqueue, enqueue:NAME. Raises `InvalidOption`."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InvalidOption("scopes", given, "are no list", "For example scopes=['read', 'enqueue:shop.export']")
    found = frozenset(given)
    for scope in found:
        if not isinstance(scope, str) or len(scope) > _CHARACTERS or not _known(scope):
            raise InvalidOption("scopes", scope, "is unknown", "Use read, act, enqueue, or enqueue:NAME of a task")
    if len(found) > _MOST:
        raise InvalidOption("scopes", f"{len(found)} scopes", "is too many", f"Use at most {_MOST}")
    return found


def covers(scopes: frozenset[str] | None, scope: str) -> bool:
    """Whether scopes open this one. None opens everything; `enqueue` is opened by that of any task too."""
    if scopes is None or scope in scopes:
        return True
    return scope == ENQUEUE and any(each.startswith(_ONE_TASK) for each in scopes)


def may_enqueue(scopes: frozenset[str] | None, task: str) -> bool:
    """Whether scopes open this task, by its name."""
    if scopes is None or ENQUEUE in scopes:
        return True
    return any(fnmatchcase(task, each.removeprefix(_ONE_TASK)) for each in scopes if each.startswith(_ONE_TASK))


def _known(scope: str) -> bool:
    return scope in (READ, ACT, ENQUEUE) or (scope.startswith(_ONE_TASK) and len(scope) > len(_ONE_TASK))
