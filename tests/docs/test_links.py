"""Every link of the documentation leads somewhere."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Page, pages

PAGES = pages()
FOREIGN = ("http://", "https://", "mailto:")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Page) -> None:
    wrong = []
    for line, _, target in page.links:
        if target.startswith(FOREIGN):
            continue
        place, _, anchor = target.partition("#")
        path = (page.path.parent / place).resolve() if place else page.path
        if not path.is_relative_to(ROOT) or not path.exists():
            wrong.append(f"{page.name}:{line}: there is no {target}")
        elif anchor and path.suffix == ".md" and anchor not in Page(path).anchors:
            wrong.append(f"{page.name}:{line}: {place or page.name} has no heading #{anchor}")
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_test_that_is_named_as_proof_exists(page: Page) -> None:
    """A link to a file of tests says which test, and the file has it."""
    wrong = []
    for line, text, target in page.links:
        if not re.search(r"tests/.*test_\w+\.py\Z", target):
            continue
        path = (page.path.parent / target).resolve()
        name = text.strip("`")
        if name.startswith("test_") and not defines(path, name):
            wrong.append(f"{page.name}:{line}: {target} has no {name}")
    assert wrong == []


def defines(path: Path, name: str) -> bool:
    return path.is_file() and re.search(rf"def {name}\(", path.read_text(encoding="utf-8")) is not None


def test_every_page_can_be_reached_from_the_index() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "docs" / "index.md"]
    while waiting:
        path = waiting.pop()
        if path in seen or path.suffix != ".md":
            continue
        seen.add(path)
        for _, _, target in Page(path).links:
            place = target.partition("#")[0]
            if place and not target.startswith(FOREIGN):
                waiting.append((path.parent / place).resolve())
    assert {page.path for page in PAGES if page.name.startswith("docs/")} <= seen
