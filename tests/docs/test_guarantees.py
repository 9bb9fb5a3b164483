"""The eighteen promises are all there, each in one sentence, and each with a test that exists."""

import re

from tests.chaos.checker import RULES
from tests.docs.mutant_tables import assert_listed
from tests.docs.pages import ROOT
from tests.docs.test_links import defines
from tests.mutants.rules import MUTANTS

PAGE = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (R\d\d) \| (.+) \| (.+) \|$", re.MULTILINE)
LINK = re.compile(r"\[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\)")


def test_each_promise_is_one_sentence_with_a_test() -> None:
    found = {name: (text, tests) for name, text, tests in ROW.findall(PAGE)}
    assert list(found) == [f"R{number:02}" for number in range(1, 19)]
    for name, (text, tests) in found.items():
        assert re.fullmatch(r"[^.]+\.", re.sub(r"`[^`]*`", "x", text)), f"{name} is not one sentence: {text}"
        links = LINK.findall(tests)
        assert links, f"{name} has no test"
        for test, path in links:
            assert defines(ROOT / path, test), f"{name}: {path} has no {test}"


def test_every_mutant_is_listed_with_the_test_that_caught_it() -> None:
    assert_listed(PAGE, MUTANTS)


def test_every_rule_of_the_chaos_runs_is_in_their_table() -> None:
    assert set(RULES) <= set(re.findall(r"^\| ([\w ]+?) \| (?:\d+ \| )*\d+ \|$", PAGE, re.MULTILINE))
