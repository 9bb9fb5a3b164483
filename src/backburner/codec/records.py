"""Plans of classes with named fields: dataclasses, msgspec Structs, TypedDicts, and pydantic models."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from backburner.codec.plan import ANYTHING, Misfit, Plan, first_paragraph, typename, wrong, wrong_stored


class Field(NamedTuple):
    """One field of a record; `init` tells whether the constructor takes it."""

    plan: Plan
    required: bool = True
    init: bool = True


class Record(Plan):
    """A class stored as an object by field name. Only this very class: a subclass would lose its fields."""

    kinds = frozenset({"dict"})

    def __init__(self, cls: type, read: Callable[[Any], Mapping[str, Any]]) -> None:
        """`read` gives the fields of an instance."""
        self.cls, self._read = cls, read
        self.name = self.tag = cls.__name__
        self.types = frozenset({cls})
        self._fields: dict[str, Field] = {}

    def fill(self, fields: dict[str, Field]) -> None:
        """Set the fields later, for a class that contains itself."""
        self._fields = fields

    def pack(self, value: Any) -> dict[str, Any]:
        if type(value) is not self.cls:
            raise _not_exactly(self, value)
        return self._pack_fields(self._read(value))

    def unpack(self, stored: Any) -> Any:
        values = self._unpack_fields(stored)
        later = {name: values.pop(name) for name, field in self._fields.items() if not field.init and name in values}
        try:
            built = self.cls(**values)
            for name, value in later.items():
                object.__setattr__(built, name, value)
        except Exception as error:
            # The class checks its own values here, with whatever exception it likes.
            raise Misfit(f"{self.name} refuses its stored fields ({type(error).__name__})") from error
        return built

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        if self.name not in defs:
            defs[self.name] = {}
            defs[self.name].update(
                {
                    "title": self.name,
                    **first_paragraph(self.cls),
                    "type": "object",
                    "properties": {name: field.plan.schema(defs) for name, field in self._fields.items()},
                    "required": [name for name, field in self._fields.items() if field.required],
                    "additionalProperties": False,
                }
            )
        return {"$ref": f"#/$defs/{self.name}"}

    def _pack_fields(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return self._each(values, lambda plan, value: plan.pack(value))

    def _unpack_fields(self, stored: Any) -> dict[str, Any]:
        if type(stored) is not dict:
            raise wrong_stored(self, stored)
        unknown = stored.keys() - self._fields.keys()
        if unknown:
            raise Misfit(f"{self.name} has no field {min(unknown)!r:.40}")
        return self._each(stored, lambda plan, value: plan.unpack(value))

    def _each(self, values: Mapping[str, Any], turn: Callable[[Plan, Any], Any]) -> dict[str, Any]:
        """What each field's plan makes of the value it has, in the order of the fields."""
        turned: dict[str, Any] = {}
        for name, field in self._fields.items():
            if name in values:
                try:
                    turned[name] = turn(field.plan, values[name])
                except Misfit as misfit:
                    raise misfit.at(f".{name}", name) from misfit.__cause__
            elif field.required:
                raise Misfit(f"{self.name} needs {name!r}", f"Set {name}")
        return turned


class TypedMapping(Record):
    """A TypedDict: a dict with these keys and no others."""

    def __init__(self, cls: type) -> None:
        super().__init__(cls, dict)
        self.types = frozenset({dict})

    def pack(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise wrong(self, value)
        unknown = [key for key in value if key not in self._fields]
        if unknown:
            raise Misfit(f"{self.name} has no key {unknown[0]!r:.40}", "Remove it, or add it to the TypedDict")
        return self._pack_fields(value)

    def unpack(self, stored: Any) -> dict[str, Any]:
        return self._unpack_fields(stored)


class Pydantic(Plan):
    """A pydantic model, by its own JSON form, if that form gives back an equal model."""

    def __init__(self, cls: Any) -> None:
        self.cls = cls
        self.name = self.tag = cls.__name__
        self.types = frozenset({cls})
        # A RootModel may be any JSON value, all others are objects.
        self.kinds = ANYTHING if getattr(cls, "__pydantic_root_model__", False) else frozenset({"dict"})

    def pack(self, value: Any) -> Any:
        if type(value) is not self.cls:
            raise _not_exactly(self, value)
        for by_alias in (True, False):
            try:
                text = value.model_dump_json(by_alias=by_alias, round_trip=True)
                if self.cls.model_validate_json(text) == value:
                    return msgspec.json.decode(text)
            except (ValueError, TypeError):
                # pydantic's own errors are ValueErrors; the other spelling of the names may still do.
                continue
        raise Misfit(
            f"the JSON form of {self.name} does not give back an equal model",
            "Fields that are excluded, masked (SecretStr) or private, and NaN, cannot be stored",
            unstorable=True,
        )

    def unpack(self, stored: Any) -> Any:
        try:
            return self.cls.model_validate_json(msgspec.json.encode(stored))
        except Exception as error:
            raise Misfit(f"{self.name} refuses its stored fields ({type(error).__name__})") from error

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        if self.name not in defs:
            own = self.cls.model_json_schema(ref_template="#/$defs/{model}")
            for name, shape in own.pop("$defs", {}).items():
                defs.setdefault(name, shape)
            # A model that contains itself is among its own $defs already.
            if "$ref" not in own:
                defs[self.name] = own
        return {"$ref": f"#/$defs/{self.name}"}


class Constrained(Plan):
    """An annotation with `msgspec.Meta` limits (gt, le, pattern, max_length ...) on top of another plan."""

    def __init__(self, inner: Plan, annotation: Any) -> None:
        self._inner, self._annotation = inner, annotation
        self.name, self.tag, self.kinds = inner.name, inner.tag, inner.kinds
        self.types, self.usable = inner.types, inner.usable
        self.native, self.pure = inner.native, inner.pure

    def pack(self, value: Any) -> Any:
        packed = self._inner.pack(value)
        self._check(value)
        return packed

    def unpack(self, stored: Any) -> Any:
        value = self._inner.unpack(stored)
        self._check(value)
        return value

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        return msgspec.json.schema(self._annotation)

    def _check(self, value: Any) -> None:
        try:
            msgspec.convert(value, self._annotation)
        except msgspec.ValidationError as error:
            raise Misfit(str(error)[:1].lower() + str(error)[1:], "Pass a value within the limits") from error


def fields_of_dataclass(value: Any) -> dict[str, Any]:
    """The fields of an instance, not copied, not descended into."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def fields_of_struct(value: Any) -> dict[str, Any]:
    """The fields of an instance that are set."""
    return {k: v for k, v in msgspec.structs.asdict(value).items() if v is not msgspec.UNSET}


def _not_exactly(plan: Record | Pydantic, value: Any) -> Misfit:
    if isinstance(value, plan.cls):
        return Misfit(f"as a {plan.name}, a {typename(value)} would lose its own fields", f"Pass a {plan.name}")
    return wrong(plan, value)
