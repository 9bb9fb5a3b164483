"""Arguments that are `Secret`: packed apart, and encrypted where they stand in the stored text.

The stored form of a secret is an object with one key: {"$secret": "<encrypted>"}. What it says in the clear has the
form that its own type has. Between the two it is `Concealed`, which no encoder writes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from backburner.codec import text as json_text
from backburner.codec.plan import MAX_DEPTH, Misfit, Plan, typename
from backburner.codec.union import Union
from backburner.secret import Secret

SECRET = "$secret"  # noqa: S105 (the key of a secret, not one)
_DEEPEST = MAX_DEPTH + 1
_UNOPENED = "is encrypted, and does not open here: with another secret, for another job or parameter, or damaged"


class Box(Protocol):
    """Encrypts the secrets of one job; `place` is where in its arguments one stands, as a JSON pointer."""

    def close(self, text: bytes, place: str) -> str: ...
    def open(self, closed: str, place: str) -> bytes | None: ...
    def digest(self, text: bytes, place: str) -> str: ...


class Concealed:
    """The JSON text of a secret, in the clear, on its way."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text

    def __lt__(self, other: Concealed) -> bool:
        """So that equal sets get equal texts."""
        return self.text < other.text

    def __repr__(self) -> str:
        return "<Concealed>"


class SecretPlan(Plan):
    """A `Secret` of what another plan stores. No misfit of it repeats anything of the value.

    What is stored in the clear is taken, too: by whom a form or a request was filled in, and from before the
    parameter was a secret.
    """

    secret = True
    kinds = frozenset({"dict"})
    types = frozenset({Secret})

    def __init__(self, inner: Plan) -> None:
        self._inner = inner
        self.name, self.tag = f"Secret[{inner.name}]", "secret"

    def pack(self, value: Any) -> Concealed:
        plain = value.reveal() if isinstance(value, Secret) else value
        packed: Concealed | None = None
        # It is told below, where no exception is at hand that has a part of the value.
        with suppress(Exception):
            packed = Concealed(json_text.write(self._inner.pack(plain)))
        if packed is None:
            raise Misfit(
                f"needs {self.name}, and the {typename(plain)} that was given does not fit", "Pass one that does"
            )
        return packed

    def unpack(self, stored: Any) -> Secret[Any]:
        if type(stored) is dict and stored.keys() == {SECRET}:
            raise Misfit(_UNOPENED)
        found: Secret[Any] | None = None
        with suppress(Exception):
            plain = json_text.read(stored.text.decode()) if isinstance(stored, Concealed) else stored
            found = Secret(self._inner.unpack(plain))
        if found is None:
            raise Misfit(f"is no {self.name} in its stored form")
        return found

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """That of the value as it is given; nobody gets it back."""
        shape = {**self._inner.schema(defs), "writeOnly": True}
        return shape | {"format": "password"} if shape.get("type") == "string" and "format" not in shape else shape


def wrapped(plan: Plan, value: Any) -> Any:
    """A value that may have been given plainly, as a task receives it."""
    optional = isinstance(plan, Union) and any(isinstance(member, SecretPlan) for member in plan.members)
    if isinstance(value, Secret) or not (isinstance(plan, SecretPlan) or (optional and value is not None)):
        return value
    return Secret(value)


def closed(packed: Any, box: Box | None, place: str) -> Any:
    """A packed value with its secrets encrypted. Raises `Misfit` without a box."""

    def close(found: Any, where: str) -> Any:
        if box is None:
            raise Misfit("is secret, and nothing encrypts it here", "Enqueue it by its task", unstorable=True)
        return {SECRET: box.close(found.text, where)}

    return _turned(packed, place, lambda found: isinstance(found, Concealed), close)


def opened(stored: Any, box: Box, place: str = "") -> Any:
    """A stored value with its secrets opened, as far as they open here. Raises `MissingExtra`."""

    def open_(found: Any, where: str) -> Any:
        text = box.open(found[SECRET], where)
        return found if text is None else Concealed(text)

    return _turned(stored, place, is_closed, open_)


def steady(text: str, box: Box) -> str:
    """The stored text of a call with a digest for each secret, so that equal calls have equal texts.

    Encrypted, the same value looks different each time.
    """

    def digest(found: Any, where: str) -> Any:
        opened = box.open(found[SECRET], where)
        return found if opened is None else {SECRET: box.digest(opened, where)}

    return json_text.write(_turned(json_text.read(text, _DEEPEST), "", is_closed, digest), _DEEPEST).decode()


def moved(text: str, box: Box, other: Box) -> str | None:
    """The stored text of a call with its secrets encrypted for another job; None where they do not open."""
    failed: list[str] = []

    def move(found: Any, where: str) -> Any:
        opened = box.open(found[SECRET], where)
        if opened is None:
            failed.append(where)
            return found
        return {SECRET: other.close(opened, where)}

    turned = _turned(json_text.read(text, _DEEPEST), "", is_closed, move)
    return None if failed else json_text.write(turned, _DEEPEST).decode()


def has_secrets(text: str) -> bool:
    """Whether a stored text may hold encrypted values."""
    return f'"{SECRET}"' in text


def is_closed(found: Any) -> bool:
    """Whether a stored value is an encrypted one."""
    return type(found) is dict and found.keys() == {SECRET} and type(found[SECRET]) is str


def _turned(value: Any, place: str, chosen: Callable[[Any], bool], turn: Callable[[Any, str], Any]) -> Any:
    """The same value with something else in the place of what is chosen; `place` is a JSON pointer."""
    if chosen(value):
        return turn(value, place)
    if type(value) is dict:
        return {key: _turned(item, _within(place, key), chosen, turn) for key, item in value.items()}
    if type(value) is list:
        return [_turned(item, _within(place, number), chosen, turn) for number, item in enumerate(value)]
    return value


def _within(place: str, key: object) -> str:
    return f"{place}/{str(key).replace('~', '~0').replace('/', '~1')}"
