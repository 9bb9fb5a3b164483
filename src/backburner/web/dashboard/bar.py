"""`Bar`: the text of the filter bar, which is what the address says, word by word."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from backburner.ids import is_id

NAMES = ("state", "task", "queue", "tag", "owner", "identifier", "id", "created_after", "created_before", "done")
"""What a word of the bar may begin with; a word without is an identifier."""
_WORD = re.compile(r'(?:(\w+):)?("[^"]*"|\S+)')


@dataclass(frozen=True, slots=True)
class Word:
    """One condition. `name` is empty for a word that stands alone."""

    name: str
    value: str

    def __str__(self) -> str:
        value = f'"{self.value}"' if " " in self.value or not self.value else self.value
        return f"{self.name}:{value}" if self.name else value


@dataclass(frozen=True, slots=True)
class Bar:
    """The words of a bar, each name at most once: what comes later is meant."""

    words: tuple[Word, ...] = ()

    @classmethod
    def of(cls, text: str) -> Bar:
        """From what was typed."""
        found: dict[str, Word] = {}
        for name, value in _WORD.findall(text):
            plain = value.strip('"')
            if name and name not in NAMES:
                name, plain = "identifier", f"{name}:{plain}"
            name = name or ("id" if is_id(plain.lower()) else "identifier")
            found.pop(name, None)
            found[name] = Word(name, plain)
        return cls(tuple(word for word in found.values() if word.value))

    def with_(self, **changes: str | None) -> Bar:
        """With other words in place, or, for None, without them."""
        kept = tuple(word for word in self.words if word.name not in changes)
        return Bar((*kept, *(Word(name, value) for name, value in changes.items() if value)))

    def value(self, name: str) -> str:
        """What a word says; empty when it is not there."""
        return next((word.value for word in self.words if word.name == name), "")

    @property
    def parameters(self) -> Mapping[str, str]:
        """The words as parameters of a list."""
        return {word.name: word.value for word in self.words if word.name != "id"}

    @property
    def job_id(self) -> str | None:
        """The job whose id is asked for."""
        found = self.value("id").lower()
        return found if is_id(found) else None

    def __str__(self) -> str:
        return " ".join(map(str, self.words))
