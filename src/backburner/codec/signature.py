"""Reading a function's annotations, and what may not be a task."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

from backburner.errors import InvalidTask

_REMEDY = "Use a module-level function; pass what the method needs as arguments"


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations by parameter name (and `return`), resolved one by one.

    An annotation that cannot be read at run time, such as a name imported under TYPE_CHECKING, stays the string
    it was written as.
    """
    inner = _innermost(function)
    hints: dict[str, Any] = {}
    for name, annotation in getattr(inner, "__annotations__", {}).items():
        holder = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            hints.update(typing.get_type_hints(holder, getattr(inner, "__globals__", {}), include_extras=True))
        except Exception:  # noqa: BLE001 (an annotation is code, and may raise anything)
            hints[name] = annotation if isinstance(annotation, str) else str(annotation)
    return hints


def refuse_methods(function: Callable[..., Any], name: str) -> None:
    """Raise `InvalidTask` for what has no stable name or carries an object along."""
    if inspect.ismethod(function):
        raise InvalidTask(name, "is a bound method, its object would not be stored", _REMEDY)
    inner = _innermost(function)
    if isinstance(inner, staticmethod | classmethod) or not inspect.isroutine(inner) or inspect.ismethod(inner):
        raise InvalidTask(name, f"{type(inner).__name__} is no function", _REMEDY)
    first = next(iter(inspect.signature(function).parameters), None)
    inside = getattr(inner, "__qualname__", "").rpartition(".")[0]
    if first in ("self", "cls") and inside and not inside.endswith("<locals>"):
        raise InvalidTask(name, "is a method, its object would not be stored", _REMEDY)


def _innermost(function: Any) -> Any:
    """The function whose annotations count: under functools.wraps and functools.partial."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif hasattr(function, "__wrapped__") and not hasattr(function, "__signature__"):
            function = function.__wrapped__
        else:
            return function
