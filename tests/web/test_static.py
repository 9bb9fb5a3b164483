"""What browsers have to load: how much it is, and that it is what it should be."""

import gzip
import re
from pathlib import Path

import backburner.web

STATIC = Path(backburner.web.__file__).parent / "static"
MODULES = (
    *("backburner", "estimate", "follow", "global", "log", "parts", "progress", "submit", "tray", "views", "wait"),
    *("words", "languages/en"),
)
"""What a page with all six elements loads, whatever language it speaks."""
MOST_BYTES = 24_500
"""Packed, all together. The goal is 10,000: docs/decisions/0010-components.md says why it is missed."""


def packed(name: str) -> int:
    return len(gzip.compress((STATIC / f"{name}.js").read_bytes(), 9, mtime=0))


def test_all_six_elements_together_stay_small() -> None:
    sizes = {name: packed(name) for name in MODULES}
    assert sum(sizes.values()) <= MOST_BYTES, sizes
    assert all(packed(f"languages/{code}") <= 1_200 for code in ("cs", "de"))


def test_the_list_of_modules_is_what_is_imported() -> None:
    found, pending = set(), ["backburner"]
    while pending:
        name = pending.pop()
        found.add(name)
        text = (STATIC / f"{name}.js").read_text(encoding="utf-8")
        pending += [each for each in re.findall(r'from "\./([\w/]+)\.js"', text) if each not in found]
    assert found == set(MODULES)


def test_no_script_makes_code_or_markup_of_a_text() -> None:
    for name in MODULES:
        text = (STATIC / f"{name}.js").read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text), (
            name
        )
