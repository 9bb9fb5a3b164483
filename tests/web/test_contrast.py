"""The colours of the sheet: every pair that carries meaning can be told apart, in both themes."""

import re
from pathlib import Path

import pytest

import backburner.web as web

SHEET = (Path(web.__file__).parent / "static" / "backburner.css").read_text()
PAIR = re.compile(r"--bb-([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);")
TOKENS = {name: (light, dark) for name, light, dark in PAIR.findall(SHEET)}
PLAIN = dict(re.findall(r"^  --bb-([\w-]+): (#[0-9a-f]{6});", SHEET, re.MULTILINE))
STATES = (
    *("scheduled", "blocked", "queued", "running", "retrying"),
    *("succeeded", "failed", "cancelled", "interrupted", "skipped"),
)
TEXT = [
    *((ink, ground) for ink in ("ink", "ink-2", "ink-3", "ember") for ground in ("surface", "bg")),
    *(("ink-3", ground) for ground in ("sunken", "hover", "ember-tint")),
    *((state, ground) for state in STATES for ground in ("surface", f"{state}-tint")),
    *(
        ("on-ember", "main"),
        ("log-ink", "log-bg"),
        ("log-dim", "log-bg"),
        ("log-warn", "log-bg"),
        ("ink-2", "queued-tint"),
    ),
]
SHAPES = [("control", "surface"), ("ember-fill", "surface"), ("ember-fill", "track"), ("succeeded", "track")]


def luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def ratio(one: str, other: str) -> float:
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), TEXT)
def test_text_is_readable(ink: str, ground: str, theme: int) -> None:
    assert ratio(TOKENS[ink][theme], TOKENS[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("shape", "ground"), SHAPES)
def test_bars_and_edges_can_be_seen(shape: str, ground: str, theme: int) -> None:
    assert ratio(TOKENS[shape][theme], TOKENS[ground][theme]) >= 3.0


def test_the_ratio_is_that_of_wcag() -> None:
    assert ratio("#000000", "#ffffff") == pytest.approx(21)
    assert ratio("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_old_browsers_get_the_light_theme() -> None:
    assert {name: light for name, (light, _) in TOKENS.items()} == PLAIN
    assert len(TOKENS) > 30


def test_every_colour_is_a_token() -> None:
    """A colour written where it is used has no other theme, and no ratio that is checked here."""
    pages = (Path(web.__file__).parent / "static" / "dashboard.css").read_text()
    rules = SHEET.split("\n}\n", 2)[2] + pages
    assert re.findall(r"#[0-9a-f]{3,8}\b", PAIR.sub("", rules).replace("light-dark(#000, #fff)", "")) == []
