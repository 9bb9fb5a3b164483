"""Plans of values that hold values: arrays, mappings, and `Any`, which stores self-describing."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from backburner.codec.plan import ANYTHING, KINDS, Misfit, Plan, tag_of, typename, wrong, wrong_stored
from backburner.codec.scalars import TEXTS, finite

_PLAIN: frozenset[type] = frozenset({type(None), bool, int, str})


def pack_items(values: Iterable[Any], plan: Plan) -> list[Any]:
    """The stored items, in order."""
    return [_pack_at(index, plan, value) for index, value in enumerate(values)]


def unpack_items(stored: list[Any], plan: Plan) -> list[Any]:
    """The items, in order."""
    return [_unpack_at(index, plan, item) for index, item in enumerate(stored)]


class Array(Plan):
    """list, set, frozenset or tuple of one kind of item: an array. Sets are sorted where items allow it."""

    kinds = frozenset({"list"})

    def __init__(self, cls: Any, item: Plan, name: str | None = None) -> None:
        self.cls, self._item = cls, item
        self.name = name or f"{cls.__name__}[{item.name}{', ...' if cls is tuple else ''}]"
        # Lists only need a tag beside other lists, which share the word.
        self.tag = self.name if cls is list else cls.__name__
        self.types = frozenset({cls})
        self.native = cls is list
        self.pure = self.native and item.pure

    def pack(self, value: Any) -> list[Any]:
        if not isinstance(value, self.cls):
            raise wrong(self, value)
        if self.cls is list and self._item.as_is.issuperset(map(type, value)):
            return list(value)
        packed = pack_items(value, self._item)
        return packed if self.cls in (list, tuple) else _sorted(packed)

    def unpack(self, stored: Any) -> Any:
        if type(stored) is not list:
            raise wrong_stored(self, stored)
        if self.cls is list and self._item.as_is.issuperset(map(type, stored)):
            return stored
        values = unpack_items(stored, self._item)
        if self.cls is list:
            return values
        try:
            return self.cls(values)
        except TypeError as error:
            raise Misfit(f"has an item that cannot be in a {self.tag}") from error

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        unique = {"uniqueItems": True} if self.cls in (set, frozenset) else {}
        return {"type": "array", "items": self._item.schema(defs), **unique}


def _sorted(packed: list[Any]) -> list[Any]:
    """Equal sets get equal texts, although string hashes differ between processes."""
    try:
        return sorted(packed)
    except TypeError:
        return packed


class Row(Plan):
    """A tuple with a type for each place, or a NamedTuple: an array of that length."""

    kinds = frozenset({"list"})

    def __init__(self, cls: Any, items: tuple[Plan, ...], required: int | None = None) -> None:
        self.cls, self._items, self.tag = cls, items, cls.__name__
        self._required = len(items) if required is None else required
        self.name = f"tuple[{', '.join(item.name for item in items)}]" if cls is tuple else cls.__name__
        self.types = frozenset({cls})

    def fill(self, items: tuple[Plan, ...]) -> None:
        """Set the items later, for a type that contains itself."""
        self._items = items

    def pack(self, value: Any) -> list[Any]:
        if not isinstance(value, self.cls) or (self.cls is not tuple and type(value) is not self.cls):
            raise wrong(self, value)
        if len(value) != len(self._items):
            raise Misfit(f"needs {len(self._items)} items, got {len(value)}", f"Pass a {self.name}")
        return [_pack_at(i, p, v) for i, (p, v) in enumerate(zip(self._items, value, strict=True))]

    def unpack(self, stored: Any) -> Any:
        if type(stored) is not list:
            raise wrong_stored(self, stored)
        if not self._required <= len(stored) <= len(self._items):
            raise Misfit(f"needs {len(self._items)} items, found {len(stored)}")
        values = [_unpack_at(i, p, v) for i, (p, v) in enumerate(zip(self._items, stored, strict=False))]
        return tuple(values) if self.cls is tuple else self.cls(*values)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "array",
            "prefixItems": [item.schema(defs) for item in self._items],
            "minItems": self._required,
            "maxItems": len(self._items),
            "items": False,
        }


def _pack_at(key: Any, plan: Plan, value: Any) -> Any:
    try:
        return plan.pack(value)
    except Misfit as misfit:
        raise misfit.at(f"[{key!r:.40}]", key) from misfit.__cause__


def _unpack_at(key: Any, plan: Plan, stored: Any) -> Any:
    try:
        return plan.unpack(stored)
    except Misfit as misfit:
        raise misfit.at(f"[{key!r:.40}]", key) from misfit.__cause__


class Table(Plan):
    """A dict: an object where keys are stored as text or int, else an array of pairs.

    With keys of any type it is stored as `Anything` stores a dict.
    """

    types = frozenset({dict})

    def __init__(self, key: Plan, value: Plan) -> None:
        self._key, self._value = key, value
        # Never "dict" alone: {"$dict": pairs} is how any dict is stored whose keys are odd.
        self.name = self.tag = f"dict[{key.name}, {value.name}]"
        self._int_keys = key.kinds == {"int"}
        self._any_keys = isinstance(key, Anything)
        self._object = self._int_keys or self._any_keys or key.kinds == {"str"}
        self.kinds = frozenset({"dict"} if self._object else {"dict", "list"})
        self.native = self._object
        self.pure = key.pure and key.kinds == {"str"} and value.pure

    def pack(self, value: Any) -> Any:
        if not isinstance(value, dict):
            raise wrong(self, value)
        pairs = [[_pack_at(k, self._key, k), _pack_at(k, self._value, v)] for k, v in value.items()]
        if not self._object:
            return pairs
        if self._any_keys and not all(type(key) is str for key in value):
            return {"$dict": pairs}
        return as_object([[str(k), v] for k, v in pairs]) if self._int_keys else as_object(pairs)

    def unpack(self, stored: Any) -> dict[Any, Any]:
        pairs = self._pairs(stored)
        try:
            return {_unpack_at(k, self._key, k): _unpack_at(k, self._value, v) for k, v in pairs}
        except TypeError as error:
            raise Misfit("has a key that cannot be one") from error

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        if self._object:
            return {"type": "object", "additionalProperties": self._value.schema(defs)}
        pair = {"type": "array", "prefixItems": [self._key.schema(defs), self._value.schema(defs)]}
        return {"type": "array", "items": pair}

    def _pairs(self, stored: Any) -> Iterable[Any]:
        if type(stored) is list and not self._object:
            return _checked(stored)
        if type(stored) is not dict:
            raise wrong_stored(self, stored)
        pairs = pairs_of(stored)
        return [[_int_key(k), v] for k, v in pairs] if self._int_keys else pairs


def as_object(pairs: list[list[Any]]) -> dict[str, Any]:
    """An object with these entries, written out as pairs when it would look like a tag."""
    if len(pairs) == 1 and pairs[0][0][:1] == "$":
        return {"$dict": pairs}
    return dict(pairs)


def pairs_of(stored: dict[str, Any]) -> list[Any]:
    """The entries of a stored dict in either form."""
    if tag_of(stored) == "dict":
        return _checked(stored["$dict"])
    return list(stored.items())


def _checked(pairs: Any) -> list[Any]:
    if type(pairs) is not list or any(type(pair) is not list or len(pair) != 2 for pair in pairs):
        raise Misfit("needs an array of pairs of key and value")
    return pairs


def _int_key(key: Any) -> int:
    if type(key) is str and key.removeprefix("-").isdecimal() and key.isascii():
        # Python itself refuses to read more than 4,300 digits.
        with suppress(ValueError):
            return int(key)
    raise Misfit("has a key that is no int")


class Anything(Plan):
    """No annotation, or `Any`: builtin types, self-describing. Classes of the app need an annotation."""

    def __init__(self) -> None:
        self._tags: dict[type, Plan] = dict(TEXTS)
        for cls in (set, frozenset, tuple):
            self._tags[cls] = Array(cls, self, name=cls.__name__)
        self._by_tag = {plan.tag: plan for plan in self._tags.values()}

    def pack(self, value: Any) -> Any:
        cls = type(value)
        if cls in _PLAIN:
            return value
        if cls is float:
            return finite(value)
        if cls is list:
            return list(value) if _PLAIN.issuperset(map(type, value)) else pack_items(value, self)
        if cls is dict:
            return self._pack_dict(value)
        plan = self._tags.get(cls)
        if plan is None:
            raise _unannotated(value)
        return {"$" + plan.tag: plan.pack(value)}

    def unpack(self, stored: Any) -> Any:
        cls = type(stored)
        if cls is list:
            return stored if _PLAIN.issuperset(map(type, stored)) else unpack_items(stored, self)
        if cls is not dict:
            return stored
        tag = tag_of(stored)
        if tag is not None and tag != "dict":
            plan = self._by_tag.get(tag)
            if plan is None:
                raise Misfit("has an unknown type tag")
            return plan.unpack(stored["$" + tag])
        try:
            return {self.unpack(k): _unpack_at(k, self, v) for k, v in pairs_of(stored)}
        except TypeError as error:
            raise Misfit("has a key that cannot be one") from error

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        return {}

    def _pack_dict(self, value: dict[Any, Any]) -> dict[str, Any]:
        pairs = [[k, _pack_at(k, self, v)] for k, v in value.items()]
        if all(type(key) is str for key in value):
            return as_object(pairs)
        return {"$dict": [[_pack_at(k, self, k), v] for k, v in pairs]}


def _unannotated(value: Any) -> Misfit:
    # A subclass of a builtin type (a template's safe string) is stored as that, if the annotation says so.
    bases = [base for base in type(value).__mro__[1:] if base in KINDS or base in TEXTS]
    odd = hasattr(value, "_fields") or isinstance(value, enum.Enum)
    name = bases[0].__name__ if bases and not odd else typename(value)
    return Misfit(
        f"the class {typename(value)} is only stored where the annotation says so",
        f"Annotate it with {name}, or pass builtin values",
        unstorable=True,
    )


class Refused(Plan):
    """A type that cannot be stored; a parameter of it may exist as long as nobody passes it."""

    usable = False
    kinds = ANYTHING

    def __init__(self, name: str, problem: str) -> None:
        self.name, self.tag, self.problem = name, name, problem

    def pack(self, value: Any) -> Any:
        raise Misfit(self.problem, "Pass an id or builtin values and load the object in the task", unstorable=True)

    def unpack(self, stored: Any) -> Any:
        raise Misfit(self.problem)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        return {"not": {}}
