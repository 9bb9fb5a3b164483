"""Durations, sizes and jobs' states as people type them."""

from __future__ import annotations

import re

import click

from backburner.errors import FilterError
from backburner.store.dialects.base import ALL_PRIORITIES
from backburner.where import Where

_NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")
_RANGE = re.compile(r"(?P<one>\d+)|(?P<low>\d*)-(?P<high>\d*)")
_NUMBER_ONLY = re.compile(r"\d+(?:\.\d+)?")
_MAX_WEIGHT = 1000
_SECONDS = {"": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_MAX_SECONDS = 3_155_760_000
_BYTES = {
    "b": 1,
    "k": 1_000,
    "kb": 1_000,
    "m": 10**6,
    "mb": 10**6,
    "g": 10**9,
    "gb": 10**9,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}
_MAX_BYTES = 10**18


class Duration(click.ParamType[float]):
    """Seconds, or a number with s, min, h, d or w; at most a hundred years."""

    name = "duration"

    def __init__(self, *, above_zero: bool = False) -> None:
        self._above_zero = above_zero

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "DURATION"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        found = _NUMBER.fullmatch(str(value))
        unit = found[2].lower() if found else None
        if found is None or unit not in _SECONDS:
            self.fail(f"{value!r} is no duration. Write it like 90, 30s, 5min, 2h or 30d.", param, ctx)
        seconds = float(found[1]) * _SECONDS[unit]
        if seconds > _MAX_SECONDS:
            self.fail(f"{value!r} is more than a hundred years. Give less.", param, ctx)
        if self._above_zero and not seconds:
            self.fail(f"{value!r} is no time at all. Give 1s or more.", param, ctx)
        return seconds


class Size(click.ParamType[int]):
    """Bytes, with a unit."""

    name = "size"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "SIZE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = _NUMBER.fullmatch(str(value))
        unit = found[2].lower() if found else None
        if found is None or unit not in _BYTES:
            # A bare number is refused: 512 would be a worker that ends after every job.
            self.fail(f"{value!r} is no size. Write it like 512MB, 1.5GB or 256MiB.", param, ctx)
        size = float(found[1]) * _BYTES[unit]
        if size < 1:
            self.fail(f"{value!r} is too small. Give 1MB or more.", param, ctx)
        if size > _MAX_BYTES:
            self.fail(f"{value!r} is larger than any machine. Give less.", param, ctx)
        return int(size)


class Priorities(click.ParamType[tuple[int, int]]):
    """A range of priorities: 10, 20-40, 25- or -20."""

    name = "priorities"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "RANGE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        found = _RANGE.fullmatch(str(value))
        if found is None or not (found["one"] or found["low"] or found["high"]):
            self.fail(f"{value!r} is no range of priorities. Write it like 10, 20-40, 25- or -20.", param, ctx)
        low, high = ALL_PRIORITIES
        if found["one"]:
            low = high = int(found["one"])
        else:
            low, high = int(found["low"] or low), int(found["high"] or high)
        if not ALL_PRIORITIES[0] <= low <= high <= ALL_PRIORITIES[1]:
            self.fail(f"{value!r} selects no priority. The lower number comes first; the highest is 32767.", param, ctx)
        return low, high


class WeightedQueue(click.ParamType[tuple[str, float | None]]):
    """A queue, and how much of the worker it gets: mails, or mails=3."""

    name = "queue"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "NAME[=WEIGHT]"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float | None]:
        if isinstance(value, tuple):
            return value
        name, equals, weight = str(value).rpartition("=")
        if not equals or not _NUMBER_ONLY.fullmatch(weight):
            return str(value), None
        if not 0 < float(weight) <= _MAX_WEIGHT:
            self.fail(f"{weight} is no weight of queue {name!r}. Give a number from 0.001 to 1000.", param, ctx)
        return name, float(weight)


class Filter(click.ParamType[str]):
    """A filter of jobs, as the language of filters has it."""

    name = "filter"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "FILTER"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return str(Where.of(str(value)))
        except FilterError as error:
            self.fail(f"{error}.", param, ctx)


FILTER = Filter()
PRIORITIES = Priorities()
WEIGHTED_QUEUE = WeightedQueue()
DURATION = Duration()
TIME = Duration(above_zero=True)
SIZE = Size()
