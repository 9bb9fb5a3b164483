"""A table of mutants in a page: each with the rule that it breaks and the test that caught it."""

import re
from collections.abc import Mapping

from tests.docs.pages import ROOT
from tests.docs.test_links import defines
from tests.mutants.mutant import Mutant

ROW = re.compile(r"^\| ([\w -]+) \| (.+?) \| \[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\) \|$", re.MULTILINE)


def assert_listed(page: str, mutants: Mapping[str, Mutant]) -> None:
    """All of them are there, as `scripts/mutants` knows them, and each test is one that they are tried with."""
    listed = {name: (rule, test, path) for name, rule, test, path in ROW.findall(page) if name in mutants}
    assert listed.keys() == mutants.keys()
    for name, (rule, test, path) in listed.items():
        assert rule == mutants[name].rule
        assert defines(ROOT / path, test)
        assert any(target.startswith(path) for target in mutants[name].tests), f"{name} is not tried with {path}"
