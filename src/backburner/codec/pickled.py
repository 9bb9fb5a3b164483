"""Arguments as signed pickle, for tasks that ask for it: never loaded unless we wrote it, and only listed types.

The stored form is `<HMAC-SHA256 in hex>.<base64 of the pickle>`. The signature is checked first, and binds the
arguments to the task's name. Then an unpickler reads them that knows plain values and the types of the list: it
imports nothing.
"""

from __future__ import annotations

import base64
import collections
import datetime
import decimal
import enum
import hashlib
import hmac
import io
import pickle
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from backburner.errors import DecodeError, InvalidOption, NotSerializable, TooLarge

PICKLE = "pickle"
"""The name a stored row gives to this form."""

_PURPOSE = b"backburner.pickle.1"
_PLAIN: tuple[type, ...] = (
    set, frozenset, complex, bytearray, range, slice, collections.OrderedDict, collections.deque,
    datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone, decimal.Decimal, uuid.UUID,
)  # fmt: skip


class Pickles:
    """The arguments of one task by parameter name, pickled and back. Raises `InvalidOption` for what is no type."""

    def __init__(self, types: Iterable[type], secret: str, max_bytes: int, former: Iterable[str] = ()) -> None:
        listed = tuple(types)
        for one in listed:
            if not isinstance(one, type):
                raise InvalidOption("pickle_types", one, "is no type", "List classes, such as pickle_types=[Order]")
        # The first one signs; what any of them has signed is read.
        self._keys = [hmac.digest(one.encode(), _PURPOSE, hashlib.sha256) for one in (secret, *former)]
        self._max_bytes = max_bytes
        self._types = {(one.__module__, one.__qualname__): one for one in (*_PLAIN, *listed)}

    def dump(self, task: str, named: Mapping[str, Any]) -> str:
        """The stored text of a call. Raises `NotSerializable` and `TooLarge`."""
        try:
            data = pickle.dumps(dict(named), protocol=4)
            # What could not be loaded is told now, not when nobody looks.
            self._loaded(data)
        except Exception as error:
            raise NotSerializable(
                f"task {task!r}: the arguments", _Named(named), f"{type(error).__name__}: {error}",
                "List the types in pickle_types",
            ) from error  # fmt: skip
        text = f"{self._mac(task, data)}.{base64.b64encode(data).decode()}"
        if len(text) > self._max_bytes:
            raise TooLarge(f"task {task!r}: the arguments", len(text), self._max_bytes, "Store the data, pass its id")
        return text

    def load(self, task: str, text: str) -> dict[str, Any]:
        """The arguments by name. Raises `DecodeError`, and nothing else, for any text."""
        try:
            mac, _, encoded = text.partition(".")
            data = base64.b64decode(encoded, validate=True)
            if not any(hmac.compare_digest(mac.encode(), self._mac(task, data, key).encode()) for key in self._keys):
                raise ValueError("its signature does not fit")
            found = self._loaded(data)
            if type(found) is not dict:
                raise ValueError("it holds no arguments by name")
        except Exception as error:
            raise DecodeError(f"arguments of task {task!r}", f"{type(error).__name__}: {error}") from error
        return found

    def _loaded(self, data: bytes) -> Any:
        return _Reader(data, self._types).load()

    def _mac(self, task: str, data: bytes, key: bytes | None = None) -> str:
        return hmac.new(key or self._keys[0], task.encode() + b"\0" + data, hashlib.sha256).hexdigest()


class _Reader(pickle.Unpickler):
    """Finds the listed types and nothing else."""

    def __init__(self, data: bytes, types: Mapping[tuple[str, str], type]) -> None:
        super().__init__(io.BytesIO(data))
        self._types = types

    def find_class(self, module: str, name: str) -> Any:
        found = self._types.get((module, name))
        if found is None and (module, name) == ("builtins", "getattr"):
            # Python 3.11 before 3.11.4 pickles a member of an enum as getattr(class, name).
            return _member
        if found is None:
            raise pickle.UnpicklingError(f"{module}.{name} is not among pickle_types")
        return found


def _member(kind: object, name: object) -> Any:
    if not isinstance(kind, enum.EnumMeta) or not isinstance(name, str):
        raise pickle.UnpicklingError("getattr is for members of an enum alone")
    return kind[name]


class _Named:
    """Stands for arguments whose values are not shown."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._text = ", ".join(f"{name}: {type(value).__name__}" for name, value in named.items())

    def __repr__(self) -> str:
        return f"({self._text})"
