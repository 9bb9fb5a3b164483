"""`python -m examples.operators.screenshot [FOLDER] [PAGE ...]`: pictures of the operators' pages of a shop at work."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from examples.operators.shop import Shop
from examples.shop.browser import ARGUMENTS

FOLDER = Path(__file__).parents[2] / "docs" / "images"
MOST_BYTES = 300_000
_WIDE, _NARROW = ViewportSize(width=1440, height=1000), ViewportSize(width=360, height=740)
_KINDS: tuple[tuple[str, ViewportSize, Literal["light", "dark"]], ...] = (
    ("", _WIDE, "light"),
    ("-dark", _WIDE, "dark"),
    ("-narrow", _NARROW, "light"),
    ("-narrow-dark", _NARROW, "dark"),
)


def main() -> int:
    """Fill a shop, open each page in light and dark, wide and narrow, and take its picture."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    wanted = sys.argv[2:]
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("Chromium is missing. Type: sudo apt-get install chromium", file=sys.stderr)
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    large = 0
    with (
        tempfile.TemporaryDirectory(prefix="operators-") as place,
        Shop(Path(place)) as shop,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        for file in _pictures(browser, shop, folder, wanted):
            size = file.stat().st_size
            large += size > MOST_BYTES
            print(f"{file}: {size / 1e3:.0f} kB")
        browser.close()
    return 1 if large else 0


def _pictures(browser: Browser, shop: Shop, folder: Path, wanted: list[str]) -> Iterator[Path]:
    for name, path in shop.paths().items():
        if wanted and name not in wanted:
            continue
        for kind, size, scheme in _KINDS:
            context = browser.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce")
            page = context.new_page()
            page.goto(shop.address + path, wait_until="networkidle" if "jobs/" not in path else "load")
            _prepare(page, name)
            file = folder / f"dashboard-{name}{kind}.png"
            page.screenshot(path=file, animations="disabled", full_page=name not in ("jobs", "bulk", "filter"))
            context.close()
            yield file


def _prepare(page: Page, name: str) -> None:
    if name == "filter":
        page.wait_for_selector("[data-pause]:visible")
        page.locator("#q").focus()
        page.keyboard.type("state:f")
    if name == "bulk":
        for pick in page.locator(".pick").all()[:3]:
            pick.check()


if __name__ == "__main__":
    sys.exit(main())
