"""`Secret`: an argument that is stored encrypted and shown to nobody."""

from __future__ import annotations

import hmac
from typing import Generic, NoReturn, TypeVar

T_co = TypeVar("T_co", covariant=True)

MASK = "***"
"""What stands in the place of a secret in texts that are made of arguments."""


class Secret(Generic[T_co]):
    """A value that no text, log or dump shows; `reveal()` gives it.

    A parameter annotated `Secret[str]`, or `Secret[...]` of whatever can be an argument, is stored encrypted, and the
    task receives a `Secret`.

        @jobs.task
        def sync(shop: int, token: Secret[str]) -> None:
            client = Client(token.reveal())

        sync.enqueue(7, Secret(token))

    It cannot be pickled, and JSON has no form for it. Two are equal when their values are; texts and bytes are
    compared in constant time.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T_co) -> None:
        if isinstance(value, Secret):
            raise TypeError("a Secret of a Secret is one too many: pass what it holds")
        self._value = value

    def reveal(self) -> T_co:
        """The value."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        """The same whatever the spec says: a width would be the only thing to go by."""
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        ours, theirs = _as_bytes(self._value), _as_bytes(other._value)
        if ours is None or theirs is None or type(self._value) is not type(other._value):
            return bool(self._value == other._value)
        return hmac.compare_digest(ours, theirs)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Secret[T_co]:
        return self

    def __deepcopy__(self, memo: object) -> Secret[T_co]:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not written anywhere. Pass its value on by other ways: secret.reveal()")


def _as_bytes(value: object) -> bytes | None:
    """Text or bytes as bytes, None for anything else."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    return bytes(value) if isinstance(value, bytes | bytearray) else None
