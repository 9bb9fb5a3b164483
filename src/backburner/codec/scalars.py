"""Plans of single values: JSON's own, those written as text, enums and literals."""

from __future__ import annotations

import enum
import math
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from backburner.codec.plan import KINDS, Misfit, Plan, typename, wrong, wrong_stored

_JSON_NAMES = {"null": "null", "bool": "boolean", "int": "integer", "float": "number", "str": "string"}


class Native(Plan):
    """None, bool, int and str: stored as they are. A subclass is stored as the type the annotation names."""

    native = pure = True

    def __init__(self, cls: type) -> None:
        self.cls, self.kind = cls, KINDS[cls]
        self.name = self.tag = "None" if cls is type(None) else cls.__name__
        self.kinds = frozenset({self.kind})
        self.types = self.as_is = frozenset({cls})

    def pack(self, value: Any) -> Any:
        if type(value) is self.cls:
            return value
        if isinstance(value, str) and self.cls is str:
            return str.__str__(value)
        if isinstance(value, int) and self.cls is int and not isinstance(value, bool):
            return int.__int__(value)
        raise wrong(self, value)

    def unpack(self, stored: Any) -> Any:
        if type(stored) is self.cls:
            return stored
        raise wrong_stored(self, stored)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        return {"type": _JSON_NAMES[self.kind]}


class Float(Plan):
    """A finite float; an int is taken for one, as Python's type checkers do."""

    name = tag = "float"
    kinds = frozenset({"float"})
    types = frozenset({float})
    native = pure = True

    def pack(self, value: Any) -> float:
        if not isinstance(value, (float, int)) or isinstance(value, bool):
            raise wrong(self, value)
        return finite(self._float(value))

    def unpack(self, stored: Any) -> float:
        if type(stored) is float or type(stored) is int:
            return finite(self._float(stored))
        raise wrong_stored(self, stored)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        return {"type": "number"}

    def _float(self, value: Any) -> float:
        try:
            return float(value)
        except OverflowError as error:
            raise Misfit("is too large for a float", "Annotate the parameter as int") from error


def finite(value: float) -> float:
    """The same float; JSON has no NaN and no infinity."""
    if math.isfinite(value):
        return value
    raise Misfit(f"{value} has no JSON form", "Pass a finite number, or None", unstorable=True)


class Text(Plan):
    """A builtin type that is stored as a string."""

    kinds = frozenset({"str"})

    def __init__(
        self, cls: type, write: Callable[[Any], str], read: Callable[[str], Any], form: str | None = None
    ) -> None:
        self.cls, self._write, self._read, self._form = cls, write, read, form
        self.name, self.tag = cls.__name__, cls.__name__.lower()
        self.types = frozenset({cls})

    def pack(self, value: Any) -> str:
        # A datetime is a date to isinstance, but as a date it would lose its time.
        if not isinstance(value, self.cls) or (self.cls is date and isinstance(value, datetime)):
            raise wrong(self, value)
        return self._write(value)

    def unpack(self, stored: Any) -> Any:
        if type(stored) is not str:
            raise wrong_stored(self, stored)
        try:
            return self._read(stored)
        except (ValueError, ArithmeticError, msgspec.ValidationError) as error:
            raise Misfit(f"is no {self.name} in its stored form") from error

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        shape = {"type": "string"}
        if self._form == "base64":
            shape["contentEncoding"] = "base64"
        elif self._form:
            shape["format"] = self._form
        return shape


def _write_datetime(value: datetime) -> str:
    if value.utcoffset() is None:
        raise Misfit(
            "has no time zone, so no process can know which moment is meant",
            "Pass an aware datetime, for example datetime.now(UTC)",
        )
    text = datetime.isoformat(value)
    if type(value) is not datetime and datetime.fromisoformat(text) != value:
        raise Misfit(f"{typename(value)} holds more than a datetime can", "Pass a datetime", unstorable=True)
    return f"{text[:-6]}Z" if text.endswith("+00:00") and text.count(":") == 3 else text


def _read_datetime(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise ValueError("no time zone")
    return value


def _write_timedelta(value: timedelta) -> str:
    exact = timedelta(value.days, value.seconds, value.microseconds)
    return str(msgspec.to_builtins(exact))


def _read_timedelta(text: str) -> timedelta:
    return msgspec.convert(text, timedelta)


TEXTS: dict[type, Text] = {
    plan.cls: plan
    for plan in (
        Text(datetime, _write_datetime, _read_datetime, "date-time"),
        Text(date, date.isoformat, date.fromisoformat, "date"),
        Text(time, time.isoformat, time.fromisoformat, "time"),
        Text(timedelta, _write_timedelta, _read_timedelta, "duration"),
        Text(Decimal, Decimal.__str__, Decimal, "decimal"),
        Text(UUID, UUID.__str__, UUID, "uuid"),
        Text(
            bytes,
            lambda value: b64encode(value).decode(),
            lambda text: b64decode(text, validate=True),
            "base64",
        ),
        Text(
            bytearray,
            lambda value: b64encode(value).decode(),
            lambda text: bytearray(b64decode(text, validate=True)),
            "base64",
        ),
    )
}
"""The builtin types that are stored as strings; constant."""


class Enumeration(Plan):
    """An Enum, by value when all values are text or all are int, else by name."""

    def __init__(self, cls: type[enum.Enum]) -> None:
        self.cls, self.name, self.tag = cls, cls.__name__, cls.__name__
        self.types = frozenset({cls})
        values = {type(member.value) for member in cls}
        self._by_value = values in ({str}, {int}) or issubclass(cls, enum.Flag)
        self.kinds = frozenset({"int"} if self._by_value and values != {str} else {"str"})

    def pack(self, value: Any) -> Any:
        if not isinstance(value, self.cls):
            raise wrong(self, value)
        if not self._by_value and value.name not in self.cls.__members__:
            raise Misfit("is no named member", "Pass a member of the Enum", unstorable=True)
        return value.value if self._by_value else value.name

    def unpack(self, stored: Any) -> Any:
        if KINDS.get(type(stored)) not in self.kinds:
            raise wrong_stored(self, stored)
        try:
            return self.cls(stored) if self._by_value else self.cls[stored]
        except (ValueError, KeyError) as error:
            raise Misfit(f"is no member of {self.name}") from error

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        if issubclass(self.cls, enum.Flag):
            return {"type": "integer"}
        return {"enum": [member.value if self._by_value else member.name for member in self.cls]}


class Choice(Plan):
    """A Literal: one of the listed values, of exactly that type."""

    tag = "literal"

    def __init__(self, choices: list[tuple[Any, Any]]) -> None:
        """`choices` are pairs of value and stored form."""
        self._choices = choices
        self.name = f"Literal[{', '.join(repr(value) for value, _ in choices)}]"
        self.kinds = frozenset(KINDS[type(stored)] for _, stored in choices)
        self.types = frozenset(type(value) for value, _ in choices)
        self.native = self.pure = all(value is stored for value, stored in choices)

    def pack(self, value: Any) -> Any:
        for known, stored in self._choices:
            if type(known) is type(value) and known == value:
                return stored
        raise Misfit(f"is not one of {self.name}", "Pass one of the listed values")

    def unpack(self, stored: Any) -> Any:
        for value, known in self._choices:
            if type(known) is type(stored) and known == stored:
                return value
        raise Misfit(f"is not one of {self.name}")

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        return {"enum": [stored for _, stored in self._choices]}
