"""`Listing`: which jobs the list shows and how, as its address says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from backburner.condition import Exact, Field, Order
from backburner.errors import FilterError
from backburner.ids import is_id
from backburner.job import JobFilter
from backburner.states import JobState
from backburner.web.dashboard.columns import SORTED, Column, chosen, spelled
from backburner.web.problems import invalid
from backburner.web.query import Query
from backburner.where import KEYS, Term, Where, quoted


@dataclass(frozen=True, slots=True)
class Listing:
    """The filter bar, the page of the list, and its columns. `typed` is what could not be read, `wrong` why.

    `sort` is the column that the list is in order of, with a minus in front for the other way round, and `skip` how
    many jobs of that order come before this page; "" for the newest first.
    """

    where: Where
    query: Query
    columns: tuple[Column, ...]
    typed: str = ""
    wrong: str = ""
    sort: str = ""
    skip: int = 0

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Listing:
        """From the address; `task=x` beside the bar is one of its words. Raises a `Problem`."""
        for name in parameters:
            if name not in (*_OWN, *KEYS):
                raise invalid(name, f"It is unknown. Known are: {', '.join((*_OWN, *KEYS))}.")
        query = Query.of({name: parameters[name] for name in ("before", "limit") if name in parameters})
        columns = chosen(parameters.get("columns"))
        order = _order(parameters)
        named = [f"{name}:{quoted(parameters[name])}" for name in KEYS if parameters.get(name)]
        had, add = parameters.get("q", "").strip(), parameters.get("add", "").strip()
        if is_id(add.lower()):
            add = f"id:{add}"
        try:
            where = Where.of(" ".join(filter(None, (had, *named))))
        except FilterError as error:
            return cls(Where(), query, columns, had or " ".join(named), _sentence(error), *order)
        try:
            whole = Where.of(f"{had} {' '.join(named)} {add}") if add else where
            return cls(whole, query, columns, "", "", *order)
        except FilterError as error:
            return cls(where, query, columns, add, _sentence(error), *order)

    def filter(self, now: datetime) -> JobFilter:
        """The jobs of this page and all older ones."""
        return replace(self.where.filter(now), before=self.query.filter.before)

    def of_any_state(self, now: datetime) -> JobFilter:
        """The same jobs, whatever their state."""
        return self.where.with_state().filter(now)

    def of_all(self, now: datetime) -> JobFilter:
        """All pages of the list."""
        return self.where.filter(now)

    @property
    def text(self) -> str:
        """The bar in its canonical form."""
        return str(self.where)

    @property
    def limit(self) -> int:
        """Jobs on a page."""
        return self.query.limit

    @property
    def job_id(self) -> str | None:
        """The one job that is asked for by its id, and by nothing else."""
        match self.where.terms:
            case (Term(field=Field.ID, values=(Exact(text=job_id),), negated=False),):
                return job_id
        return None

    @property
    def states(self) -> frozenset[JobState] | None:
        """The states that are asked for; None for all."""
        named = [one for one in self.where.terms if one.field is Field.STATE]
        if not named:
            return None
        texts = {value.text for one in named for value in one.values if isinstance(value, Exact)}
        return frozenset(JobState(text) for text in texts) if not any(one.negated for one in named) else None

    @property
    def spelled_columns(self) -> str | None:
        """The columns as the address names them; None for the usual ones."""
        return spelled(self.columns)

    @property
    def open(self) -> bool:
        """Whether every job matches."""
        return not self.where

    def at(self, where: Where | None = None, **more: Any) -> str:
        """The address of this list with another bar or other parameters; it begins with its first page."""
        where = self.where if where is None else where
        limit = self.query.value("limit") or None
        given = {
            "q": str(where) or None, "columns": self.spelled_columns, "sort": self.sort or None, "limit": limit, **more,
        }  # fmt: skip
        found = [(name, value) for name, value in given.items() if value is not None]
        return f"?{urlencode(found)}" if found else ""

    @property
    def order(self) -> Order | None:
        """The order that is asked for; None for the newest first."""
        column = SORTED.get(self.sort.removeprefix("-"))
        return None if column is None or column.by is None else Order(column.by, self.sort.startswith("-"))

    def sorted_by(self, column: Column) -> str:
        """The address of the list in order of this column, the other way round if it is already."""
        return self.at(sort=f"-{column.name}" if self.sort == column.name else column.name)

    def direction(self, column: Column) -> str:
        """How the list is in order of this column, for those who cannot see it: `aria-sort`."""
        return {column.name: "ascending", f"-{column.name}": "descending"}.get(self.sort, "none")

    def of_state(self, state: JobState | None) -> str:
        """The address for one state alone, or for all."""
        return self.at(self.where.with_state(*() if state is None else (state,)))

    def without(self, term: Term) -> str:
        """The address without one of the words."""
        return self.at(self.where.without(term))

    def only(self, field: str, value: str) -> str:
        """The address with this value asked for, in the place of others of its kind."""
        kind = Field(field)
        rest = tuple(one for one in self.where.terms if one.field is not kind)
        return self.at(Where((*rest, Term(kind, (Exact(value),)))))


_OWN = ("q", "add", "columns", "before", "limit", "sort", "skip")
_DIGITS = re.compile(r"[0-9]{1,5}", re.ASCII)


def _order(parameters: Mapping[str, str]) -> tuple[str, int]:
    """The column and how many jobs to skip. Raises a `Problem`."""
    sort, skip = parameters.get("sort", ""), parameters.get("skip", "0")
    if sort and sort.removeprefix("-") not in SORTED:
        raise invalid("sort", f"Use one of {', '.join(SORTED)}, with - in front for the other way round.")
    if not _DIGITS.fullmatch(skip):
        raise invalid("skip", "Give a whole number from 0 to 99999.")
    return sort, int(skip) if sort else 0


def _sentence(error: FilterError) -> str:
    text = str(error).partition(": ")[2]
    return f"{text[:1].upper()}{text[1:]}."
