"""`Suggestions`: what may stand at a place of a filter: keys, then values, with how many jobs have them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backburner.condition import Field
from backburner.job import JobFilter
from backburner.registry import Registry
from backburner.states import JobState
from backburner.where import KEYS, MAX_VALUE, example_of, quoted

if TYPE_CHECKING:
    from backburner.control import Control
    from backburner.database import Database

SHOWN = 10
COUNTED = 1_000
LATEST = 1_000
"""Values without an index of their own are those of so many of the latest jobs."""
_TYPED = re.compile(r'(?P<minus>-?)(?:(?P<key>[A-Za-z_]+):(?:[^\s",]*,)*)?(?P<begun>"?[^\s",]*|"(?:[^"\\]|\\.)*)$')
_PATTERNS = {
    Field.CREATED: (">2h", "<24h", "<7d"),
    Field.FINISHED: (">2h", "<24h", "<7d"),
    Field.PRIORITY: ("10", "10-20", "25-", "-20"),
}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`text` takes the place of what was typed. `count` jobs have it, 1,000 means or more; None: nobody counted."""

    text: str
    label: str
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What may stand from `start` to `end` of the text. `key` is the key whose value is typed, None for a key."""

    start: int
    end: int
    key: str | None
    values: tuple[Suggestion, ...]
    patterns: tuple[Suggestion, ...] = ()


class Suggestions:
    """Looks at what is known and at the latest jobs; nothing is counted without a bound."""

    def __init__(self, database: Database, registry: Registry, control: Control) -> None:
        self._database, self._registry, self._control = database, registry, control

    def at(self, text: str, cursor: int) -> Completion:
        """What may stand at the cursor, for the word that ends there."""
        cursor = max(0, min(cursor, len(text)))
        found = _TYPED.search(text[max(0, cursor - MAX_VALUE) : cursor])
        begun = found["begun"] if found is not None else ""
        key = found["key"] if found is not None else None
        start = cursor - len(begun)
        if key is None or key.lower() not in KEYS:
            keys = tuple(
                Suggestion(f"{name}:", f"{name}:{example_of(Field(name))}")
                for name in KEYS
                if name.startswith(begun.lower())
            )
            return Completion(start, cursor, None, keys)
        field, typed = Field(key.lower()), begun.lstrip('"')
        values = self._values(field, typed.lower())
        return Completion(start, cursor, field.value, values, self._patterns(field, typed))

    def _patterns(self, field: Field, typed: str) -> tuple[Suggestion, ...]:
        if field in _PATTERNS:
            return tuple(Suggestion(one, one) for one in _PATTERNS[field] if one.startswith(typed))
        if field in (Field.STATE, Field.ID) or not typed or '"' in typed or "*" in typed:
            return ()
        return (Suggestion(f"{quoted(typed)}*", "all that begin so"),)

    def _values(self, field: Field, typed: str) -> tuple[Suggestion, ...]:
        if field is Field.STATE:
            return self._states(typed)
        if field is Field.ERROR:
            return self._errors(typed)
        if field is Field.FINGERPRINT:
            groups = self._database.store.failures.groups(limit=LATEST)
            fitting = [one for one in groups if one.fingerprint.startswith(typed)][:SHOWN]
            return tuple(Suggestion(one.fingerprint, f"{one.error_type} {one.place}", one.attempts) for one in fitting)
        if field in (Field.TASK, Field.QUEUE, Field.TAG, Field.OWNER, Field.IDENTIFIER):
            return self._latest(field, typed)
        return ()

    def _states(self, typed: str) -> tuple[Suggestion, ...]:
        fitting = [state for state in JobState if state.startswith(typed)]
        counts = self._control.tally(JobFilter(states=frozenset(fitting)), COUNTED).states if fitting else {}
        return tuple(Suggestion(str(state), str(state), counts.get(state, 0)) for state in fitting)

    def _errors(self, typed: str) -> tuple[Suggestion, ...]:
        counted: Counter[str] = Counter()
        for group in self._database.store.failures.groups(limit=LATEST):
            for text in (group.error_type, group.message):
                if text and typed in text.lower() and len(text) <= 100 and text.isprintable():
                    counted[text] += group.attempts
        return tuple(Suggestion(quoted(text), text, count) for text, count in counted.most_common(SHOWN))

    def _latest(self, field: Field, typed: str) -> tuple[Suggestion, ...]:
        """Values of the latest jobs, the most frequent first; then tasks and queues that are known otherwise."""
        rows = self._database.store.reports.latest(field.value, LATEST)
        counted = Counter(value for value in rows if typed in value.lower() and value.isprintable())
        known: tuple[str, ...] = ()
        if field is Field.TASK:
            known = self._registry.names()
        elif field is Field.QUEUE:
            known = tuple(row.name for row in self._database.store.queues.all() if row.name != "*")
        for name in known:
            if typed in name.lower():
                counted.setdefault(name, 0)
        return tuple(Suggestion(quoted(value), value, count) for value, count in counted.most_common(SHOWN))
