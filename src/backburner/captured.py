"""`Captured`: values of the moment a job was enqueued in, such as user or tenant, brought back around its run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeAlias

from backburner.checked import checked_text
from backburner.errors import DecodeError, InvalidOption, NotSerializable, TooLarge

MAX_CONTEXT_BYTES = 16_384
_MAX_NAME = 100

Restore: TypeAlias = Callable[[Any], AbstractContextManager[Any] | None]
"""Gets the stored value before the body; what it returns is entered, and left after the body."""


@dataclass(frozen=True, slots=True)
class _Value:
    get: Callable[[], Any]
    restore: Restore | None


class Captured:
    """The values that an app has listed; nothing is captured that is not."""

    def __init__(self) -> None:
        self._values: dict[str, _Value] = {}

    def add(self, name: str, source: Callable[[], Any] | ContextVar[Any], restore: Restore | None) -> None:
        """List a value. A `ContextVar` is read and set by itself. Raises `InvalidOption`."""
        checked_text("name", name, _MAX_NAME)
        if name in self._values:
            raise InvalidOption("name", name, "is captured already", "Use another name")
        if isinstance(source, ContextVar):
            value = _Value(_reader(source), restore or _setter(source))
        elif callable(source):
            value = _Value(source, restore)
        else:
            raise InvalidOption("source", source, "is no way to get a value", "Pass a function or a ContextVar")
        if restore is not None and not callable(restore):
            raise InvalidOption("restore", restore, "cannot be called", "Pass a function that takes the value")
        self._values[name] = value

    def now(self) -> str | None:
        """What the listed values are now, as JSON text; None where all of them are None.

        Raises `NotSerializable` and `TooLarge`, and what the app's functions raise.
        """
        if not self._values:
            return None
        found = {name: value for name, one in self._values.items() if (value := one.get()) is not None}
        if not found:
            return None
        try:
            text = json.dumps(found, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise NotSerializable(
                "the captured context", found, f"it is no JSON: {error}", "Capture text, numbers, lists and dicts"
            ) from error
        if len(text) > MAX_CONTEXT_BYTES:
            raise TooLarge("the captured context", len(text), MAX_CONTEXT_BYTES, "Capture ids, and load the rest")
        return text

    @contextmanager
    def restored(self, found: Mapping[str, Any]) -> Iterator[None]:
        """Bring back the values of a job; those that are not listed here any more are left out."""
        with ExitStack() as stack:
            for name, one in self._values.items():
                if name in found and one.restore is not None:
                    entered = one.restore(found[name])
                    if entered is not None:
                        stack.enter_context(entered)
            yield


def read(text: str | None) -> dict[str, Any]:
    """The values in a job's `context`. Raises `DecodeError`."""
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DecodeError("context", str(error)) from error
    if not isinstance(found, dict):
        raise DecodeError("context", "it is no object of values by name")
    return found


def _reader(variable: ContextVar[Any]) -> Callable[[], Any]:
    return lambda: variable.get(None)


def _setter(variable: ContextVar[Any]) -> Restore:
    @contextmanager
    def restore(value: Any) -> Iterator[None]:
        token = variable.set(value)
        try:
            yield
        finally:
            variable.reset(token)

    return restore
