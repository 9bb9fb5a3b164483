"""`Secret` and how it is stored: encrypted for its place, opened there alone, and told in no text."""

import contextlib
import copy
import dataclasses
import json
import logging
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backburner import Backburner, Secret
from backburner.cipher import Cipher
from backburner.codec import ENCRYPTED, HIDDEN, Parameters, encode_result, readable, review, steady
from backburner.errors import (
    BackburnerError,
    DecodeError,
    InvalidArgument,
    InvalidTask,
    MissingExtra,
    NotSerializable,
    SettingsError,
)
from backburner.vault import Vault

CANARY = "canary-71c2"
FIRST, SECOND = "the first secret of all", "the second secret of all"
ID, OTHER = "019a3f2e-5b1c-7d24-9c41-6a1b2c3d4e5f", "019a3f2e-5b1c-7d24-9c41-6a1b2c3d4e60"
BOX = Vault([FIRST]).box("shop.sync", ID)


class Plain:
    pass


@dataclasses.dataclass
class Login:
    user: str
    password: Secret[str]


class Key(NamedTuple):
    name: str
    value: Secret[bytes]


class Account(TypedDict):
    token: Secret[str]


class Range(TypedDict):
    first: int


class Device(msgspec.Struct):
    pin: Secret[int]


class Card(pydantic.BaseModel):
    number: str


def parameters(annotation: Any) -> Parameters:
    def function(x: Any) -> None: ...

    function.__annotations__["x"] = annotation
    return Parameters.of(function, task="shop.sync")


def told(error: BaseException | None) -> str:
    """All that an error says, and those behind it."""
    said = []
    while error is not None:
        said += [str(error), repr(error), repr(vars(error))]
        error = error.__cause__ or error.__context__
    return "\n".join(said)


def test_no_text_of_it_shows_the_value(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(CANARY)
    logging.getLogger("app").warning("token %s %r", secret, [secret])
    texts = [repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", f"{secret:>40}", repr({"a": (secret,)}),
             repr(Login("ada", secret)), format(secret, "10"), caplog.text, repr(dir(secret))]  # fmt: skip
    assert CANARY not in "".join(texts)
    assert secret.reveal() == CANARY
    for written in (pickle.dumps, json.dumps, msgspec.json.encode, msgspec.msgpack.encode):
        with pytest.raises(TypeError) as refused:
            written(secret)
        assert CANARY not in told(refused.value)


def test_a_copy_is_the_same_and_equal_ones_are_equal() -> None:
    secret = Secret(CANARY)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret
    assert dataclasses.asdict(Login("ada", secret))["password"].reveal() == CANARY
    for same, other in (("a", "b"), (b"a", b"b"), (7, 8), (("a",), ("b",)), ("ü\udc80", "ü")):
        assert Secret(same) == Secret(same)
        assert Secret(same) != Secret(other)
        assert hash(Secret(same)) == hash(Secret(same))
    assert Secret("a") != "a"
    assert Secret("a") != Secret(b"a")
    with pytest.raises(TypeError, match="one too many"):
        Secret(secret)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Secret[str], Secret(CANARY)),
        (Secret, Secret({"a": [CANARY]})),
        (Secret[dict[str, str]], Secret({"$secret": CANARY})),
        (Secret[UUID], Secret(UUID(int=7))),
        (Secret[Card], Secret(Card(number=CANARY))),
        (Secret[str | None], Secret(None)),
        (Secret[Annotated[str, msgspec.Meta(min_length=3)]], Secret(CANARY)),
        (Secret[str] | None, Secret(CANARY)),
        (Secret[str] | None, None),
        (Login, Login("ada", Secret(CANARY))),
        (Key, Key("a", Secret(CANARY.encode()))),
        (Account, {"token": Secret(CANARY)}),
        (Device, Device(Secret(1234))),
        (list[Secret[str]], [Secret(CANARY), Secret("b")]),
        (set[Secret[str]], {Secret(CANARY), Secret("b")}),
        (dict[str, Secret[str]], {"a/b~c": Secret(CANARY)}),
        (dict[Secret[str], int], {Secret(CANARY): 1}),
        (tuple[str, Login], ("a", Login("ada", Secret(CANARY)))),
    ],
)
def test_what_was_passed_comes_back_and_is_not_in_the_stored_text(annotation: Any, value: Any) -> None:
    made = parameters(annotation)
    text = made.bind((value,), {}, BOX)
    assert CANARY not in text
    assert made.load(text, box=BOX) == ([], {"x": value})
    assert CANARY not in repr(made.load(text, box=BOX))
    if value is not None:
        assert text != made.bind((value,), {}, BOX), "who reads the table sees not even which are equal"
        assert steady(text, BOX) == steady(made.bind((value,), {}, BOX), BOX)
        assert CANARY not in steady(text, BOX)
        with pytest.raises(NotSerializable, match="nothing encrypts it here"):
            made.bind((value,), {})
        with pytest.raises(DecodeError, match="does not open here"):
            made.load(text)


def test_a_plain_value_is_taken_and_becomes_one() -> None:
    made = parameters(Secret[str])
    text = made.bind((CANARY,), {}, BOX)
    assert CANARY not in text
    assert made.load(text, box=BOX)[1] == {"x": Secret(CANARY)}
    assert made.load(json.dumps({"x": CANARY}), box=BOX)[1] == {"x": Secret(CANARY)}, "stored before it was a secret"


def boxes() -> Iterator[tuple[str, Any]]:
    """Where what `BOX` has closed must not open."""
    yield "another job", Vault([FIRST]).box("shop.sync", OTHER)
    yield "another task", Vault([FIRST]).box("shop.other", ID)
    yield "another secret", Vault([SECOND]).box("shop.sync", ID)
    yield "no secret", Vault([]).box("shop.sync", ID)


@pytest.mark.parametrize("box", [pytest.param(box, id=name) for name, box in boxes()])
def test_elsewhere_it_does_not_open(box: Any) -> None:
    made = parameters(Secret[str])
    text = made.bind((CANARY,), {}, BOX)
    with pytest.raises(DecodeError, match="at x: is encrypted, and does not open here"):
        made.load(text, box=box)
    assert review(made, json.loads(text), box)[0].problem.startswith("is encrypted")


def test_at_another_place_of_the_same_job_it_does_not_open() -> None:
    def function(a: Secret[str], b: Secret[str], c: list[Secret[str]], *more: Secret[str]) -> None: ...

    made = Parameters.of(function, task="shop.sync")
    stored = json.loads(made.bind(("1", "2", ["3", "4"], "5"), {}, BOX))
    assert made.load(json.dumps(stored), box=BOX)[0][0] == Secret("1")
    swapped = [
        stored | {"a": stored["b"], "b": stored["a"]},
        stored | {"c": stored["c"][::-1]},
        stored | {"a": stored["c"][0]},
        stored | {"more": [stored["a"]]},
        stored | {"a": {"$secret": "A" * 40}},
        stored | {"a": {"$secret": "no base64"}},
        stored | {"a": {"$secret": ""}},
        stored | {"a": {"$secret": 7}},
        stored | {"a": {"$secret": stored["a"]["$secret"][:-8] + "AAAAAAA="}},
    ]
    for wrong in swapped:
        with pytest.raises(DecodeError):
            made.load(json.dumps(wrong), box=BOX)


def test_a_secret_that_was_replaced_still_opens() -> None:
    made = parameters(Secret[str])
    text = made.bind((CANARY,), {}, BOX)
    after = Vault([SECOND, FIRST]).box("shop.sync", ID)
    assert made.load(text, box=after)[1] == {"x": Secret(CANARY)}
    edited = made.rebound(text, after)
    assert made.load(edited, box=Vault([SECOND]).box("shop.sync", ID))[1] == {"x": Secret(CANARY)}, "by the new one"


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Secret[int], CANARY),
        (Secret[str], [CANARY]),
        (Secret[str], f"\udc80{CANARY}"),
        (Secret[Card], CANARY),
        (Secret[Range], {CANARY: 1}),
        (Secret[dict[str, int]], {CANARY: CANARY}),
        (Secret[Annotated[str, msgspec.Meta(max_length=3)]], CANARY),
        (Secret[float], float("nan")),
        (Login, Login("ada", Secret([CANARY]))),  # type: ignore[arg-type]
        (Secret, object()),
    ],
)  # fmt: skip
def test_no_error_repeats_a_value_that_does_not_fit(annotation: Any, value: Any) -> None:
    made: Parameters = parameters(annotation)
    with pytest.raises(BackburnerError) as refused:
        made.bind((value,), {}, BOX)
    assert CANARY not in told(refused.value)
    assert "'x'" in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [
        (((CANARY, Secret("a")), {})),
        (((1,), {"tokn": CANARY})),
        (((1, 2, CANARY), {})),
        (((1, CANARY), {"token": CANARY})),
        (((1, CANARY), {"count": CANARY})),
        (((CANARY,), {})),
    ],
)
def test_arguments_that_were_mixed_up_are_not_repeated(given: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
    def function(count: int, token: Secret[str]) -> None: ...

    with pytest.raises(InvalidArgument) as refused:
        Parameters.of(function, task="shop.sync").bind(*given, BOX)
    assert CANARY not in told(refused.value)


@pytest.mark.parametrize("stored", [f'["{CANARY}"]', f'{{"{CANARY}":"{CANARY}"}}', "7", '{"$secret":{}}'])
def test_nor_are_stored_ones(stored: str) -> None:
    for annotation in (Secret[bool], Secret[str] | None, Secret[Range]):
        with pytest.raises(DecodeError) as refused:
            parameters(annotation).load(f'{{"x":{stored}}}', box=BOX)
        assert CANARY not in told(refused.value)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["$secret", "a", "/"]), inner)))  # fmt: skip
def test_whatever_is_stored_is_read_or_cannot_be(stored: Any) -> None:
    for annotation in (Secret[str], Secret[str] | None, dict[str, Secret[Any]], list[Secret[str]], Login):
        made: Parameters = parameters(annotation)
        with contextlib.suppress(DecodeError):
            assert "***" in repr(made.load(json.dumps({"x": stored}), box=BOX)) or not stored
        review(made, {"x": stored}, BOX)


def test_a_key_that_no_database_stores_has_its_own_error() -> None:
    with pytest.raises(NotSerializable, match="lone surrogate"):
        parameters(dict[str, Secret[str]]).bind(({"\udc80": Secret(CANARY)},), {}, BOX)


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        (Secret[str] | str, "nothing tells when it is secret"),
        (Secret[str] | Secret[int], "nothing tells when it is secret"),
        (Secret[str] | Any, "nothing tells when it is secret"),
        (Secret[Secret[str]], "one of the two is too many"),
        (Secret[Login], "one of the two is too many"),
        (Secret[Plain], "no type that can be stored"),
        (Annotated[Secret[str], msgspec.Meta(min_length=1)], "belong inside"),
    ],
)
def test_annotations_that_would_leave_something_in_the_clear(annotation: Any, problem: str) -> None:
    with pytest.raises(InvalidTask, match=problem):
        parameters(annotation)


def test_a_default_is_a_secret_too() -> None:
    def plain(token: Secret[str] = CANARY) -> None: ...  # type: ignore[assignment]

    def fine(token: Secret[str] = Secret(CANARY), other: Secret[str] | None = None) -> None: ...  # noqa: B008

    with pytest.raises(InvalidTask, match=r"the default of parameter 'token' is no Secret\. Write Secret") as refused:
        Parameters.of(plain)
    assert CANARY not in told(refused.value)
    assert Parameters.of(fine).bind((), {}) == "{}"


def test_what_is_not_annotated_takes_none() -> None:
    for annotation in (Any, str, list[Any]):
        value = [Secret(CANARY)] if annotation == list[Any] else Secret(CANARY)
        with pytest.raises((InvalidArgument, NotSerializable)) as refused:
            parameters(annotation).bind((value,), {}, BOX)
        assert CANARY not in told(refused.value)
    with pytest.raises(NotSerializable):
        encode_result(Secret(CANARY))
    text = parameters(Secret[str]).bind((CANARY,), {}, BOX)
    for now in (str, Any, list[str], dict[str, str]):
        try:
            found = parameters(now).load(text, box=BOX)
        except DecodeError:
            continue
        assert CANARY not in repr(found), "an annotation that is secret no more opens nothing"


def test_the_schema_says_that_nobody_gets_it_back() -> None:
    def function(token: Secret[str], login: Login, pin: Secret[int] | None = None) -> None: ...

    schema = Parameters.of(function).schema()
    assert schema["properties"]["token"] == {"type": "string", "writeOnly": True, "format": "password"}
    assert schema["$defs"]["Login"]["properties"]["password"]["writeOnly"] is True
    assert schema["properties"]["pin"]["anyOf"][0] == {"type": "integer", "writeOnly": True}


def test_shown_is_that_it_is_encrypted() -> None:
    text = '{"token":{"$secret":"abc"},"shop":{"$secret":"abc"},"plain":"seen","old":"clear","list":[{"$secret":"a"}]}'
    assert json.loads(readable(text, ["old", "token", "other"])) == {
        "token": ENCRYPTED, "shop": ENCRYPTED, "plain": "seen", "old": HIDDEN, "list": [ENCRYPTED],
    }  # fmt: skip


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Callable[..., Backburner]]:
    made: list[Backburner] = []

    def make(**settings: Any) -> Backburner:
        made.append(Backburner(f"sqlite:///{tmp_path / f'{len(made)}.db'}", **settings))
        return made[-1]

    yield make
    for jobs in made:
        jobs.close()


def test_without_the_setting_nothing_is_stored(app: Callable[..., Backburner]) -> None:
    jobs = app()

    @jobs.task
    def sync(token: Secret[str], login: Login | None = None) -> None: ...

    for enqueue in (sync.enqueue, lambda token: jobs.enqueue_many(sync, [(token,)]), sync.options(delay=9).enqueue):
        with pytest.raises(SettingsError, match=r"'secret' = None .*BACKBURNER_SECRET") as refused:
            enqueue(Secret(CANARY))
        assert CANARY not in told(refused.value)
    with pytest.raises(SettingsError):
        jobs.schedule(sync, every=60, args=(Secret(CANARY),))
    assert jobs.find() == []


def test_a_call_that_is_no_tuple_is_not_repeated(app: Callable[..., Backburner]) -> None:
    jobs = app(secret=FIRST)

    @jobs.task
    def sync(token: Secret[str]) -> None: ...

    calls: tuple[Callable[[], Any], ...] = (
        lambda: jobs.enqueue_many(sync, [CANARY]),  # type: ignore[list-item]
        lambda: jobs.schedule(sync, every=60, args=CANARY),  # type: ignore[arg-type]
        lambda: jobs.edit(sync.enqueue(Secret("a")), f'{{"token":["{CANARY}"]}}'),
        lambda: jobs.edit(sync.enqueue(Secret("a")), f'{{"token":"{CANARY}'),
    )
    for call in calls:
        with pytest.raises(InvalidArgument) as refused:
            call()
        assert CANARY not in told(refused.value)


def test_without_the_package_neither(app: Callable[..., Backburner], monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = app(secret=FIRST)

    @jobs.task
    def sync(token: Secret[str]) -> None: ...

    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(MissingExtra, match=r"pip install 'backburner\[secrets\]'"):
        sync.enqueue(Secret(CANARY))
    assert jobs.find() == []


def test_settings_that_come_late(app: Callable[..., Backburner]) -> None:
    jobs = app()

    @jobs.task
    def sync(token: Secret[str]) -> None: ...

    jobs.configure(secret=FIRST)
    assert "$secret" in sync.enqueue(Secret(CANARY)).args


def test_what_cannot_be_secret_is_refused_when_it_is_declared(app: Callable[..., Backburner]) -> None:
    jobs = app(secret=FIRST)

    def pickled(token: Secret[str]) -> None: ...

    def returns(token: str) -> dict[str, Secret[str]]:
        return {}

    with pytest.raises(InvalidTask, match="signed and not encrypted"):
        jobs.task(codec="pickle")(pickled)
    with pytest.raises(InvalidTask, match="signed and not encrypted"):
        jobs.task(pickle_types=[])(pickled)

    def odd(token: Secret[Plain], other: Secret[str] = CANARY) -> None: ...  # type: ignore[assignment]

    with pytest.raises(InvalidTask, match="signed and not encrypted"):
        jobs.task(codec="pickle", pickle_types=[Plain])(odd)
    with pytest.raises(InvalidTask, match="results are not encrypted"):
        jobs.task(returns)


def test_a_call_here_and_now_gives_the_same_as_a_worker(app: Callable[..., Backburner]) -> None:
    jobs, seen = app(secret=FIRST), list[Any]()

    @jobs.task
    def sync(token: Secret[str], *more: Secret[int], other: Secret[str] | None = None) -> None:
        seen.append((token, more, other))

    sync("a")  # type: ignore[arg-type]
    sync(Secret("a"), 1, other="b")  # type: ignore[arg-type]
    sync.enqueue_if(False, "a", other=None)  # type: ignore[arg-type]
    assert seen == [
        (Secret("a"), (), None), (Secret("a"), (Secret(1),), Secret("b")), (Secret("a"), (), None),
    ]  # fmt: skip
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        sync()  # type: ignore[call-arg]


def test_a_title_has_it_masked(app: Callable[..., Backburner]) -> None:
    jobs = app(secret=FIRST)

    @jobs.task(title="Sync {shop} as {login} by {token}")
    def sync(shop: int, token: Secret[str], login: Account) -> None: ...

    job = sync.enqueue(7, CANARY, login={"token": CANARY})  # type: ignore[arg-type,typeddict-item]
    assert job.title == "Sync 7 as *** by ***"


def test_keys_of_equal_calls_are_equal_and_tell_nothing(app: Callable[..., Backburner]) -> None:
    jobs = app(secret=FIRST)

    @jobs.task(unique="live")
    def sync(token: Secret[str]) -> None: ...

    one = sync.enqueue(Secret(CANARY))
    assert sync.enqueue(Secret(CANARY)).id == one.id
    assert sync.enqueue(Secret("other")).id != one.id
    elsewhere = app(secret=SECOND)
    again = elsewhere.task(unique="live", name=sync.name)(sync.function).enqueue(Secret(CANARY))
    assert again.unique_key != one.unique_key, "who has not the secret cannot try values"


def test_a_cipher_opens_what_it_has_closed_for_the_same_subject_and_place() -> None:
    cipher = Cipher([FIRST], b"test", "secrets", "a test")
    closed = cipher.close(b"text", "job", "place")
    assert cipher.open(closed, "job", "place") == b"text"
    for wrong in (cipher.open(closed, "job"), cipher.open(closed, "other", "place"), cipher.open("AAAA", "job"),
                  Cipher([FIRST], b"other", "secrets", "a test").open(closed, "job", "place")):  # fmt: skip
        assert wrong is None
