"""`Where`: which jobs are meant, as people type it: `state:failed task:orders.* created:<24h "parcel 12"`.

Words stand beside one another and are all asked for. `key:value` asks of one field, `-key:value` wants the
others, `key:a,b` takes either. A value is quoted when it has spaces, commas or quotes. Texts of one key that
comes twice are alternatives; times and numbers are not. A word without a key is looked for in title, identifier
and task. Nothing here knows a clock: `filter(now)` turns ages into times.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from backburner.condition import Between, Condition, Exact, Field, Prefix, Value
from backburner.errors import FilterError
from backburner.ids import is_id
from backburner.job import JobFilter
from backburner.states import JobState

MAX_TEXT = 1_000
"""Characters of a filter."""
MAX_VALUES = 50
"""Values in one filter."""
MAX_VALUE = 200
"""Characters of a value."""
KEYS = tuple(str(field) for field in Field if field is not Field.TEXT)
SIMPLE = (Field.TASK, Field.QUEUE, Field.TAG, Field.IDENTIFIER, Field.OWNER)
"""What `JobFilter` has a place of its own for."""

_WORD = re.compile(r'(?P<minus>-?)(?:(?P<key>[A-Za-z_]+):)?(?P<rest>(?:"(?:[^"\\]|\\.)*"|[^\s"])*)')
_VALUE = re.compile(r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"(?P<star>\*?)|(?P<bare>[^,"]+))(?P<end>,|$)')
_ESCAPE = re.compile(r"\\(.)")
_AGE = re.compile(r"(?P<sign>[<>])(?P<number>[0-9]{1,9})(?P<unit>s|min|m|h|d|w)")
_MOMENT = re.compile(r"(?P<sign>[<>]?)(?P<text>[0-9][0-9T:+\-.Z]{3,39})")
_PRIORITIES = re.compile(r"(?P<one>[0-9]{1,5})|(?P<low>[0-9]{0,5})-(?P<high>[0-9]{0,5})")
_PLAIN = re.compile(r'[^\s,"*:\-][^\s,"*]*')
_UNITS = {"s": 1, "min": 60, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_PRINTED = (("w", 604_800), ("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_MAX_AGE = 3_155_760_000


@dataclass(frozen=True, slots=True)
class Age:
    """So long ago, seconds; `older`: or longer, else less long."""

    seconds: int
    older: bool


Said = Value | Age


@dataclass(frozen=True, slots=True)
class Term:
    """One word of a filter, and where in the text it stands."""

    field: Field
    values: tuple[Said, ...]
    negated: bool = False
    start: int = 0
    end: int = 0

    def __str__(self) -> str:
        """As it is written down."""
        minus = "-" if self.negated else ""
        key = "" if self.field is Field.TEXT else f"{self.field}:"
        return minus + key + ",".join(_written(self.field, value) for value in self.values)


@dataclass(frozen=True, slots=True)
class Where:
    """A filter, read. `str()` of it is its canonical form: what means the same is written the same."""

    terms: tuple[Term, ...] = ()

    @classmethod
    def of(cls, text: str, *, bounded: bool = True) -> Where:
        """Read a filter. Raises `FilterError`, which says where, why, and what to write instead.

        Not `bounded`: what a filter has written itself, which may have more to say than who wrote the first one.
        """
        if bounded and len(text) > MAX_TEXT:
            raise FilterError(text[:40], MAX_TEXT, f"has {len(text):,} characters", f"Use at most {MAX_TEXT:,}")
        terms = tuple(_terms(text))
        count = sum(len(term.values) for term in terms)
        if bounded and count > MAX_VALUES:
            raise FilterError(text[:40], terms[-1].start, f"asks for {count} values", f"Use at most {MAX_VALUES}")
        return cls(terms)

    def __str__(self) -> str:
        """Keys in their order, free words last, as they came."""
        return " ".join(map(str, self._merged()))

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.terms)

    def filter(self, now: datetime) -> JobFilter:
        """The filter, with ages counted back from `now`."""
        states: frozenset[JobState] | None = None
        simple: dict[str, str] = {}
        others: list[Condition] = []
        for term in self._merged():
            values = tuple(_at(value, now) for value in term.values)
            if term.field is Field.STATE:
                named = frozenset(JobState(value.text) for value in values if isinstance(value, Exact))
                wanted = frozenset(JobState) - named if term.negated else named
                states = wanted if states is None else states & wanted
            elif term.field in SIMPLE and not term.negated and len(values) == 1 and isinstance(values[0], Exact):
                simple[term.field] = values[0].text
            else:
                others.append(Condition(term.field, values, term.negated))
        task, queue, tag, identifier, owner = (simple.get(field) for field in SIMPLE)
        return JobFilter(states, task, queue, tag, identifier, owner, conditions=tuple(others))

    def with_state(self, *states: JobState) -> Where:
        """The same, of jobs in these states alone; without any, of all."""
        rest = tuple(term for term in self.terms if term.field is not Field.STATE)
        named = tuple(Exact(str(state)) for state in JobState if state in states)
        return Where((Term(Field.STATE, named), *rest) if named else rest)

    def without(self, term: Term) -> Where:
        """The same without one of its terms."""
        return Where(tuple(one for one in self.terms if one != term))

    def _merged(self) -> list[Term]:
        """Texts of one key as one term with alternatives, each once; in the order of keys."""
        kept: dict[tuple[Field, bool], Term] = {}
        alone: list[Term] = []
        for term in self.terms:
            if term.field in (Field.TEXT, Field.CREATED, Field.FINISHED, Field.PRIORITY):
                if not any(one.values == term.values and one.negated == term.negated for one in alone):
                    alone.append(Term(term.field, term.values, term.negated))
                continue
            key = (term.field, term.negated)
            before = kept[key].values if key in kept else ()
            kept[key] = Term(term.field, tuple(dict.fromkeys((*before, *term.values))), term.negated)
        order = list(Field)
        merged = [*map(_sorted, kept.values()), *alone]
        return sorted(merged, key=lambda term: (order.index(term.field), term.negated))


def quoted(text: str, *, plain: bool = True) -> str:
    """A text as a value of the language: in quotes where it needs them, or without `plain`."""
    if plain and _PLAIN.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _terms(text: str) -> Iterator[Term]:
    place = 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        found = _WORD.match(text, place)
        if found is None or found.end() == place or (found.end() < len(text) and not text[found.end()].isspace()):
            raise FilterError(text[place : place + 40], place, "has a quote that does not end", 'Close it: "like this"')
        yield _term(text, found)
        place = found.end()


def _term(text: str, found: re.Match[str]) -> Term:
    start, rest, key = found.start(), found["rest"], found["key"]
    negated = found["minus"] == "-"
    if key is None:
        if not rest:
            raise FilterError(found[0], start, "is a minus without a word", "Write -word, or -key:value")
        # Commas of a word without a key are part of it.
        whole = rest if '"' not in rest else _unescaped(_parts(rest, start)[0]["quoted"] or "")
        return Term(Field.TEXT, (Exact(_checked(whole, start)),), negated, start, found.end())
    field, at = _field(key, found[0], start), found.start("rest")
    if not rest:
        raise FilterError(found[0], start, "has no value", f"Write {field}:{_EXAMPLES[field]}")
    values = tuple(_value(field, one, at + one.start()) for one in _parts(rest, at))
    return Term(field, values, negated, start, found.end())


def _parts(rest: str, start: int) -> list[re.Match[str]]:
    """The values between the commas."""
    parts: list[re.Match[str]] = []
    place = 0
    while place < len(rest):
        found = _VALUE.match(rest, place)
        if found is None or (found["end"] and found.end() == len(rest)):
            what = "has a comma with nothing behind it" if rest.endswith(",") else "has a quote in its middle"
            raise FilterError(rest, start + place, what, 'Write a,b, or one value in quotes: "a, b"')
        parts.append(found)
        place = found.end()
    return parts


def _field(key: str, word: str, start: int) -> Field:
    if key.lower() in KEYS:
        return Field(key.lower())
    close = difflib.get_close_matches(key.lower(), KEYS, 1)
    remedy = f"Did you mean {close[0]}:?" if close else f"Keys are {', '.join(KEYS)}."
    raise FilterError(word, start, f"has no known key: {key}", f"{remedy} To look for this text, put it in quotes")


_EXAMPLES: dict[Field, str] = {
    Field.STATE: "failed", Field.TASK: "orders.*", Field.QUEUE: "mail", Field.TAG: "black-friday",
    Field.IDENTIFIER: "order:12", Field.OWNER: "lena", Field.ERROR: "Timeout", Field.FINGERPRINT: "9f31c2",
    Field.ID: "019a3f2e-5b1c-7d24-9c41-6a1b2c3d4e5f", Field.PRIORITY: "10-20", Field.CREATED: ">2h",
    Field.FINISHED: "<24h",
}  # fmt: skip
"""A value for each key, for errors and completion."""


def example_of(field: Field) -> str:
    """A value that the key could have."""
    return _EXAMPLES[field]


def _value(field: Field, found: re.Match[str], start: int) -> Said:
    bare: str | None = found["bare"]
    text = _checked(_unescaped(found["quoted"]) if bare is None else bare, start)
    if field in (Field.CREATED, Field.FINISHED):
        return _time(field, text, start)
    if field is Field.PRIORITY:
        return _priority(text, start)
    if field is Field.STATE:
        return _state(text, start)
    if field is Field.ID:
        if not is_id(text.lower()):
            raise FilterError(text, start, "is no id of a job", "Copy all 36 characters of it")
        return Exact(text.lower())
    if bare is not None and "*" in bare:
        if bare.index("*") < len(bare) - 1:
            raise FilterError(text, start, "has a * before its end", "Put * at the end alone, or the text in quotes")
        return Prefix(bare[:-1])
    return Prefix(text) if found["star"] else Exact(text)


def _state(text: str, start: int) -> Exact:
    states = [str(state) for state in JobState]
    if text.lower() in states:
        return Exact(text.lower())
    close = difflib.get_close_matches(text.lower(), states, 1)
    raise FilterError(
        text, start, "is no state", f"Did you mean {close[0]}?" if close else f"States are {', '.join(states)}"
    )


def _time(field: Field, text: str, start: int) -> Said:
    age = _AGE.fullmatch(text)
    if age is not None:
        seconds = int(age["number"]) * _UNITS[age["unit"]]
        if seconds > _MAX_AGE:
            raise FilterError(text, start, "is more than a hundred years", "Give less")
        return Age(seconds, older=age["sign"] == ">")
    moment = _MOMENT.fullmatch(text)
    problem = f"is neither an age nor a time of {field}"
    remedy = "Write >2h (longer ago), <24h (more recent), a day 2026-11-24, or >2026-11-24T14:00Z (after)"
    if moment is None:
        raise FilterError(text, start, problem, remedy)
    try:
        at = datetime.fromisoformat(moment["text"])
        # A day is one of UTC, as all that is stored; a time without a zone likewise.
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        if moment["sign"]:
            return Between(low=at) if moment["sign"] == ">" else Between(high=at)
        return Between(at, at + (timedelta(days=1) if len(moment["text"]) <= 10 else timedelta(minutes=1)))
    except (ValueError, OverflowError) as error:
        raise FilterError(text, start, problem, remedy) from error


def _priority(text: str, start: int) -> Between:
    found = _PRIORITIES.fullmatch(text)
    if found is None or not (found["one"] or found["low"] or found["high"]):
        raise FilterError(text, start, "is no range of priorities", "Write 10, 10-20, 25- or -20")
    if found["one"]:
        return Between(int(found["one"]), int(found["one"]))
    low, high = (int(found[name]) if found[name] else None for name in ("low", "high"))
    if low is not None and high is not None and low > high:
        raise FilterError(text, start, "selects no priority", "Put the lower number first")
    return Between(low, high)


def _checked(text: str, start: int) -> str:
    if len(text) > MAX_VALUE:
        raise FilterError(text[:40], start, f"has {len(text)} characters", f"Use at most {MAX_VALUE}")
    if not text:
        raise FilterError(text, start, "is empty", "Write a value, or leave the key out")
    if not text.isprintable():
        raise FilterError(text, start, "holds a character that cannot be printed", "Remove it")
    return text


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(r"\1", text)


def _at(value: Said, now: datetime) -> Value:
    if not isinstance(value, Age):
        return value
    try:
        moment = now - timedelta(seconds=value.seconds)
    except OverflowError:
        moment = datetime.min.replace(tzinfo=UTC)
    return Between(high=moment) if value.older else Between(low=moment)


def _sorted(term: Term) -> Term:
    if term.field is not Field.STATE:
        return term
    states = [str(state) for state in JobState]
    return Term(
        term.field,
        tuple(sorted(term.values, key=lambda one: states.index(one.text) if isinstance(one, Exact) else 0)),
        term.negated,
    )


def _written(field: Field, value: Said) -> str:
    if isinstance(value, Age):
        unit, size = next((unit, size) for unit, size in _PRINTED if value.seconds % size == 0)
        return f"{'>' if value.older else '<'}{value.seconds // size}{unit}"
    if isinstance(value, Prefix):
        return f"{quoted(value.text)}*" if value.text else "*"
    if isinstance(value, Exact):
        # A colon would make a key of what stands before it.
        return quoted(value.text, plain=field is not Field.TEXT or ":" not in value.text)
    if isinstance(value.low, datetime) or isinstance(value.high, datetime):
        return _written_times(value)
    if value.low == value.high:
        return str(value.low)
    return f"{'' if value.low is None else value.low}-{'' if value.high is None else value.high}"


def _written_times(value: Between) -> str:
    low, high = value.low, value.high
    if isinstance(low, datetime) and isinstance(high, datetime):
        # A day or a minute: nothing else can be said so.
        return low.date().isoformat() if high - low == timedelta(days=1) else _stamp(low)
    return f">{_stamp(low)}" if isinstance(low, datetime) else f"<{_stamp(high)}"


def _stamp(moment: object) -> str:
    if not isinstance(moment, datetime):
        return ""
    whole = moment.second == 0 and moment.microsecond == 0
    return moment.isoformat(timespec="minutes" if whole else "auto").replace("+00:00", "Z")
