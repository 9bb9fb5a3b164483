"""`Language`: the texts, numbers and times of pages for end users, in English, Czech or German.

What the components say as well is read from their own catalogs, `static/languages/*.js`, so that both say the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from starlette.requests import Request

from backburner.progress import Progress
from backburner.web import words
from backburner.web.page_texts import PAGE_TEXTS

_CATALOGS = Path(__file__).parent / "static" / "languages"
_VALUE = re.compile(r"\{(\w+)\}")
_WISH = re.compile(r"\s*([a-zA-Z]{1,8})(?:-[\w-]*)?\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?))?\s*")
_DAY = 86_400.0
_POINTS = {"en": (",", "."), "cs": ("\u00a0", ","), "de": (".", ",")}
"""What groups digits, and what stands before fractions."""


class Language:
    """One of them; `code` is what `lang` says. Made by `language`."""

    def __init__(self, code: str) -> None:
        self.code = code
        self._texts: Mapping[str, Any] = {**_catalog("en"), **_catalog(code), **PAGE_TEXTS["en"], **PAGE_TEXTS[code]}
        self._groups, self._point = _POINTS[code]

    def say(self, key: str, **values: object) -> str:
        """A text with its values; of several forms the one for the number `n`."""
        text = self._texts[key]
        if isinstance(text, Mapping):
            form = _ordinal(values["n"]) if key == "nth" else _plural(self.code, values["n"])
            text = text.get(form, text["other"])
        return _VALUE.sub(lambda found: self._shown(values[found[1]]), text)

    def number(self, value: float) -> str:
        """84725 as "84,725" or "84.725"; fractions have one digit."""
        plain = words.number(value)
        return plain.translate({ord(","): self._groups, ord("."): self._point})

    def counted(self, progress: Progress) -> str:
        """Like "52,600 of 84,725 orders"."""
        done, total = progress.done, progress.total
        if progress.unit == "%" or not (done or total):
            return ""
        unit = f" {progress.unit}" if progress.unit else ""
        if not total:
            return self.number(done) + unit
        if done > total:
            return self.say("expected", done=self.number(done) + unit, total=total)
        return self.say("of", done=done, total=total) + unit

    def balance(self, progress: Progress) -> str:
        """Like "4,997 done, 3 failed"; empty when nothing failed."""
        if not progress.failed:
            return ""
        return self.say("balance", good=max(progress.done - progress.failed, 0), bad=progress.failed)

    def left(self, progress: Progress, now: datetime) -> str:
        """Like "about 1 min 40 s left"; empty while nobody can say."""
        rounded = words.left(progress, now).removeprefix("about ").removesuffix(" left")
        return self.say("left", time=rounded) if rounded else ""

    def ahead(self, then: datetime, now: datetime) -> str:
        """Like "in 48 s" up to a day, the date after that; empty when it is over."""
        seconds = (then - now).total_seconds()
        if seconds > _DAY:
            return self.moment(then)
        return self.say("in", time=words.ahead(then, now).removeprefix("in ")) if seconds > 0 else ""

    def ago(self, then: datetime, now: datetime) -> str:
        """Like "3 s ago" up to a day, the date after that."""
        if (now - then).total_seconds() > _DAY:
            return self.moment(then)
        return self.say("ago", time=words.ago(then, now).removesuffix(" ago"))

    def moment(self, then: datetime) -> str:
        """Like "Thu 26 Nov, 06:00 UTC"."""
        return f"{self.date(then)}, {then:%H:%M} UTC"

    def date(self, then: datetime) -> str:
        """Like "Thu 26 Nov"."""
        days, months = self._texts["days"].split(), self._texts["months"].split()
        return self.say("date", weekday=days[then.weekday()], day=str(then.day), month=months[then.month - 1])

    def day(self, then: datetime, now: datetime) -> str:
        """The day as a heading: today, yesterday, or its date; days of UTC."""
        passed = (now.date() - then.date()).days
        return self.say("this_day" if passed <= 0 else "day_before") if passed < 2 else self.date(then)

    def size(self, count: int) -> str:
        """Bytes in powers of ten."""
        figure, unit = words.size(count).split()
        return f"{figure.replace('.', self._point)} {unit}"

    def _shown(self, value: object) -> str:
        if isinstance(value, int | float):
            return self.number(value)
        return str(value)


@cache
def language(code: str) -> Language:
    """The language of a code, English for all others."""
    return Language(code if code in PAGE_TEXTS else "en")


def language_of(request: Request) -> Language:
    """What the browser asks for, of what there is (`Accept-Language`)."""
    best, weight = "en", 0.0
    for wish in request.headers.get("accept-language", "")[:500].split(","):
        if (found := _WISH.fullmatch(wish)) and found[1].lower() in PAGE_TEXTS:
            asked = float(found[2] or 1)
            if asked > weight:
                best, weight = found[1].lower(), asked
    return language(best)


def _plural(code: str, n: Any) -> str:
    if code == "cs" and 2 <= n <= 4:
        return "few"
    return "one" if n == 1 else "other"


def _ordinal(n: Any) -> str:
    return "other" if 10 <= n % 100 <= 20 else {1: "one", 2: "two", 3: "few"}.get(n % 10, "other")


def _catalog(code: str) -> dict[str, Any]:
    """What a component says: a script of one object, which is JSON."""
    text = (_CATALOGS / f"{code}.js").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text.removeprefix("export default ").rstrip().removesuffix(";"))
    return found
