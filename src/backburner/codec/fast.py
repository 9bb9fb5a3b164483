"""The quick way for signatures of plain values: one msgspec Struct binds, writes and reads them.

It only takes what it is sure of. Whatever else comes (a wrong type, a name it does not know, a default of an
odd kind) it leaves to the plans, which know how to complain. Both ways write the same text.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import msgspec

from backburner.codec.containers import Anything
from backburner.codec.plan import Plan
from backburner.codec.scalars import Float, Native, Text
from backburner.codec.union import Union

_ENCODER = msgspec.json.Encoder()
_AWARE = Annotated[datetime, msgspec.Meta(tz=True)]
_WIRE: dict[type, Any] = {UUID: UUID, date: date, Decimal: Decimal, bytes: bytes, datetime: _AWARE}
_SIMPLE = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
# msgspec would write NaN as null, and an offset of seconds short.
_CHECKS: dict[type, Callable[[Any], bool]] = {
    float: lambda value: type(value) is not float or math.isfinite(value),
    datetime: lambda value: type(value) is not datetime or value.tzinfo is UTC,
}


class FastForm:
    """Binds, writes and reads calls whose parameters are plain values."""

    def __init__(self, parameters: list[inspect.Parameter], forms: list[tuple[Any, frozenset[type]]]) -> None:
        fields: list[Any] = []
        for parameter, (wire, _) in zip(parameters, forms, strict=True):
            if parameter.default is inspect.Parameter.empty:
                fields.append((parameter.name, wire))
            else:
                fields.append((parameter.name, wire | msgspec.UnsetType, msgspec.UNSET))
        self._struct = msgspec.defstruct("Arguments", fields, forbid_unknown_fields=True)
        self._decoder = msgspec.json.Decoder(self._struct)
        self._optional = any(len(field) == 3 for field in fields)
        unset = frozenset({msgspec.UnsetType} if self._optional else ())
        self._types = [types | unset for _, types in forms]
        self._checks = [(i, _CHECKS[t]) for i, (_, types) in enumerate(forms) for t in types if t in _CHECKS]
        self._positional = sum(p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for p in parameters)
        self._any = [p.name for p, (wire, _) in zip(parameters, forms, strict=True) if wire is Any]

    def write(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes | None:
        """The stored text of a call, or None when the plans have to look at it."""
        if len(args) > self._positional:
            return None
        try:
            record = self._struct(*args, **kwargs)
            values = msgspec.structs.astuple(record)
            for value, types in zip(values, self._types, strict=True):
                if type(value) not in types:
                    return None
            for index, good in self._checks:
                if not good(values[index]):
                    return None
            return _ENCODER.encode(record)
        except (TypeError, ValueError):
            return None

    def read(self, text: str) -> dict[str, Any] | None:
        """The arguments by name, or None when the plans have to look at the text."""
        try:
            values: dict[str, Any] = msgspec.structs.asdict(self._decoder.decode(text))
        except (ValueError, RecursionError):
            return None
        for name in self._any:
            if type(values[name]) in (list, dict):
                return None
        if self._optional:
            return {name: value for name, value in values.items() if value is not msgspec.UNSET}
        return values


def fast_form(parameters: list[inspect.Parameter], plans: Mapping[str, Plan]) -> FastForm | None:
    """The quick way for these parameters, or None when they need the plans."""
    forms = [_wire(plans[parameter.name]) for parameter in parameters]
    if not forms or None in forms or any(parameter.kind not in _SIMPLE for parameter in parameters):
        return None
    try:
        return FastForm(parameters, [form for form in forms if form is not None])
    except (TypeError, ValueError):
        # For instance a required parameter after one with a default, which keyword-only parameters may have.
        return None


def _wire(plan: Plan) -> tuple[Any, frozenset[type]] | None:
    """The type msgspec reads and the exact types it may write, for plans of plain values."""
    if isinstance(plan, Anything):
        return Any, frozenset({type(None), bool, int, str})
    if isinstance(plan, Native):
        return (None if plan.cls is type(None) else plan.cls), plan.types
    if isinstance(plan, Float):
        return float, plan.types
    if isinstance(plan, Text) and plan.cls in _WIRE:
        return _WIRE[plan.cls], plan.types
    if isinstance(plan, Union) and len(plan.members) == 2:
        forms = [_wire(member) for member in plan.members if member.name != "None"]
        if len(forms) == 1 and forms[0] is not None and forms[0][0] is not Any:
            return forms[0][0] | None, forms[0][1] | {type(None)}
    return None
