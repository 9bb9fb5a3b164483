"""From an annotation to its plan. Every form of annotation that can be stored is listed here."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import types
import typing
from collections import abc
from functools import lru_cache
from typing import Any

import msgspec

from backburner.codec.concealed import SecretPlan
from backburner.codec.containers import Anything, Array, Refused, Row, Table
from backburner.codec.plan import Misfit, Plan
from backburner.codec.records import (
    Constrained,
    Field,
    Pydantic,
    Record,
    TypedMapping,
    fields_of_dataclass,
    fields_of_struct,
)
from backburner.codec.scalars import TEXTS, Choice, Enumeration, Float, Native
from backburner.codec.union import Union
from backburner.secret import Secret

_ARRAYS: dict[Any, type] = {list: list, set: set, frozenset: frozenset}
# An abstract annotation takes what a caller may well pass for it, and gives back what was passed.
_ABSTRACT: dict[Any, tuple[type, ...]] = {
    abc.Sequence: (list, tuple),
    abc.MutableSequence: (list,),
    abc.Collection: (list, tuple, set, frozenset),
    abc.Iterable: (list, tuple, set, frozenset),
    abc.Set: (frozenset, set),
    abc.MutableSet: (set,),
}
_DICTS: tuple[Any, ...] = (dict, abc.Mapping, abc.MutableMapping)


def plan_for(annotation: Any) -> Plan:
    """The plan of an annotation; a type that cannot be stored has a plan that refuses its values."""
    try:
        return _cached(annotation)
    except TypeError:
        # Not hashable, such as a Literal of something odd.
        return _compiled(annotation)


@lru_cache(maxsize=1024)
def _cached(annotation: Any) -> Plan:
    return _compiled(annotation)


def _compiled(annotation: Any) -> Plan:
    compiler = _Compiler()
    plan = compiler.plan(annotation)
    if compiler.met_secret:
        # Not one of the plans that all annotations share: those have nothing in them.
        plan.secret = True
    return plan


class _Compiler:
    """Builds the plans of one annotation; remembers classes, so that a class may contain itself."""

    def __init__(self) -> None:
        self._known: dict[type, Plan] = {}
        self.met_secret = False

    def plan(self, annotation: Any) -> Plan:
        if annotation is Any or annotation is object:
            return Anything()
        if annotation is None:
            return Native(type(None))
        supertype = getattr(annotation, "__supertype__", None)
        if supertype is not None:
            return self.plan(supertype)
        if isinstance(annotation, typing.TypeVar):
            return self.plan(annotation.__bound__ or Any)
        if type(annotation).__name__ == "TypeAliasType":
            return self._alias(annotation)
        origin = typing.get_origin(annotation)
        if origin is not None:
            return self._generic(annotation, origin, typing.get_args(annotation))
        if isinstance(annotation, type):
            return self._class(annotation)
        return Refused(str(annotation), f"the annotation {annotation} names no type that can be stored")

    def _alias(self, alias: Any) -> Plan:
        if alias not in self._known:
            lazy = self._known[alias] = _Later(str(alias))
            lazy.fill(self.plan(alias.__value__))
            self._known[alias] = lazy.inner
        return self._known[alias]

    def _generic(self, annotation: Any, origin: Any, args: tuple[Any, ...]) -> Plan:
        if origin is typing.Annotated:
            inner = self.plan(args[0])
            limited = any(isinstance(extra, msgspec.Meta) for extra in args[1:])
            if limited and isinstance(inner, SecretPlan):
                return Refused(inner.name, f"the limits of {inner.name} belong inside: Secret[Annotated[...]]")
            return self._constrained(inner, annotation) if limited and inner.usable else inner
        # tuple[()] has no items either, but says so.
        if annotation is typing.Tuple or (not args and isinstance(origin, type) and origin is not tuple):  # noqa: UP006
            # An old spelling without items, such as typing.List.
            return self._class(origin)
        if origin in (typing.Required, typing.NotRequired, typing.Final):
            return self.plan(args[0])
        if origin in (typing.Union, types.UnionType):
            return self._union(args)
        if origin is typing.Literal:
            return self._literal(args)
        if origin is tuple:
            return self._tuple(args)
        if origin is Secret:
            return self._secret(args[0])
        if origin in _ARRAYS:
            return Array(_ARRAYS[origin], self.plan(args[0]))
        if origin in _ABSTRACT:
            return self._abstract(origin, self.plan(args[0]))
        if origin in _DICTS:
            return Table(self.plan(args[0]), self.plan(args[1]))
        if isinstance(origin, type):
            return self._class(origin)
        return Refused(str(annotation), f"the annotation {annotation} names no type that can be stored")

    def _constrained(self, inner: Plan, annotation: Any) -> Plan:
        try:
            msgspec.convert(None, annotation)
        except msgspec.ValidationError:
            pass
        except Exception as error:  # noqa: BLE001 (whatever msgspec has against the annotation)
            return Refused(inner.name, f"the limits of {inner.name} cannot be checked: {error}")
        return Constrained(inner, annotation)

    def _union(self, args: tuple[Any, ...]) -> Plan:
        members = [self.plan(arg) for arg in args if arg is not msgspec.UnsetType]
        anything = [member for member in members if isinstance(member, Anything)]
        if any(isinstance(member, SecretPlan) for member in members) and len(members) > 1 + (type(None) in args):
            # What is passed plainly would be taken for the other one, and stored in the clear.
            return Refused(
                " | ".join(member.name for member in members), "nothing tells when it is secret: Secret[... | ...]"
            )
        if anything:
            return anything[0]
        return members[0] if len(members) == 1 else Union(members)

    def _secret(self, annotation: Any) -> Plan:
        self.met_secret = False
        inner = self.plan(annotation)
        within, self.met_secret = self.met_secret, True
        if within:
            return Refused(f"Secret[{inner.name}]", f"{inner.name} has a Secret of its own: one of the two is too many")
        if not inner.usable:
            return inner
        return SecretPlan(inner)

    def _literal(self, args: tuple[Any, ...]) -> Plan:
        choices = []
        for value in args:
            plan = self.plan(type(value))
            try:
                choices.append((value, plan.pack(value)))
            except Misfit as misfit:
                return Refused(f"Literal[{value!r}]", misfit.problem)
        return Choice(choices)

    def _tuple(self, args: tuple[Any, ...]) -> Plan:
        if len(args) == 2 and args[1] is Ellipsis:
            return Array(tuple, self.plan(args[0]))
        return Row(tuple, tuple(self.plan(arg) for arg in args))

    def _abstract(self, origin: Any, item: Plan) -> Plan:
        arrays: list[Plan] = [Array(cls, item) for cls in _ABSTRACT[origin]]
        return arrays[0] if len(arrays) == 1 else Union(arrays)

    def _class(self, cls: Any) -> Plan:
        if cls in self._known:
            return self._known[cls]
        if cls in (bool, int, str, type(None)):
            return Native(cls)
        if cls is float:
            return Float()
        if cls in TEXTS:
            return TEXTS[cls]
        if cls is Secret:
            return self._secret(Any)
        if cls is tuple or cls in _ARRAYS:
            return Array(cls, Anything(), name=cls.__name__)
        if cls in _ABSTRACT:
            return self._abstract(cls, Anything())
        if cls in _DICTS:
            return Table(Anything(), Anything())
        if issubclass(cls, enum.Enum):
            return Enumeration(cls)
        if hasattr(cls, "model_validate") and hasattr(cls, "model_dump_json"):
            return Pydantic(cls)
        return self._record(cls)

    def _record(self, cls: Any) -> Plan:
        try:
            return self._fields_of(cls)
        except Exception as error:  # noqa: BLE001 (an annotation is code, and may raise anything)
            return Refused(cls.__name__, f"{cls.__name__} has an annotation that cannot be read at run time ({error})")

    def _fields_of(self, cls: Any) -> Plan:
        if issubclass(cls, tuple) and hasattr(cls, "_fields"):
            return self._named_tuple(cls)
        if typing.is_typeddict(cls):
            return self._typed_dict(cls)
        if issubclass(cls, msgspec.Struct):
            return self._struct(cls)
        if dataclasses.is_dataclass(cls):
            return self._dataclass(cls)
        return Refused(cls.__name__, f"{cls.__name__} is no type that can be stored")

    def _named_tuple(self, cls: Any) -> Plan:
        row = self._known[cls] = Row(cls, (), required=len(cls._fields) - len(cls._field_defaults))
        hints = _hints(cls)
        row.fill(tuple(self.plan(hints.get(name, Any)) for name in cls._fields))
        return row

    def _typed_dict(self, cls: Any) -> Plan:
        plan = self._known[cls] = TypedMapping(cls)
        fields = {}
        for name, hint in _hints(cls).items():
            origin = typing.get_origin(hint)
            # Under postponed annotations __required_keys__ does not see NotRequired.
            required = origin is typing.Required or (origin is not typing.NotRequired and name in cls.__required_keys__)
            fields[name] = Field(self.plan(hint), required)
        plan.fill(fields)
        return plan

    def _struct(self, cls: Any) -> Plan:
        plan = self._known[cls] = Record(cls, fields_of_struct)
        fields = msgspec.structs.fields(cls)
        plan.fill({field.name: Field(self.plan(field.type), field.required) for field in fields})
        return plan

    def _dataclass(self, cls: Any) -> Plan:
        # An InitVar is taken by the constructor but is no field, so its value is gone.
        known = {field.name for field in dataclasses.fields(cls)}
        taken = inspect.signature(cls).parameters.keys()
        if taken - known or {field.name for field in dataclasses.fields(cls) if field.init} - taken:
            return Refused(
                cls.__name__,
                f"{cls.__name__} cannot be rebuilt from its fields (InitVar, or an __init__ of its own)",
            )
        plan = self._known[cls] = Record(cls, fields_of_dataclass)
        hints, fields = _hints(cls), {}
        for field in dataclasses.fields(cls):
            required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            fields[field.name] = Field(self.plan(hints.get(field.name, Any)), required and field.init, field.init)
        plan.fill(fields)
        return plan


class _Later(Plan):
    """Stands in for a type alias that contains itself until the alias is read."""

    def __init__(self, name: str) -> None:
        self.name = self.tag = name
        self.inner: Plan = Anything()

    def fill(self, inner: Plan) -> None:
        self.inner = inner

    def pack(self, value: Any) -> Any:
        return self.inner.pack(value)

    def unpack(self, stored: Any) -> Any:
        return self.inner.unpack(stored)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        if self.name not in defs:
            defs[self.name] = {}
            defs[self.name].update(self.inner.schema(defs))
        return {"$ref": f"#/$defs/{self.name}"}


def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)
