"""Arguments and results as text: types in, types out; what cannot be kept is refused by name."""

import contextlib
import dataclasses
import enum
import functools
import json
import math
import subprocess
import sys
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    TypedDict,
)
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backburner.codec import MAX_DEPTH, Parameters, decode_result, encode_result, hints_of
from backburner.codec.compile import plan_for
from backburner.codec.fast import FastForm
from backburner.codec.records import Record
from backburner.errors import (
    BackburnerError,
    DecodeError,
    InvalidArgument,
    InvalidTask,
    NotSerializable,
    TooLarge,
    shown,
)

if TYPE_CHECKING:
    from nowhere import Ghost  # type: ignore[import-not-found]

NOW = datetime(2026, 5, 1, 12, 30, 15, 250, tzinfo=UTC)
ELSEWHERE = datetime(1890, 1, 1, tzinfo=timezone(timedelta(hours=1, seconds=7)))


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Shape(enum.Enum):
    POINT = (0, 0)
    LINE = 1


class Level(enum.IntEnum):
    LOW = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Place(NamedTuple):
    x: int
    when: datetime = NOW


@dataclasses.dataclass(frozen=True)
class Line:
    product: UUID
    price: Decimal
    count: int = 1


@dataclasses.dataclass
class Order:
    lines: list[Line]
    at: datetime
    colours: set[Colour] = dataclasses.field(default_factory=set)
    total: Decimal = dataclasses.field(init=False, default=Decimal(0))
    inside: "Order | None" = None


@dataclasses.dataclass
class Hidden:
    given: dataclasses.InitVar[int]
    kept: int = 0


class Point(msgspec.Struct):
    x: int
    label: str | None = None


class Options(TypedDict):
    since: date
    limit: NotRequired[int]


class Card(pydantic.BaseModel):
    number: str
    valid: date
    extra: dict[str, int] = {}


class Purse(pydantic.BaseModel):
    key: pydantic.SecretStr


class Numbers(pydantic.RootModel[list[int]]):
    pass


class Other:
    @dataclasses.dataclass
    class Line:
        count: int


UserId = NewType("UserId", int)
LINE = Line(UUID(int=5), Decimal("1.10"), 2)
ORDER = Order([LINE], NOW, {Colour.RED}, inside=Order([], ELSEWHERE))
ORDER.total = Decimal("9.90")


def taking(annotation: Any) -> Parameters:
    """The parameters of a task with one parameter `x` of this annotation."""

    def task(x): ...  # type: ignore[no-untyped-def]

    task.__annotations__["x"] = annotation
    return Parameters.of(task, task="t")


def through(annotation: Any, value: object) -> object:
    parameters = taking(annotation)
    args, kwargs = parameters.load(parameters.bind((value,), {}))
    assert args == []
    return kwargs["x"]


def same(left: object, right: object) -> bool:
    """Equal, and of the same types all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return same(list(left.items()), list(right.items()))
    if isinstance(left, set | frozenset) and isinstance(right, set | frozenset):
        return left == right and sorted(map(str, map(type, left))) == sorted(map(str, map(type, right)))
    return left == right


CASES: list[tuple[Any, object]] = [
    (None, None),
    (bool, True),
    (int, 2**80),
    (int, -(2**80)),
    (float, 0.1),
    (str, "nul \0 and é 🎈"),
    (bytes, b"\x00\xff"),
    (bytearray, bytearray(b"\x01")),
    (datetime, NOW),
    (datetime, ELSEWHERE),
    (datetime, datetime.max.replace(tzinfo=UTC)),
    (date, date(1, 1, 1)),
    (time, time(1, 2, 3, 4)),
    (timedelta, timedelta.max),
    (timedelta, timedelta.min),
    (Decimal, Decimal("1.10")),
    (UUID, UUID(int=7)),
    (Colour, Colour.BLUE),
    (Shape, Shape.POINT),
    (Level, Level.LOW),
    (Access, Access.READ | Access.WRITE),
    (list[datetime], [NOW, ELSEWHERE]),
    (list, [1, {"a": (NOW,)}]),
    (typing.List, [1, {"a": (NOW,)}]),  # noqa: UP006 - the old spellings are other types at run time
    (typing.Dict, {1: NOW}),  # noqa: UP006
    (typing.Tuple, (1, NOW)),  # noqa: UP006
    (tuple[()], ()),
    (typing.Set, {NOW}),  # noqa: UP006
    (typing.Sequence | None, (NOW,)),
    (set[UUID], {UUID(int=1), UUID(int=2)}),
    (frozenset[int], frozenset({1, 2})),
    (tuple[int, str, date], (1, "a", date(2026, 1, 1))),
    (tuple[Decimal, ...], (Decimal("1"), Decimal("2.0"))),
    (tuple, (1, b"x")),
    (Place, Place(1)),
    (dict[str, Line], {"a": LINE}),
    (dict[str, int], {"$datetime": 1}),
    (dict[int, str], {1: "a", -2: "b"}),
    (dict[int, str], {10**4298: "a"}),
    (dict[UUID, int], {UUID(int=3): 1}),
    (dict[date, int], {date(2026, 1, 1): 1}),
    (dict[tuple[int, int], str], {(1, 2): "a"}),
    (dict[bool, int], {True: 1}),
    (dict[Literal["$x"], int], {"$x": 1}),
    (dict, {"a": 1, 2: {3}}),
    (dict[Any, date], {1: date(2026, 1, 1), "$x": date(2026, 1, 2)}),
    (Mapping, {"$x": (1,)}),
    (Mapping[str, date], {"a": date(2026, 1, 1)}),
    (Sequence[int], (1, 2)),
    (Sequence[int], [1, 2]),
    (Iterable[date], {date(2026, 1, 1)}),
    (Line, LINE),
    (Order, ORDER),
    (Point, Point(1, "a")),
    (Options, {"since": date(2026, 1, 1)}),
    (Options, {"since": date(2026, 1, 1), "limit": 5}),
    (Card, Card(number="1", valid=date(2026, 1, 1), extra={"$set": 1})),
    (list[Card], [Card(number="1", valid=date(2026, 1, 1))]),
    (Numbers, Numbers([1, 2])),
    (Optional[datetime], None),  # noqa: UP045 - the old spelling is another type at run time
    (datetime | None, NOW),
    (int | str, "5"),
    (int | float, 1),
    (float | int, 1),
    (float | int, 1.0),
    (datetime | str, "2026-05-01T12:30:15Z"),
    (datetime | str, NOW),
    (datetime | date, date(2026, 5, 1)),
    (datetime | date, NOW),
    (list[int] | set[int] | tuple[int, ...], {1}),
    (list[int] | set[int] | tuple[int, ...], [1]),
    (list[int] | list[str], ["a"]),
    (list[date] | list[str], ["2026-05-01"]),
    (list[date] | list[str], [date(2026, 5, 1)]),
    (list[datetime] | list[date], [date(2026, 5, 1)]),
    (list[Line] | list[dict[str, int]], [{"a": 1}]),
    (dict[str, date] | dict[str, str], {"a": "2026-05-01"}),
    (dict[str, date] | dict[str, str], {"$dict": "2026-05-01"}),
    (dict[int, str] | dict[str, str], {"1": "a"}),
    (list[list[str | int]] | dict[date, int], [["2026-05-01", 1]]),
    (set[date] | set[str], {"2026-05-01"}),
    (Sequence[int] | Sequence[str], ("a",)),
    (tuple[int] | tuple[int, int], (1, 2)),
    (dict[date | str, int], {date(2026, 5, 1): 1, "a": 2}),
    (dict[date | str, int], {date(2026, 5, 1): 1}),
    (Line | Other.Line, Other.Line(1)),
    (Line | Other.Line, LINE),
    (dict[str, int] | Line, LINE),
    (dict[str, int] | Line, {"$Line": 1}),
    (Line | Point | Card, Point(2)),
    (Numbers | Card | None, Numbers([3])),
    (Level | int, 1),
    (Level | int, Level.LOW),
    (str | Colour, "red"),
    (Literal["a", 1, True, None], True),
    (Literal["a", 1], 1),
    (Literal[Colour.RED], Colour.RED),
    (Annotated[int, msgspec.Meta(gt=0)], 5),
    (Annotated[str, "note"], "x"),
    (UserId, 5),
    (Any, {"a": [NOW, Decimal("1.0"), {"$tuple": [1]}], "b": (1, {2.5}, frozenset({b"x"}))}),
    (Any, {1: 2, (3,): None}),
    (object, timedelta(days=-1, microseconds=1)),
    ("Optional[int]", 4),
]


@pytest.mark.parametrize(("annotation", "value"), CASES, ids=shown)
def test_types_in_are_types_out(annotation: Any, value: object) -> None:
    assert same(through(annotation, value), value)


@pytest.mark.parametrize(("annotation", "value"), CASES, ids=shown)
def test_results_come_back_the_same(annotation: Any, value: object) -> None:
    if isinstance(annotation, str):
        annotation = int
    assert same(decode_result(encode_result(value, annotation), annotation), value)


@pytest.mark.parametrize(("annotation", "value"), CASES, ids=shown)
def test_the_quick_way_writes_and_reads_the_same_as_the_plans(annotation: Any, value: object) -> None:
    parameters = taking(annotation)
    text = parameters.bind((value,), {})
    parameters._fast = None
    assert parameters.bind((), {"x": value}) == text
    assert same(parameters.load(text)[1]["x"], value)


WRONG: list[tuple[Any, object]] = [
    (int, "5"),
    (int, True),
    (int, 5.0),
    (str, 5),
    (str, b"x"),
    (bytes, "eHg="),
    (bool, 1),
    (float, "1.5"),
    (float, True),
    (float, 10**400),
    (datetime, "2026-05-01T12:30:15Z"),
    (datetime, date(2026, 5, 1)),
    (datetime, datetime(2026, 5, 1)),  # noqa: DTZ001 - naive is the point
    (datetime | None, datetime(2026, 5, 1)),  # noqa: DTZ001 - naive is the point
    (Any, [datetime(2026, 5, 1)]),  # noqa: DTZ001 - naive is the point
    (date, NOW),
    (UUID, str(UUID(int=1))),
    (Decimal, 1),
    (Colour, "red"),
    (Level, 1),
    (list[int], [1, "2"]),
    (list[int], (1, 2)),
    (set[int], [1]),
    (Sequence[str], "abc"),
    (tuple[int, int], (1, 2, 3)),
    (dict[str, int], {"a": "b"}),
    (dict[str, int], {1: 1}),
    (Line, {"product": UUID(int=1)}),
    (Line, dataclasses.replace(LINE, count="2")),  # type: ignore[arg-type]
    (Options, {}),
    (Options, {"since": date(2026, 1, 1), "other": 1}),
    (Card, {"number": "1"}),
    (int | str, 1.5),
    (Literal["a", 1], True),
    (Literal["a"], "b"),
    (Annotated[int, msgspec.Meta(gt=0)], 0),
]


@pytest.mark.parametrize(("annotation", "value"), WRONG, ids=shown)
def test_a_wrong_value_is_refused_with_parameter_and_task(annotation: Any, value: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        taking(annotation).bind((value,), {})
    assert (caught.value.task, caught.value.parameter, caught.value.value) == ("t", "x", value)
    assert "task 't', parameter 'x'" in str(caught.value)


class Plain:
    def __repr__(self) -> str:
        # Without an address in it: test ids must be the same in every process.
        return "Plain()"


class Special(Line):
    pass


LOOP: list[Any] = []
LOOP.append(LOOP)
DEEP: list[Any] = [1]
for _ in range(MAX_DEPTH):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (float, math.nan),
        (float | None, math.inf),
        (list[float], [1.0, -math.inf]),
        (Any, {"a": math.nan}),
        (str, "\ud800"),
        (Any, {"\udfff": 1}),
        (Any, LINE),
        (Any, Colour.RED),
        (Any, Card(number="1", valid=date(2026, 1, 1))),
        (Any, Point(1)),
        (Any, Level.LOW),
        (Any, Plain()),
        (Any, Place(1)),
        (list, [LINE]),
        (Plain | None, Plain()),
        (list[Plain], [Plain()]),
        (Hidden | None, Hidden(1)),
        (Any, LOOP),
        (list, DEEP),
        (Any, DEEP),
        (int, 10**5000),
        (Purse, Purse(key=pydantic.SecretStr("x"))),
    ],
    ids=shown,
)
def test_what_cannot_be_stored_is_refused_with_the_parameter(annotation: Any, value: object) -> None:
    with pytest.raises(NotSerializable) as caught:
        taking(annotation).bind((value,), {})
    assert "parameter 'x'" in str(caught.value)


def test_a_subclass_would_lose_its_fields() -> None:
    with pytest.raises(InvalidArgument, match="would lose its own fields"):
        taking(Line).bind((Special(UUID(int=1), Decimal(1)),), {})


def test_a_class_without_annotation_is_told_to_annotate() -> None:
    with pytest.raises(NotSerializable, match="Annotate the parameter 'x' with Line"):
        taking(Any).bind(([LINE],), {})


def test_a_subclass_of_a_builtin_type_is_told_which_annotation_stores_it() -> None:
    class Safe(str):
        __slots__ = ()

    with pytest.raises(NotSerializable, match="Annotate the parameter 'x' with str"):
        taking(Any).bind((Safe("x"),), {})
    assert same(through(str, Safe("x")), "x")


def test_the_deepest_allowed_value_goes_through() -> None:
    assert through(list, DEEP[0]) == DEEP[0]
    assert decode_result(encode_result(DEEP[0])) == DEEP[0]
    with pytest.raises(NotSerializable, match="nested deeper than 64"):
        encode_result(DEEP)
    wide = [[[i]] for i in range(100)]
    assert through(list, wide) == wide


def test_plain_dicts_are_stored_as_objects() -> None:
    assert taking(dict).bind(({"a": 1},), {}) == '{"x":{"a":1}}'
    assert taking(dict).bind(({"$a": 1},), {}) == '{"x":{"$dict":[["$a",1]]}}'
    assert taking(dict[Any, date]).bind(({1: date(2026, 1, 1)},), {}) == '{"x":{"$dict":[[1,"2026-01-01"]]}}'


def test_the_place_inside_a_value_is_named() -> None:
    broken = Order([LINE, dataclasses.replace(LINE, price=1.5)], NOW)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match=r"at \['a'\]\[0\]\.lines\[1\]\.price: needs Decimal, got float"):
        taking(dict[str, list[Order]]).bind(({"a": [broken]},), {})


def many(a: int, b: str = "x", *rest: date, flag: bool = False, **named: Decimal) -> None: ...


def test_all_kinds_of_parameters_go_through_a_call() -> None:
    parameters = Parameters.of(many)
    day = date(2026, 1, 1)
    text = parameters.bind((1, "b", day, day), {"flag": True, "rate": Decimal("1.5"), "rest": Decimal(2)})
    assert json.loads(text) == {
        "a": 1,
        "b": "b",
        "rest": ["2026-01-01", "2026-01-01"],
        "flag": True,
        "named": {"rate": "1.5", "rest": "2"},
    }
    assert parameters.load(text) == (
        [1, "b", day, day],
        {"flag": True, "rate": Decimal("1.5"), "rest": Decimal(2)},
    )


def test_defaults_that_are_not_passed_are_not_stored() -> None:
    parameters = Parameters.of(many)
    assert parameters.bind((1,), {}) == '{"a":1}'
    assert parameters.load('{"a":1}') == ([], {"a": 1})

    def simple(a: int, b: datetime | None = None, *, c: float = 0.5) -> None: ...

    quick = Parameters.of(simple)
    assert quick.bind((1,), {"c": 2.0}) == '{"a":1,"c":2.0}'
    assert quick.load('{"a":1,"c":2.0}') == ([], {"a": 1, "c": 2.0})
    assert quick.load('{"a":1,"b":null}') == ([], {"a": 1, "b": None})


def positional(context: object, a: int, /, b: int = 3, *rest: int) -> tuple[Any, ...]:
    return context, a, b, rest


def test_injected_parameters_are_left_out_and_put_back() -> None:
    parameters = Parameters.of(positional, skip=frozenset({"context"}))
    assert parameters.names == ("a", "b", "rest")
    for args in [(1,), (1, 2), (1, 2, 3, 4)]:
        loaded, named = parameters.load(parameters.bind(args, {}), {"context": "job"})
        assert positional(*loaded, **named) == positional("job", *args)

    def quick(job: object, a: int) -> None: ...

    simple = Parameters.of(quick, skip=frozenset({"job"}))
    assert simple.load(simple.bind((5,), {}), {"job": "j"}) == ([], {"a": 5, "job": "j"})
    with pytest.raises(InvalidArgument, match="passed by the worker"):
        simple.bind((5,), {"job": 1})


def call(recipient: str, subject: str, copies: int = 1) -> None: ...


@pytest.mark.parametrize(
    ("args", "kwargs", "parameter", "words"),
    [
        (("a",), {}, "subject", "is required"),
        ((), {"subject": "s"}, "recipient", "is required"),
        (("a", "b", 1, 2), {}, "positional argument 4", "one too many"),
        (("a", "b"), {"recipent": "x"}, "recipent", "Did you mean 'recipient'"),
        (("a", "b"), {"zzz": "x"}, "zzz", "The task takes recipient: str"),
        (("a", "b"), {"subject": "c"}, "subject", "given twice"),
        (("a", "b", "3"), {}, "copies", "needs int, got str"),
    ],
)
def test_a_call_that_does_not_fit(args: tuple[Any, ...], kwargs: dict[str, Any], parameter: str, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words) as caught:
        Parameters.of(call, task="mail").bind(args, kwargs)
    assert caught.value.parameter == parameter
    assert "task 'mail'" in str(caught.value)


def test_values_of_secret_parameters_are_not_shown() -> None:
    def login(user: int, api_key: int, password: float = 0.0) -> None: ...

    parameters = Parameters.of(login)
    for args, kwargs in [((1, "hunter2"), {}), ((1, 2, "hunter2"), {}), ((1,), {"apikey": "hunter2"})]:
        with pytest.raises(InvalidArgument) as caught:
            parameters.bind(args, kwargs)
        assert "hunter2" not in str(caught.value)
        assert "hunter2" not in repr(caught.value.value)


def test_a_value_whose_repr_fails_still_gets_a_typed_error() -> None:
    class Rude:
        def __repr__(self) -> str:
            raise ValueError("no")

    with pytest.raises(InvalidArgument, match="Rude, its repr raised ValueError"):
        taking(int).bind((Rude(),), {})


def test_the_size_limit_counts_stored_bytes() -> None:
    def note(text: str) -> None: ...

    parameters = Parameters.of(note, max_bytes=100)
    assert len(parameters.bind(("x" * 89,), {})) == 100
    for value in ("x" * 90, "é" * 45):
        with pytest.raises(TooLarge) as caught:
            parameters.bind((value,), {})
        assert (caught.value.size, caught.value.limit) == (101, 100)
    with pytest.raises(TooLarge):
        encode_result("x" * 99, str, max_bytes=100)


DAMAGED = [
    "",
    "{",
    "null",
    "[]",
    '"x"',
    "NaN",
    '{"y":1}',
    "{}",
    '{"x":"\\ud800"}',
    '{"x":' + "[" * 100_000,
    '{"x":' + "[" * 65 + "]" * 65 + "}",
    '{"x":' + '{"a":' * 500 + "1" + "}" * 501,
    '{"x":{"$os.system":"rm"}}',
    '{"x":{"$datetime":5}}',
    '{"x":{"$datetime":"2026-05-01"}}',
    '{"x":{"$set":[[1]]}}',
    '{"x":{"$set":{"a":1}}}',
    '{"x":{"$dict":5}}',
    '{"x":{"$dict":["ab"]}}',
    '{"x":{"$dict":[[[],1]]}}',
    '{"x":{"$bytes":"!"}}',
    '{"x":{"$decimal":"abc"}}',
    '{"x":{"$uuid":"abc"}}',
    '{"x":{"$timedelta":"P1Y"}}',
    '{"x":{"$time":"25:00"}}',
    '{"x":1e999}',
    '{"x":' + "9" * 5000 + "}",
    "\ud800",
]


@pytest.mark.parametrize("annotation", [Any, Order, list[Line], dict[UUID, int], dict[tuple[int, int], str], Options])
@pytest.mark.parametrize("text", DAMAGED, ids=ascii)
def test_damaged_text_is_a_decode_error_and_nothing_else(annotation: Any, text: str) -> None:
    with pytest.raises(DecodeError):
        taking(annotation).load(text)


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"rest":5}', '{"a":1,"named":[]}', '{"a":1,"named":{"a":"2"}}', '{"a":1,"named":{"flag":"1"}}'],
)
def test_damaged_variadics_are_decode_errors(text: str) -> None:
    with pytest.raises(DecodeError):
        Parameters.of(many).load(text)


@dataclasses.dataclass
class Left:
    inner: "Left | Right | None" = None


@dataclasses.dataclass
class Right:
    inner: "Left | Right | None" = None


def test_text_that_fits_no_member_of_nested_unions_is_refused_after_few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    def counted(self: Record, stored: Any) -> Any:
        nonlocal tries
        tries += 1
        return unpack(self, stored)

    unpack = Record.unpack
    monkeypatch.setattr(Record, "unpack", counted)
    with pytest.raises(DecodeError):
        taking(Left).load('{"x":' + '{"inner":' * 12 + "5" + "}" * 13)
    assert tries < 200


def test_a_class_that_refuses_its_fields_is_a_decode_error() -> None:
    @dataclasses.dataclass
    class Positive:
        n: int

        def __post_init__(self) -> None:
            if self.n < 0:
                raise OSError("negative")

    with pytest.raises(DecodeError, match="refuses its stored fields"):
        taking(Positive).load('{"x":{"n":-1}}')


# Fixed offsets: to Python, a datetime in the hour that its zone repeats equals no other.
AWARE = st.datetimes(timezones=st.timezones() | st.just(UTC)).map(lambda v: datetime.fromisoformat(v.isoformat()))
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"))
    | st.sampled_from(["$datetime", "$dict", "$any", "$"])
    | st.binary(max_size=20)
    | AWARE
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(
            st.sampled_from(["$datetime", "$dict", "$set", "$any", "a", ""]) | st.text("$ab"),
            inner,
            max_size=2,
        )
        | st.dictionaries(st.integers() | st.dates() | st.booleans(), inner, max_size=2)
        | st.sets(st.integers() | st.uuids(), max_size=3)
        | st.frozensets(st.text("ab"), max_size=3)
    ),
    max_leaves=12,
)


@given(ANYTHING)
def test_any_value_comes_back_the_same_without_annotation(value: object) -> None:
    assert same(through(Any, value), value)
    assert same(decode_result(encode_result(value, int), int), value)
    assert same(decode_result(encode_result(value)), value)


@given(st.datetimes(timezones=st.timezones(), allow_imaginary=False))
def test_a_moment_in_a_named_zone_keeps_its_offset(value: datetime) -> None:
    back = through(datetime, value)
    assert isinstance(back, datetime)
    assert back.astimezone(UTC) == value.astimezone(UTC)
    assert (back.replace(tzinfo=None), back.utcoffset()) == (
        value.replace(tzinfo=None, fold=0),
        value.utcoffset(),
    )


@given(st.data())
def test_annotated_values_come_back_the_same(data: st.DataObject) -> None:
    line = st.builds(Line, st.uuids(), st.decimals(allow_nan=False), st.integers())
    order = st.builds(Order, st.lists(line, max_size=2), AWARE, st.sets(st.sampled_from(Colour)))
    table = st.dictionaries(st.dates() | st.integers(), AWARE | order | st.text("$ab") | st.none(), max_size=3)
    value = data.draw(table)
    assert same(through(dict[date | int, datetime | Order | str | None], value), value)


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")) | ANYTHING.map(lambda v: encode_result(v)))
def test_no_text_gets_another_error_than_decode_error(text: str) -> None:
    for annotation in (Any, Order, dict[UUID, list[int | date]], tuple[int, ...]):
        for read in (
            lambda a=annotation: taking(a).load('{"x":' + text + "}"),
            lambda a=annotation: decode_result(text, a),
        ):
            with contextlib.suppress(DecodeError):
                read()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text() | st.sampled_from(["$set", "$dict", "$tuple", "$date", "lines", "at"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@given(JSON)
def test_no_json_gets_another_error_than_decode_error(value: object) -> None:
    for annotation, _ in CASES:
        if isinstance(annotation, str):
            continue
        with contextlib.suppress(DecodeError):
            taking(annotation).load(json.dumps({"x": value}))


def test_equal_sets_have_equal_texts() -> None:
    program = "from backburner.codec import encode_result; print(encode_result({'a','b','c','d','e'}))"
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert texts == {'{"$set":["a","b","c","d","e"]}\n'}


def test_a_result_that_does_not_fit_its_annotation_is_stored_self_describing() -> None:
    text = encode_result((1, NOW), list[int])
    assert text == '{"$any":{"$tuple":[1,{"$datetime":"2026-05-01T12:30:15.000250Z"}]}}'
    assert decode_result(text, list[int]) == (1, NOW)
    assert decode_result(text) == (1, NOW)
    assert decode_result(encode_result("2026-05-01T00:00:00Z", datetime), datetime) == "2026-05-01T00:00:00Z"
    assert decode_result(encode_result({"$any": 1}, dict[str, int]), dict[str, int]) == {"$any": 1}
    assert encode_result(None, int) == "null"
    assert decode_result("null", int) is None


def test_a_result_is_readable_without_its_annotation() -> None:
    assert decode_result(encode_result(LINE, Line)) == {
        "product": str(UUID(int=5)),
        "price": "1.10",
        "count": 2,
    }


@pytest.mark.parametrize(
    ("value", "annotation"), [(LINE, int), (Plain(), Plain), (math.nan, float), ("\ud800", str), (LOOP, list)]
)
def test_a_result_that_cannot_be_stored(value: object, annotation: Any) -> None:
    with pytest.raises(NotSerializable, match="the result"):
        encode_result(value, annotation)


@pytest.mark.parametrize("text", ["", "{", '{"$any":{"$x":1}}', '{"$nope":1}', "[" * 70 + "]" * 70, "[" * 99_999])
def test_a_damaged_result_is_a_decode_error(text: str) -> None:
    with pytest.raises(DecodeError, match="stored result cannot be read"):
        decode_result(text)


class Holder:
    def method(self, a: int) -> None: ...

    @staticmethod
    def static(a: int) -> None: ...

    def __call__(self, a: int) -> None: ...


@pytest.mark.parametrize(
    "function", [Holder().method, Holder.method, Holder(), Holder, functools.partial(Holder().method, 1)]
)
def test_methods_and_objects_are_no_tasks(function: Callable[..., Any]) -> None:
    with pytest.raises(InvalidTask, match="module-level function"):
        Parameters.of(function)


def test_wrapped_partial_and_static_functions_are_read_through() -> None:
    @functools.wraps(call)
    def wrapper(*args: Any, **kwargs: Any) -> None: ...

    assert Parameters.of(wrapper).names == ("recipient", "subject", "copies")
    with pytest.raises(InvalidArgument, match="needs str, got int"):
        Parameters.of(wrapper).bind((1, "s"), {})
    part = Parameters.of(functools.partial(call, "me", copies=3))
    assert part.bind((), {"subject": "s"}) == '{"subject":"s"}'
    assert Parameters.of(Holder.static).bind((1,), {}) == '{"a":1}'


def test_names_that_only_a_type_checker_knows() -> None:
    def ghostly(job: "Ghost", a: "int") -> "Ghost": ...

    assert hints_of(ghostly) == {"job": "Ghost", "a": int, "return": "Ghost"}
    parameters = Parameters.of(ghostly, skip=frozenset({"job"}))
    assert parameters.bind((1,), {}) == '{"a":1}'
    assert parameters.returns is Any
    with pytest.raises(InvalidTask, match="TYPE_CHECKING"):
        Parameters.of(ghostly)


class Broken:
    """Classes with an annotation that cannot be read, each for another reason."""

    @dataclasses.dataclass
    class Name:
        x: "datetime.nothing"  # type: ignore[name-defined]

    @dataclasses.dataclass
    class Grammar:
        x: "int |"  # type: ignore[valid-type] # noqa: F722

    @dataclasses.dataclass
    class Operator:
        x: "'a' | 3"  # type: ignore[valid-type,name-defined] # noqa: F821


@pytest.mark.parametrize("annotation", [Broken.Name, Broken.Grammar, Broken.Operator])
def test_a_class_with_an_annotation_that_cannot_be_read_is_refused_when_declared(annotation: Any) -> None:
    with pytest.raises(InvalidTask, match=f"{annotation.__name__} has an annotation that cannot be read at run time"):
        taking(annotation)
    assert through(annotation | None, None) is None


@pytest.mark.parametrize("annotation", ["1 / 0", "{}['a']", "int |"])
def test_an_annotation_that_cannot_be_read_is_refused_when_declared(annotation: str) -> None:
    with pytest.raises(InvalidTask, match="parameter 'x' does not exist at run time"):
        taking(annotation)


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[Decimal, msgspec.Meta(gt=0)],
        Annotated[int | None, msgspec.Meta(ge=1)],
        Annotated[list[Card | Order], msgspec.Meta(min_length=1)],
    ],
)
def test_limits_that_cannot_be_checked_are_refused_when_declared(annotation: Any) -> None:
    with pytest.raises(InvalidTask, match="parameter 'x': .*cannot be checked"):
        taking(annotation)


def test_a_required_parameter_nobody_can_pass_is_refused_when_declared() -> None:
    with pytest.raises(InvalidTask, match="Plain is no type that can be stored"):
        taking(Plain)

    def optional(a: int, session: Plain = Plain()) -> None: ...  # noqa: B008 - a default of such a type

    parameters = Parameters.of(optional)
    assert parameters.bind((1,), {}) == '{"a":1}'
    with pytest.raises(NotSerializable, match="parameter 'session'"):
        parameters.bind((1, Plain()), {})


def test_arguments_by_name_for_titles() -> None:
    assert Parameters.of(call).named(("a", "b"), {}) == {"recipient": "a", "subject": "b", "copies": 1}


def test_schema_names_the_stored_form() -> None:
    def export(order: Order, ids: list[int], until: datetime | None = None, kind: Colour = Colour.RED) -> None: ...

    schema = Parameters.of(export).schema()
    assert schema["required"] == ["order", "ids"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["ids"] == {"type": "array", "items": {"type": "integer"}}
    assert schema["properties"]["until"] == {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}
    assert schema["properties"]["kind"] == {"enum": ["red", "blue"]}
    assert schema["properties"]["order"] == {"$ref": "#/$defs/Order"}
    assert schema["$defs"]["Order"]["properties"]["inside"]["anyOf"][0] == {"$ref": "#/$defs/Order"}
    assert schema["$defs"]["Line"]["required"] == ["product", "price"]
    assert taking(Card).schema()["$defs"]["Card"]["properties"]["valid"]["format"] == "date"
    assert taking(Annotated[int, msgspec.Meta(gt=0)]).schema()["properties"]["x"] == {
        "type": "integer",
        "exclusiveMinimum": 0,
    }


def test_plain_signatures_take_the_quick_way() -> None:
    def plain(a: int, b: str, c: UUID, *, d: datetime | None = None, e: Any = 1) -> None: ...

    assert isinstance(Parameters.of(plain)._fast, FastForm)
    assert taking(Order)._fast is None


def test_nothing_optional_is_imported() -> None:
    program = "import sys, backburner.codec; print({'pydantic', 'sqlalchemy', 'fastapi'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path("/"))
    assert done.stdout == "set()\n"


def test_every_error_has_the_one_root() -> None:
    assert plan_for(int).name == "int"
    for error in (InvalidArgument, NotSerializable, TooLarge, DecodeError, InvalidTask):
        assert issubclass(error, BackburnerError)
