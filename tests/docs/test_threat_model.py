"""The table of what was taken away says what `scripts/mutants` takes away. Threats and tests: tests/attack."""

import re

from tests.docs.pages import ROOT
from tests.docs.test_links import defines
from tests.mutants.mitigations import MITIGATIONS

PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")


def test_every_mutant_is_listed_with_the_test_that_caught_it() -> None:
    rows = re.findall(r"^\| ([\w -]+) \| (.+?) \| \[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\) \|$", PAGE, re.MULTILINE)
    listed = {name: (rule, test, path) for name, rule, test, path in rows if name in MITIGATIONS}
    assert listed.keys() == MITIGATIONS.keys()
    for name, (rule, test, path) in listed.items():
        assert rule == MITIGATIONS[name].rule
        assert defines(ROOT / path, test)
        assert any(target.startswith(path) for target in MITIGATIONS[name].tests), f"{name} is not tried with {path}"


def test_it_can_be_found() -> None:
    for page in ("docs/index.md", "SECURITY.md"):
        assert "threat-model.md" in (ROOT / page).read_text(encoding="utf-8"), page
