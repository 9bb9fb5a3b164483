"""Each threat of the threat model has a test, here or elsewhere, and a mutant that such a test catches."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.mitigations import MITIGATIONS

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
THREATS = tuple(f"S{number:02}" for number in range(1, 19))
ELSEWHERE = {"S03", "S04", "S05", "S06", "S07", "S14"}
"""Threats whose tests all stand with what they are about. One that gets a test here has to be taken off."""

_ROW = re.compile(r"^\| (S\d\d) \| (.+?) \| (.+?) \| (.+) \|$", re.MULTILINE)
_LINK = re.compile(r"\[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\)")
ROWS = {row[0]: _LINK.findall(row[3]) for row in _ROW.findall(PAGE)}


def named_here() -> dict[str, set[str]]:
    """The tests of this folder, by the threat that they are named by."""
    found: dict[str, set[str]] = {}
    for path in HERE.glob("test_s*.py"):
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE):
            found.setdefault(name.split("_")[1].upper(), set()).add(name)
    return found


NAMED = named_here()


@pytest.mark.parametrize("threat", THREATS)
def test_a_threat_has_tests_and_the_page_names_them(threat: str) -> None:
    links = ROWS[threat]
    for name, path in links:
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), f"{path}: {name}"
    assert links, f"{threat} has no test"
    assert (threat in ELSEWHERE) is (threat not in NAMED), f"is there a test_{threat.lower()}_..., or is there none?"
    assert NAMED.get(threat, set()) <= {name for name, _ in links}, "the page names all of them"


@pytest.mark.parametrize("threat", THREATS)
def test_what_holds_against_it_can_be_taken_away(threat: str) -> None:
    of_it = [mutant for mutant in MITIGATIONS.values() if mutant.rule.endswith(f"({threat})")]
    assert of_it, f"no mutant takes anything away that holds against {threat}"
    for mutant in of_it:
        for path in mutant.tests:
            assert (ROOT / path.partition("::")[0]).is_file(), path


SWITCH_EACH_OFF = """
import os, sys
from tests.mutants.every import EVERY, switch_off
for name in EVERY:
    if (child := os.fork()) == 0:
        try:
            switch_off(name)
        except BaseException as error:
            print(f"{name}: {error}", flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_each_mutant_still_has_something_to_take_the_place_of() -> None:
    """What it is put over may have got another name since: then it would change nothing, or say nothing."""
    tried = subprocess.run(
        [sys.executable, "-c", SWITCH_EACH_OFF], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (tried.stdout, tried.returncode) == ("", 0), tried.stderr


def test_tests_and_page_name_threats_that_exist() -> None:
    assert set(NAMED) | ELSEWHERE <= set(THREATS)
    assert tuple(ROWS) == THREATS
