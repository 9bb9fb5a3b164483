"""Which argument a call has too many, twice or not at all, in words; and what stands for values that are not shown."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from backburner.codec.sensitive import is_sensitive
from backburner.errors import InvalidArgument

_P = inspect.Parameter
_POSITIONAL = (_P.POSITIONAL_ONLY, _P.POSITIONAL_OR_KEYWORD)
_VARIADIC = (_P.VAR_POSITIONAL, _P.VAR_KEYWORD)


class Hidden:
    """Stands in for the value of a parameter that is secret."""

    def __init__(self, value: object) -> None:
        self._type = type(value).__name__

    def __repr__(self) -> str:
        return f"<{self._type}, not shown>"


class Missing:
    """Stands in for the value of an argument that was not given."""

    def __repr__(self) -> str:
        return "<not given>"


def explain(
    task: str, stored: Sequence[inspect.Parameter], args: tuple[Any, ...], kwargs: Mapping[str, Any],
    error: TypeError, *, hidden: bool,
) -> InvalidArgument:  # fmt: skip
    """Which argument `inspect` means by its TypeError; `hidden` when no value of the task is to be shown."""

    def shown(name: str, value: Any) -> Any:
        return Hidden(value) if hidden or is_sensitive(name) else value

    positional = [p.name for p in stored if p.kind in _POSITIONAL]
    by_keyword = {p.name for p in stored if p.kind in (_P.POSITIONAL_OR_KEYWORD, _P.KEYWORD_ONLY)}
    listed = f"The task takes {', '.join(map(str, stored)) or 'no arguments'}"
    for key in kwargs:
        if key not in by_keyword:
            close = difflib.get_close_matches(key, by_keyword, 1)
            hint = f"Did you mean {close[0]!r}?" if close else listed
            return InvalidArgument(task, key, shown(key, kwargs[key]), "is no parameter", hint)
    if len(args) > len(positional):
        place = f"positional argument {len(positional) + 1}"
        return InvalidArgument(task, place, shown("", args[len(positional)]), "is one too many", listed)
    for key in positional[: len(args)]:
        if key in kwargs:
            return InvalidArgument(task, key, shown(key, kwargs[key]), "is given twice", "Pass it once")
    for p in stored:
        given = p.name in kwargs or p.name in positional[: len(args)]
        if p.default is _P.empty and p.kind not in _VARIADIC and not given:
            return InvalidArgument(task, p.name, Missing(), "is required", f"Pass {p}")
    return InvalidArgument(task, "*", Missing(), str(error), listed)
