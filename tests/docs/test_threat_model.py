"""The table of what was taken away says what `scripts/mutants` takes away. Threats and tests: tests/attack."""

from tests.docs.mutant_tables import assert_listed
from tests.docs.pages import ROOT
from tests.mutants.mitigations import MITIGATIONS

PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")


def test_every_mutant_is_listed_with_the_test_that_caught_it() -> None:
    assert_listed(PAGE, MITIGATIONS)


def test_it_can_be_found() -> None:
    for page in ("docs/index.md", "SECURITY.md"):
        assert "threat-model.md" in (ROOT / page).read_text(encoding="utf-8"), page
