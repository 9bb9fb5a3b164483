"""`Listing`: which jobs the list shows and how, as its address says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from backburner.job import JobFilter
from backburner.states import JobState
from backburner.web.dashboard.bar import NAMES, Bar
from backburner.web.dashboard.columns import Column, chosen, spelled
from backburner.web.query import Query


@dataclass(frozen=True, slots=True)
class Listing:
    """The filter bar, the page of the list, and its columns."""

    bar: Bar
    query: Query
    columns: tuple[Column, ...]

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Listing:
        """From the address; `task=x` beside the bar is one of its words. Raises a `Problem`."""
        bar = Bar.of(f"{parameters.get('q', '')} {parameters.get('add', '')}")
        bar = bar.with_(**{name: parameters[name] for name in NAMES if parameters.get(name)})
        rest = {name: value for name, value in parameters.items() if name not in ("q", "add", "columns", *NAMES)}
        query = Query.of({**bar.parameters, **rest})
        return cls(bar, query, chosen(parameters.get("columns")))

    @property
    def filter(self) -> JobFilter:
        """The jobs of this page and all older ones."""
        return self.query.filter

    @property
    def limit(self) -> int:
        """Jobs on a page."""
        return self.query.limit

    @property
    def of_any_state(self) -> JobFilter:
        """The same jobs, whatever their state."""
        return Query.of(self.bar.with_(state=None, done=None).parameters).filter

    @property
    def of_all(self) -> JobFilter:
        """All pages of the list."""
        return self.query.filter_of_all

    @property
    def state(self) -> JobState | None:
        """The one state that is asked for, if it is one."""
        return self.query.state

    @property
    def spelled_columns(self) -> str | None:
        """The columns as the address names them; None for the usual ones."""
        return spelled(self.columns)

    @property
    def open(self) -> bool:
        """Whether every job matches."""
        return not self.bar.words

    def at(self, bar: Bar | None = None, **more: Any) -> str:
        """The address of this list with another bar or other parameters; it begins with its first page."""
        bar = self.bar if bar is None else bar
        limit = self.query.value("limit") or None
        given = {"q": str(bar) or None, "columns": self.spelled_columns, "limit": limit, **more}
        found = [(name, value) for name, value in given.items() if value is not None]
        return f"?{urlencode(found)}" if found else ""

    def with_(self, **changes: str | None) -> str:
        """The address with other words in the bar."""
        return self.at(self.bar.with_(**changes))
