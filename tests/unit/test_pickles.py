"""Signed pickle: what it takes, what it refuses, and that nothing is loaded that we did not write."""

import base64
import collections
import os
import pickle
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from backburner import Backburner
from backburner.codec import Pickles
from backburner.errors import DecodeError, InvalidOption, InvalidTask, NotSerializable, TooLarge

SECRET = "a secret of some length"


class Money:
    """A class of the app's own, with state."""

    def __init__(self, amount: Decimal) -> None:
        self.amount = amount

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and other.amount == self.amount

    __hash__ = None  # type: ignore[assignment]


class Colour(Enum):
    RED = "red"


class Other:
    """A class that nobody listed."""


PICKLES = Pickles([Money, Colour], SECRET, 10_000)


@pytest.mark.parametrize(
    "value",
    [
        Money(Decimal("12.50")), Colour.RED, {1: {2, 3}, "x": (1, b"\x00\xff")}, frozenset({1}), 2 + 3j,
        datetime(2026, 11, 21, 12, tzinfo=UTC), timedelta(seconds=1), UUID(int=7), collections.deque([1]),
        [Money(Decimal(1)), None, {"deep": [Money(Decimal(2))]}], "\ud800", float("inf"),
    ],
)  # fmt: skip
def test_round_trip(value: Any) -> None:
    assert PICKLES.load("t", PICKLES.dump("t", {"value": value})) == {"value": value}


@pytest.mark.parametrize("value", [Other(), Other, os.system, lambda: 1, Path("x"), open, [Other()]])
def test_what_is_not_listed_is_refused_when_it_is_enqueued(value: Any) -> None:
    with pytest.raises(NotSerializable, match="List the types in pickle_types"):
        PICKLES.dump("t", {"value": value})


class Evil:
    """Touches a file when it is loaded."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __reduce__(self) -> Any:
        return (os.system, (f"touch {self._place}",))


def test_hostile_bytes_are_never_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pickle.dumps({"value": Evil(tmp_path / "touched")})
    mac, _, good = PICKLES.dump("t", {"value": 1}).partition(".")
    stranger = Pickles([Money], "another secret, as long", 10_000)
    loads: list[bytes] = []
    monkeypatch.setattr(Pickles, "_loaded", lambda self, data: loads.append(data))
    for text in (
        f"{mac}.{base64.b64encode(data).decode()}", f".{good}", f"{'0' * 64}.{good}", good, "", ".", "é.é",
        f"{mac}.{good}x",
        f"{stranger._mac('t', base64.b64decode(good))}.{good}",
    ):  # fmt: skip
        with pytest.raises(DecodeError):
            PICKLES.load("t", text)
    with pytest.raises(DecodeError):
        PICKLES.load("another task", f"{mac}.{good}")
    assert loads == []


def test_even_signed_it_reads_nothing_but_the_listed_types(tmp_path: Path) -> None:
    data = pickle.dumps({"value": Evil(tmp_path / "touched")})
    with pytest.raises(DecodeError, match=r"system is not among pickle_types"):
        PICKLES.load("t", f"{PICKLES._mac('t', data)}.{base64.b64encode(data).decode()}")
    assert not (tmp_path / "touched").exists()


def test_size_has_a_limit() -> None:
    with pytest.raises(TooLarge):
        PICKLES.dump("t", {"value": "x" * 20_000})


def test_what_is_no_type_is_refused() -> None:
    with pytest.raises(InvalidOption, match="is no type"):
        Pickles(["os.system"], SECRET, 10)  # type: ignore[list-item]


def test_it_is_off_unless_asked_for_and_needs_a_secret(sqlite_url: str) -> None:
    without = Backburner(sqlite_url)
    with pytest.raises(InvalidTask, match="there is no secret"):
        without.task(name="t", codec="pickle")(lambda value: value)
    with pytest.raises(InvalidOption, match="Use one of: json, pickle"):
        without.task(name="t", codec="yaml")(lambda value: value)  # type: ignore[call-overload]
    jobs = Backburner(sqlite_url, secret=SECRET)

    def pay(money: Money) -> None: ...

    with pytest.raises(InvalidTask, match="money"):
        jobs.task(name="pay")(pay)
    assert jobs.task(name="pay", codec="pickle", pickle_types=[Money])(pay).codec == "pickle"


def test_what_a_former_secret_signed_is_read() -> None:
    old = PICKLES.dump("shop.pay", {"n": 1})
    later = Pickles([], "another secret, as long", 10_000, [SECRET])
    assert later.load("shop.pay", old) == {"n": 1}
    with pytest.raises(DecodeError, match="signature"):
        PICKLES.load("shop.pay", later.dump("shop.pay", {"n": 1}))
