"""The filter language: what it reads, how it writes it, and where it says that something is wrong."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backburner.condition import Between, Condition, Exact, Field, Prefix
from backburner.errors import FilterError
from backburner.job import JobFilter
from backburner.states import JobState
from backburner.where import MAX_TEXT, Age, Term, Where

NOW = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
ID = "019a3f2e-5b1c-7d24-9c41-6a1b2c3d4e5f"


def read(text: str) -> JobFilter:
    return Where.of(text).filter(NOW)


def asks(field: Field, *values: object, negated: bool = False) -> JobFilter:
    return JobFilter(conditions=(Condition(field, values, negated),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", JobFilter()),
        ("state:failed", JobFilter(states=frozenset({JobState.FAILED}))),
        ("state:failed,queued", JobFilter(states=frozenset({JobState.FAILED, JobState.QUEUED}))),
        ("state:failed STATE:Queued", JobFilter(states=frozenset({JobState.FAILED, JobState.QUEUED}))),
        ("-state:succeeded", JobFilter(states=frozenset(JobState) - {JobState.SUCCEEDED})),
        ("state:failed -state:failed", JobFilter(states=frozenset())),
        ("task:a queue:mail tag:x owner:lena identifier:order:12",
         JobFilter(task="a", queue="mail", tag="x", owner="lena", identifier="order:12")),
        ("task:orders.*", asks(Field.TASK, Prefix("orders."))),
        ('task:"orders.*"', JobFilter(task="orders.*")),
        ('tag:"black friday"*', asks(Field.TAG, Prefix("black friday"))),
        ("owner:*", asks(Field.OWNER, Prefix(""))),
        ("task:a,b", asks(Field.TASK, Exact("a"), Exact("b"))),
        ("task:a task:b task:a", asks(Field.TASK, Exact("a"), Exact("b"))),
        ("-queue:mail", asks(Field.QUEUE, Exact("mail"), negated=True)),
        ('owner:"Lena \\"L\\" Vogt"', JobFilter(owner='Lena "L" Vogt')),
        ("error:Timeout", asks(Field.ERROR, Exact("Timeout"))),
        ("fingerprint:9f31c2aa", asks(Field.FINGERPRINT, Exact("9f31c2aa"))),
        (f"id:{ID.upper()}", asks(Field.ID, Exact(ID))),
        ("created:>2h", asks(Field.CREATED, Between(high=NOW - timedelta(hours=2)))),
        ("finished:<24h", asks(Field.FINISHED, Between(low=NOW - timedelta(hours=24)))),
        ("created:2026-11-24", asks(Field.CREATED, Between(NOW.replace(hour=0), NOW.replace(day=25, hour=0)))),
        ("created:>2026-11-24T14:00Z", asks(Field.CREATED, Between(low=NOW))),
        ("created:<2026-11-24T15:00+01:00", asks(Field.CREATED, Between(high=NOW))),
        ("priority:10", asks(Field.PRIORITY, Between(10, 10))),
        ("priority:10-20", asks(Field.PRIORITY, Between(10, 20))),
        ("priority:-20", asks(Field.PRIORITY, Between(None, 20))),
        ("priority:25-", asks(Field.PRIORITY, Between(25, None))),
        ("parcel", asks(Field.TEXT, Exact("parcel"))),
        ('"parcel 12"', asks(Field.TEXT, Exact("parcel 12"))),
        ('"state:failed"', asks(Field.TEXT, Exact("state:failed"))),
        ('-"12, 13"', asks(Field.TEXT, Exact("12, 13"), negated=True)),
        ("12,13", asks(Field.TEXT, Exact("12,13"))),
    ],
)  # fmt: skip
def test_what_is_read(text: str, wanted: JobFilter) -> None:
    assert read(text) == wanted


def test_times_and_words_are_all_asked_for() -> None:
    found = read("created:>1h created:<2h parcel brno")
    assert [condition.field for condition in found.conditions] == [Field.CREATED] * 2 + [Field.TEXT] * 2


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("parcel  created:>120min task:b,a   state:queued,failed", "state:queued,failed task:b,a created:>2h parcel"),
        ('queue:"mail"', "queue:mail"),
        ("state:failed state:failed", "state:failed"),
        ("finished:<1d finished:<24h", "finished:<1d"),
        ("created:2026-11-24", "created:2026-11-24"),
        ("created:>2026-11-24T15:00:30+01:00", "created:>2026-11-24T14:00:30Z"),
        ("-error:Conn*", "-error:Conn*"),
        ('"a:b"', '"a:b"'),
        ("priority:5-5", "priority:5"),
    ],
)
def test_the_canonical_form(text: str, canonical: str) -> None:
    assert str(Where.of(text)) == canonical
    assert str(Where.of(canonical)) == canonical
    assert read(canonical) == read(text)


WRONG = [
    ("stat:failed", 0, "Did you mean state"),
    ("https://x.example", 0, "in quotes"),
    ("state:done", 6, "States are"),
    ("a state:succeded", 8, "Did you mean succeeded"),
    ("task:", 0, "task:orders.*"),
    ("task:a*b", 5, "at the end alone"),
    ('queue:"mail', 0, "Close it"),
    ('queue:ma"il"', 6, "in quotes"),
    ("queue:a,", 6, "one value in quotes"),
    ("queue:,a", 6, "one value in quotes"),
    ("created:2h", 8, ">2h"),
    ("created:>2026-13-01", 8, ">2h"),
    ("created:>999999999w", 8, "Give less"),
    ("priority:high", 9, "10-20"),
    ("priority:20-10", 9, "lower number first"),
    ("id:12", 3, "36 characters"),
    ("-", 0, "-word"),
    ('owner:""', 6, "Write a value"),
    ("tag:" + "x" * 201, 4, "at most 200"),
    ("x" * (MAX_TEXT + 1), MAX_TEXT, "at most 1,000"),
    ("task:" + ",".join("a" * 51), 0, "at most 50"),
    ("owner:a\x1bb", 6, "Remove it"),
    ("owner:a\0b", 6, "Remove it"),
]


@pytest.mark.parametrize(("text", "position", "remedy"), WRONG)
def test_what_is_wrong_is_said_with_its_place_and_the_remedy(text: str, position: int, remedy: str) -> None:
    with pytest.raises(FilterError) as raised:
        Where.of(text)
    assert raised.value.position == position
    assert remedy in str(raised.value)
    assert len(str(raised.value)) < 400


def test_terms_know_where_they_stand() -> None:
    text = '  state:failed -tag:"black friday" x'
    terms = Where.of(text).terms
    assert [text[term.start : term.end] for term in terms] == ["state:failed", '-tag:"black friday"', "x"]


def test_chips_change_the_state_and_terms_are_taken_away() -> None:
    where = Where.of("state:failed owner:lena")
    assert str(where.with_state(JobState.RUNNING)) == "state:running owner:lena"
    assert str(where.with_state()) == "owner:lena"
    assert str(where.without(where.terms[1])) == "state:failed"
    assert not Where.of("   ")


TEXTS = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1, max_size=12).filter(
    str.isprintable
)
FIELDS = st.sampled_from([Field.TASK, Field.TAG, Field.OWNER, Field.IDENTIFIER, Field.ERROR, Field.QUEUE])
TERMS = st.one_of(
    st.builds(Term, FIELDS, st.tuples(st.builds(Exact, TEXTS)), st.booleans()),
    st.builds(Term, FIELDS, st.tuples(st.builds(Prefix, TEXTS)), st.booleans()),
    st.builds(Term, st.just(Field.TEXT), st.tuples(st.builds(Exact, TEXTS)), st.booleans()),
    st.builds(Term, st.just(Field.CREATED), st.tuples(st.builds(Age, st.integers(0, 10**6), st.booleans()))),
)


@given(st.lists(TERMS, max_size=6))
def test_what_is_written_is_read_as_the_same(terms: list[Term]) -> None:
    where = Where(tuple(terms))
    again = Where.of(str(where))
    assert again.filter(NOW) == Where.of(str(again)).filter(NOW)
    assert sorted(map(str, again._merged())) == sorted(map(str, where._merged()))


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        where = Where.of(text)
    except FilterError as error:
        place = error.position
    else:
        assert str(Where.of(str(where))) == str(where)
        place = 0
    assert 0 <= place <= len(text)
