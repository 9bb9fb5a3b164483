"""What a plan is: the way one annotation turns Python values into JSON values and back.

Stored forms, the whole list:

- None, bool, int, float, str, list and dict with text keys are themselves;
- datetime, date, time, timedelta, Decimal, UUID, bytes and bytearray are strings;
- an Enum is its value (its name when values are neither all text nor all int), a tuple, set or NamedTuple an
  array, a dataclass, Struct, TypedDict or pydantic model an object by field name;
- a `Secret` is {"$secret": "..."}, encrypted;
- where the annotation does not say which of several types is meant, a value that is not one of the first row
  is an object with one key, the type's name after a `$`: {"$datetime": "2026-05-01T00:00:00+00:00"}. A real
  dict with one such key, or with keys that are not text, is {"$dict": [[key, value], ...]}.

Names after `$` are looked up among the types the annotation lists (or the builtin ones), never imported.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any

MAX_DEPTH = 64
"""Arrays and objects may be nested this deep in a stored value."""

KINDS: dict[type, str] = {
    type(None): "null",
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    list: "list",
    dict: "dict",
}
ANYTHING = frozenset(KINDS.values())


class Misfit(Exception):
    """A value does not fit a plan; internal, the callers turn it into their typed error.

    `unstorable` tells a value of the right type that has no stored form (NaN) from a wrong type; `keys` lead to
    the problem.
    """

    def __init__(self, problem: str, remedy: str = "", *, unstorable: bool = False) -> None:
        self.problem, self.remedy, self.unstorable, self.path = problem, remedy, unstorable, ""
        self.keys: tuple[str, ...] = ()
        super().__init__(problem)

    @property
    def depth(self) -> int:
        """How many levels further in the problem is."""
        return len(self.keys)

    def at(self, step: str, key: object) -> Misfit:
        """The same misfit, seen from one level further out: `step` for people, `key` in its array or object."""
        self.path = step + self.path
        self.keys = (str(key), *self.keys)
        return self

    def sentence(self) -> str:
        """The problem with the place inside the value, if it is not the value itself."""
        return f"at {self.path.lstrip('.')}: {self.problem}" if self.path else self.problem


class Unfitting(Misfit):
    """A stored call has other parameters than its task."""


class Plan(ABC):
    """How values of one annotation are stored.

    `name` is for people; `tag` names it in a union; `kinds` are the JSON kinds of its stored forms; `types`
    are the Python types it gives back; `native` means that the stored form is of the value's own type, `pure`
    that it is so all the way down; `as_is` are the types whose values need no packing at all. `secret` means that
    there is a `Secret` in it somewhere.
    """

    name: str = "Any"
    tag: str = "any"
    kinds: frozenset[str] = ANYTHING
    types: frozenset[type] = frozenset()
    native: bool = False
    pure: bool = False
    as_is: frozenset[type] = frozenset()
    usable: bool = True
    secret: bool = False

    @abstractmethod
    def pack(self, value: Any) -> Any:
        """The JSON value for `value`; raises `Misfit`."""

    @abstractmethod
    def unpack(self, stored: Any) -> Any:
        """The value for a JSON value; raises `Misfit`."""

    @abstractmethod
    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """The JSON schema of the stored form; named types are put into `defs`."""


def typename(value: object) -> str:
    """How an error message calls the type of a value."""
    return "None" if value is None else type(value).__qualname__


def wrong(plan: Plan, value: object) -> Misfit:
    """The misfit of a value of another type."""
    return Misfit(f"needs {plan.name}, got {typename(value)}", f"Pass {_article(plan.name)}")


def wrong_stored(plan: Plan, stored: object) -> Misfit:
    """The misfit of a stored value of another JSON kind; the value, maybe secret, is not repeated."""
    return Misfit(f"needs {plan.name}, found {KINDS.get(type(stored), typename(stored))}")


def tag_of(stored: Any) -> str | None:
    """The name after the `$` when `stored` is an object with one such key."""
    if type(stored) is dict and len(stored) == 1:
        (key,) = stored
        if key[:1] == "$":
            return str(key[1:])
    return None


def first_paragraph(cls: type) -> dict[str, str]:
    """The description of a class for its schema."""
    text = inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0]
    return {"description": text} if text and not text.startswith(f"{cls.__name__}(") else {}


def _article(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeio' else 'a'} {name}" if name.isidentifier() else f"a value of {name}"
