"""What a function says of itself when it is made a task: its name, its parameters, where it wants its context."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, get_args

from backburner.checked import MAX_NAME, checked_text
from backburner.codec import CODEC, Parameters, Pickles, hints_of
from backburner.codec.compile import plan_for
from backburner.context import JobContext
from backburner.errors import InvalidOption, InvalidTask
from backburner.options import TaskOptions
from backburner.relations import one_of
from backburner.retry import RetryPolicy
from backburner.settings import Settings


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


def listed(option: str, given: Iterable[str]) -> tuple[str, ...]:
    """Names, given as a list. Raises `InvalidOption`."""
    if isinstance(given, str):
        raise InvalidOption(option, given, "is one text", f"Write {option}=[{given!r}]")
    return tuple(checked_text(option, name, MAX_NAME) for name in given)


def pickles_of(name: str, options: TaskOptions, settings: Settings) -> tuple[str, Pickles | None]:
    """How new calls are stored, and what reads and writes pickled ones, if the task may have any.

    Raises `InvalidTask` without a secret, and `InvalidOption`.
    """
    codec = one_of("codec", options.get("codec", CODEC), Literal["json", "pickle"])
    if codec == CODEC and "pickle_types" not in options:
        return codec, None
    if settings.secret is None:
        raise InvalidTask(
            name, "pickled arguments are signed, and there is no secret", "Set secret (BACKBURNER_SECRET)"
        )
    return codec, Pickles(
        options.get("pickle_types", ()), settings.secret, settings.max_args_bytes, settings.secrets[1:]
    )  # fmt: skip


def policy_of(options: TaskOptions) -> RetryPolicy:
    """The task's policy of retries. Raises `InvalidOption`."""
    policy = options.get("retry", RetryPolicy())
    if not isinstance(policy, RetryPolicy):
        raise InvalidOption("retry", policy, "is no RetryPolicy", "For example retry=RetryPolicy.fixed(60)")
    return policy


def takes_secrets(function: Callable[..., Any]) -> bool:
    """Whether a parameter of a function, or what it returns, is annotated as having a `Secret` in it."""
    return any(not isinstance(hint, str) and plan_for(hint).secret for hint in hints_of(function).values())


def refuse_secrets(name: str, function: Callable[..., Any], parameters: Parameters, pickles: Pickles | None) -> None:
    """Raise `InvalidTask` for secrets in what is not encrypted: in pickles, and in what is returned."""
    # Asked of the function: parameters that are pickled may be of types that have no plan.
    if pickles is not None and takes_secrets(function):
        raise InvalidTask(
            name, "its pickled arguments are signed and not encrypted, and it has a Secret among them",
            "Leave codec and pickle_types out, or pass a reference to the secret",
        )  # fmt: skip
    if not isinstance(parameters.returns, str) and plan_for(parameters.returns).secret:
        raise InvalidTask(name, "it returns a Secret, and results are not encrypted", "Return what may be read")
