"""Pictures of pages in the system's Chromium: light and dark, wide and narrow."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from examples.shop.browser import ARGUMENTS, find_chromium

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "images"
MOST_BYTES = 300_000
_WIDE, _NARROW = ViewportSize(width=1440, height=1000), ViewportSize(width=360, height=740)
_KINDS: tuple[tuple[str, ViewportSize, Literal["light", "dark"]], ...] = (
    ("", _WIDE, "light"),
    ("-dark", _WIDE, "dark"),
    ("-narrow", _NARROW, "light"),
    ("-narrow-dark", _NARROW, "dark"),
)
_ON_A_PHONE = frozenset({"dashboard-overview", "dashboard-jobs", "dashboard-job", "mine", "wait"})
"""What the documentation shows on a phone as well."""
# Where the sources of the examples are is the business of the machine the pictures are taken on.
_MOVE = """(root) => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(root, "/srv/shop");
}"""


@contextmanager
def browsing() -> Iterator[Browser]:
    """The browser. Ends the program with 1 where there is none."""
    chromium = find_chromium()
    if chromium is None:
        print("Chromium is missing. Type: sudo apt-get install chromium", file=sys.stderr)
        raise SystemExit(1)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def take(
    browser: Browser,
    address: str,
    file: Path,
    prepare: Callable[[Page], object] = lambda page: None,
    *,
    settled: Literal["load", "networkidle"] = "networkidle",
    whole: bool = True,
) -> Iterator[Path]:
    """The page of an address four times: `file` names the first, the others say in their names what they are.

    In the folder of the documentation only those that it shows. `prepare` is called when the page is there.
    Not `whole`: only what fits the window.
    """
    shown = {"", "-narrow-dark"} if file.stem in _ON_A_PHONE else {""}
    for kind, size, scheme in _KINDS:
        if file.parent == FOLDER and kind not in shown:
            continue
        # A strict policy lets nobody wait for a condition in the page; tests see to it that it holds.
        context = browser.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True)
        page = context.new_page()
        page.goto(address, wait_until=settled)
        prepare(page)
        page.evaluate(_MOVE, str(ROOT))
        target = file.with_stem(file.stem + kind)
        page.screenshot(path=target, animations="disabled", full_page=whole)
        context.close()
        yield target


def told(files: Iterator[Path]) -> int:
    """Print how large each picture is; how many are too large for the documentation."""
    large = 0
    for file in files:
        size = file.stat().st_size
        large += size > MOST_BYTES
        print(f"{file}: {size / 1e3:.0f} kB")
    return large
