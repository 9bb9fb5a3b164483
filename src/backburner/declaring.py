"""What a function says of itself when it is made a task: its name, its parameters, where it wants its context."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from backburner.checked import MAX_NAME
from backburner.codec import hints_of
from backburner.context import JobContext
from backburner.errors import InvalidTask


def default_name(function: Callable[..., Any]) -> str:
    """module.function; what runs as a script is named as a worker that imports it would see it."""
    inner: Any = function.func if isinstance(function, functools.partial) else function
    qualified = str(getattr(inner, "__qualname__", "")).replace("<locals>.", "")
    if not qualified or "<lambda>" in qualified:
        raise InvalidTask(str(function), "has no name of its own", "Give it one: @jobs.task(name=...)")
    module = str(getattr(inner, "__module__", None) or "__main__")
    if module == "__main__":
        main = sys.modules["__main__"]
        spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
        module = spec.name if spec is not None else Path(file).stem if file else module
    name = f"{module}.{qualified}"
    if len(name) > MAX_NAME:
        raise InvalidTask(name, f"its name has {len(name)} characters", f"Use at most {MAX_NAME}: @jobs.task(name=...)")
    return name


def plain_names(
    function: Callable[..., Any], context_parameter: str | None
) -> tuple[tuple[str, ...] | None, dict[str, Any]]:
    """The names positional arguments fill, and the defaults; no names when the signature has more to it."""
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != context_parameter]
    if any(p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) for p in parameters):
        return None, {}
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    return tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD), defaults


def context_parameter_of(function: Callable[..., Any]) -> str | None:
    """The parameter annotated `JobContext` or `JobContext | None`."""
    found = [
        name
        for name, hint in hints_of(function).items()
        if name != "return" and (hint is JobContext or JobContext in get_args(hint))
    ]
    if len(found) > 1:
        raise InvalidTask(str(function), f"{found} are all annotated JobContext", "One is enough")
    return found[0] if found else None
