"""`Query`: which jobs a list shows, as said in its address."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from backburner.errors import InvalidOption
from backburner.job import JobFilter
from backburner.selection import Selection, filter_of
from backburner.states import JobState
from backburner.web.problems import invalid

if TYPE_CHECKING:
    from backburner.web.sight import Wording

PAGE = 50
MOST = 200
MOST_SHARED = 20
"""Jobs of others that one look at them brings."""
_TEXTS = ("task", "queue", "tag", "identifier", "owner", "before")
_MOMENTS = ("created_after", "created_before")
_YES_OR_NO = ("done", "mine")
_FLAGS = {"true": True, "1": True, "false": False, "0": False}
_CHARACTERS = 1_000
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Query:
    """Checked parameters of a list. `given` are those that were there, for links to the same list.

    `mine` asks for one's own jobs, without those that one has dismissed.
    """

    filter: JobFilter
    limit: int
    given: tuple[tuple[str, str], ...]
    mine: bool = False

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Query:
        """From the query string; what is empty counts as not given. Raises a `Problem`."""
        given = tuple((name, value) for name, value in _pairs(parameters) if value)
        chosen: dict[str, Any] = {}
        states: list[str] = []
        flags: dict[str, bool] = {}
        limit = PAGE
        for name, value in given:
            if len(value) > _CHARACTERS or "\0" in value:
                raise invalid(name, f"Use at most {_CHARACTERS} characters.")
            if name == "state":
                states += value.split(",")
            elif name in _TEXTS:
                chosen[name] = value
            elif name in _MOMENTS:
                chosen[name] = _moment(name, value)
            elif name in _YES_OR_NO:
                if value.lower() not in _FLAGS:
                    raise invalid(name, "Use true or false.")
                flags[name] = _FLAGS[value.lower()]
            elif name == "limit":
                if not _NUMBER.fullmatch(value) or not 1 <= int(value) <= MOST:
                    raise invalid(name, f"Use 1 to {MOST}.")
                limit = int(value)
            elif name != "token":
                known = ", ".join(("state", *_TEXTS, *_MOMENTS, *_YES_OR_NO, "limit"))
                raise invalid(name, f"It is unknown. Known are: {known}.")
        if states:
            chosen["state"] = states
        if "done" in flags:
            chosen["done"] = flags["done"]
        try:
            made = filter_of(cast("Selection", chosen), lambda: datetime.now(UTC))
            return cls(made, limit, given, mine=flags.get("mine", False))
        except InvalidOption as error:
            raise invalid(error.option, str(error)) from error

    def owned_by(self, user: str) -> Query:
        """The same jobs as far as they are this user's."""
        if self.filter.owner not in (None, user):
            return replace(self, filter=replace(self.filter, states=frozenset()))
        return replace(self, filter=replace(self.filter, owner=user, undismissed=self.mine))

    @property
    def filter_of_all(self) -> JobFilter:
        """All pages of the list."""
        return replace(self.filter, before=None)

    @property
    def state(self) -> JobState | None:
        """The one state that is asked for, if it is one."""
        states = self.filter.states
        return next(iter(states)) if states is not None and len(states) == 1 else None

    def value(self, name: str) -> str:
        """A parameter as it was given; empty when it was not."""
        return next((value for key, value in self.given if key == name), "")

    def with_(self, **changes: str | None) -> str:
        """The query string of this list with other parameters in place; None leaves one out."""
        kept = [(name, value) for name, value in self.given if name not in changes and name != "token"]
        kept += [(name, value) for name, value in changes.items() if value]
        return f"?{urlencode(kept)}" if kept else ""

    def address(self, path: str, wording: Wording, before: str) -> str:
        """Where the next page is."""
        return wording.href(path).partition("?")[0] + self.with_(before=before)


def _pairs(parameters: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    several = getattr(parameters, "multi_items", None)
    return several() if several is not None else parameters.items()


def _moment(name: str, value: str) -> datetime:
    try:
        # A plus in a query string that was not escaped arrives as a space.
        found = datetime.fromisoformat(value.replace(" ", "+") if value.count(" ") == 1 and "T" in value else value)
    except ValueError as error:
        raise invalid(name, "Use ISO 8601 with a time zone: 2026-11-24T14:00:00Z.") from error
    if found.tzinfo is None:
        raise invalid(name, "It has no time zone. For example 2026-11-24T14:00:00Z.")
    return found
