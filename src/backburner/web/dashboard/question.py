"""`Question`: what a page asks before it is done to many jobs, and whether the answer is one to it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from backburner.control import COUNT_LIMIT
from backburner.web import words

TYPED_FROM = 1_000
"""For more jobs than this, the number has to be typed."""
_WARNINGS = {
    "retry": "",
    "cancel": "Those that run stop at their next step. What they have done so far stays.",
    "delete": "The jobs, their output and their files are removed for good. Running ones stay.",
}
_ALL = "all"
_FEW_MORE = 10
_DIGITS = re.compile(r"(?:[0-9]{1,20}|[0-9]{1,3}(?:[, .][0-9]{3}){1,6})\+?")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before it is done. `filter` is None for jobs that were selected one by one."""

    verb: str
    ids: tuple[str, ...]
    filter: str | None
    count: int
    interrupted: int = 0
    unfit: int = 0
    risky: tuple[str, ...] = ()
    more: bool = False
    """Whether there may be more than were counted."""

    @property
    def risks(self) -> bool:
        """Whether it is about interrupted jobs and no others, as far as is known."""
        return self.interrupted > 0 and not self.count and not self.more

    @property
    def number(self) -> str:
        """How many are certain, as people write it."""
        return self._written(self.interrupted if self.risks else self.count)

    @property
    def title(self) -> str:
        """The question."""
        return f"{self.button}?"

    @property
    def button(self) -> str:
        """What is done, and to how many."""
        return f"{self.verb.capitalize()} {self.jobs}"

    @property
    def jobs(self) -> str:
        """To how many; nothing is said of a number where none of those counted fit and there may be more."""
        if self.more and not self.count:
            return "all that match"
        if self.risks:
            return self.interrupted_text
        return "1 job" if self.number == "1" else f"{self.number} jobs"

    @property
    def interrupted_text(self) -> str:
        """The interrupted ones, which are counted apart."""
        if self.more:
            return f"{words.Amount(self.interrupted, more=True)} interrupted jobs"
        return "1 interrupted job" if self.interrupted == 1 else f"{words.number(self.interrupted)} interrupted jobs"

    @property
    def warning(self) -> str:
        """What cannot be undone."""
        return _WARNINGS[self.verb]

    @property
    def left_out(self) -> str:
        """How many of the selected ones it cannot be done to."""
        if not self.unfit:
            return ""
        return f"{words.number(self.unfit)} of those selected cannot be {_past(self.verb)} in their state."

    @property
    def typed(self) -> bool:
        """Whether `answer` has to be typed."""
        if self.more:
            return True
        return (self.verb == "delete" and self.count > 0) or self.count + self.interrupted > TYPED_FROM

    @property
    def answer(self) -> str:
        """What has to be typed: how many they are with the interrupted ones, or that it is all of them where that is
        all that is known.
        """
        return _ALL if self.more and not self.count else self._written(self.count + self.interrupted)

    @property
    def any(self) -> bool:
        """Whether there is anything that it can be done to."""
        return bool(self.count or self.interrupted or self.more)

    @property
    def pattern(self) -> str:
        """What the field for the answer takes."""
        if self.answer == _ALL:
            return "[Aa][Ll][Ll]"
        return re.escape(self.answer).replace(",", ",?").replace(r"\+", r"\+?")

    def agrees(self, typed: str, asked: str = "") -> bool:
        """Whether that is the answer: to this question, or as it was `asked` when that meant about as many."""
        answer = asked if self._is_about(asked) else self.answer
        if answer == _ALL:
            return typed.strip().lower() == _ALL
        return _DIGITS.fullmatch(typed.strip()) is not None and _plain(typed) == _plain(answer)

    def risks_more(self, asked: str) -> bool:
        """Whether more interrupted jobs match by now than a person ticked when the page `asked`."""
        return _DIGITS.fullmatch(asked) is None or not _as_many(asked, self.interrupted)

    def _is_about(self, asked: str) -> bool:
        if asked == _ALL:
            return True
        if _DIGITS.fullmatch(asked) is None or (self.more and not asked.endswith("+")):
            return False
        return _as_many(asked, self.count + self.interrupted)

    def _written(self, count: int) -> str:
        return f"{words.number(min(count, COUNT_LIMIT))}+" if self.more else words.number(count)


class Wrong(NamedTuple):
    """Why nothing was done, and the field of the form that it is about."""

    field: str
    text: str


def objection_to(question: Question, given: Mapping[str, str]) -> Wrong | None:
    """What a form lacks; None when it may be done."""
    ticked = given.get("interrupted") == "1"
    if question.risks and not ticked:
        return Wrong("interrupted", "Tick that they may run twice, or keep them. Nothing was changed.")
    if ticked and question.filter is not None and question.risks_more(given.get("risky", "")):
        return Wrong("interrupted", f"By now it is about {question.interrupted_text}. Nothing was changed.")
    if question.typed and not question.agrees(given.get("typed", ""), given.get("asked", "")):
        meant = "for it is not known how many they are" if question.answer == _ALL else "the number of jobs"
        return Wrong("typed", f"Type {question.answer}, {meant}. Nothing was changed.")
    return None


def _as_many(asked: str, now: int) -> bool:
    """Jobs come and end while a person reads: a few more than were asked for are no other question."""
    before = int(_plain(asked))
    return now <= before + max(_FEW_MORE, before // 10)


def _past(verb: str) -> str:
    return {"retry": "retried", "cancel": "cancelled", "delete": "deleted"}[verb]


def _plain(number: str) -> str:
    return re.sub(r"[^0-9]", "", number)
