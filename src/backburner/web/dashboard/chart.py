"""`Chart`: what ended over time as bars, drawn without a script; each number stands in a table beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from backburner.insight.charts import Point, Series
from backburner.insight.marks import Mark
from backburner.web import words

SLOT, BODY, HEIGHT = 10, 8, 100
"""The width of a step, of its bar, and the height of the whole, in the units of the drawing."""
_LABELS = 5
_FAR, _ROOM = 70, 24
"""Percent of the width: from where on the words of a mark stand before it, and how much they need."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One step. Heights and places are in units of the drawing, from its top."""

    x: int
    ok: float
    failed: float
    retried: float
    title: str
    point: Point

    @property
    def failed_y(self) -> float:
        """Where the failed part begins: failed jobs stand at the ground, retries on top of them."""
        return HEIGHT - self.failed

    @property
    def retried_y(self) -> float:
        """Where the part of the retries begins."""
        return HEIGHT - self.failed - self.retried


@dataclass(frozen=True, slots=True)
class Sign:
    """A mark: where it stands, in percent of the width, and its words; `label` says that there is room for them."""

    x: float
    mark: Mark
    text: str
    label: bool

    @property
    def before(self) -> bool:
        """Whether the words stand before the line: behind it they would leave the chart."""
        return self.x > _FAR


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars with two scales: what succeeded above, what failed below, where it would not be seen otherwise."""

    bars: tuple[Bar, ...]
    good: tuple[str, ...]
    bad: tuple[str, ...]
    times: tuple[str, ...]
    summary: str
    signs: tuple[Sign, ...] = ()

    @property
    def width(self) -> int:
        """Units of the drawing."""
        return max(len(self.bars) * SLOT, 1)


def chart_of(series: Series, marks: Sequence[Mark] = ()) -> Chart:
    """The bars of a series, per minute, and what people said happened meanwhile."""
    minutes = max(series.step / timedelta(minutes=1), 1)
    goods = [point.succeeded / minutes for point in series.points]
    bads = [(point.failed / minutes, point.retried / minutes) for point in series.points]
    top, low = nice(max(goods, default=0)), nice(max((sum(each) for each in bads), default=0))
    bars = [
        Bar(
            place * SLOT,
            goods[place] / top * HEIGHT,
            bads[place][0] / low * HEIGHT,
            bads[place][1] / low * HEIGHT,
            f"{_clock(point.at, series)}: {words.number(point.succeeded)} succeeded, "
            f"{words.number(point.failed)} failed, {words.number(point.retried)} to be retried",
            point,
        )
        for place, point in enumerate(series.points)
    ]
    whole = series.whole
    summary = (
        f"From {_clock(series.since, series)} to now, UTC: {words.number(whole.succeeded)} succeeded, "
        f"{words.number(whole.failed)} failed, {words.number(whole.retried)} attempts failed and were to be retried."
    )
    return Chart(tuple(bars), _ticks(top, 4), _ticks(low, 3), _times(series), summary, _signs(series, marks))


def nice(most: float) -> float:
    """The end of a scale: 1, 2, 3 or 5 with zeros, not below."""
    if most <= 1:
        return 1.0
    power = 10 ** math.floor(math.log10(most))
    return next(float(step * power) for step in (1, 2, 3, 5, 10) if step * power >= most)


def spark(values: Sequence[float], width: int = 80, height: int = 20) -> tuple[str, str]:
    """A line and the ground below it, as paths."""
    if not values:
        return "", ""
    top, step = max(*values, 1) if len(values) > 1 else max(values[0], 1), width / max(len(values) - 1, 1)
    points = [(place * step, height - 1 - value / top * (height - 2)) for place, value in enumerate(values)]
    line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return line, f"{line}L{width} {height}L0 {height}Z"


def _signs(series: Series, marks: Sequence[Mark]) -> tuple[Sign, ...]:
    whole = series.step * max(len(series.points), 1)
    places = [min((mark.at - series.since) / whole, 1.0) * 100 for mark in marks]
    signs = []
    for number, (x, mark) in enumerate(zip(places, marks, strict=True)):
        text = f"release {mark.text}" if mark.release else f"note by {mark.by}: {mark.text}"
        last = number + 1 == len(places)
        # Of those that stand too close the latest is readable; the others say their words when they are pointed at.
        room = last or min(places[number + 1], _FAR) - x > _ROOM
        signs.append(Sign(x, mark, text, room))
    return tuple(signs)


def _ticks(top: float, count: int) -> tuple[str, ...]:
    """The numbers at the scale, the highest first."""
    if top < count - 1:
        return (words.number(top), "0")
    if top % (count - 1):
        return (words.number(top), words.number(top / 2), "0")
    return tuple(words.number(top * place / (count - 1)) for place in range(count - 1, -1, -1))


def _times(series: Series) -> tuple[str, ...]:
    points = series.points
    if not points:
        return ()
    places = [round(number * (len(points) - 1) / (_LABELS - 1)) for number in range(_LABELS)]
    return tuple(_clock(points[place].at, series) for place in dict.fromkeys(places))


def _clock(at: datetime, series: Series) -> str:
    return f"{at:%a} {at.day} {at:%b}" if series.step >= timedelta(hours=2) else f"{at:%H:%M}"
