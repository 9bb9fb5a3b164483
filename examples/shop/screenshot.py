"""`python -m examples.shop.screenshot [FILE]`: the picture of the README, taken from the running demo."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from examples.shop.browser import ARGUMENTS, find_chromium
from examples.shop.example_file import example_lines
from examples.shop.folder import Folder
from examples.shop.processes import ROOT, Processes

PICTURE = ROOT / "docs" / "images" / "progress.png"
MOST_BYTES = 300_000
_WIDTH, _HEIGHT = 1120, 680
_ROWS = 84_725
_BATCH = 20
_SHARE = 0.6


def main() -> int:
    """Start a shop, import a file in its page, and take the picture when the bar is at 60 %."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    chromium = find_chromium()
    if chromium is None:
        print("Chromium is missing. Type: sudo apt-get install chromium", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="shop-") as place:
        prices = Path(place) / "autumn-prices.csv"
        with prices.open("w", encoding="utf-8", newline="") as file:
            file.writelines(example_lines(_ROWS, wrong=False))
        with Processes(Folder(Path(place) / "shop"), batch=_BATCH) as running, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
            page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT}, device_scale_factor=2)
            page.goto(running.address)
            _fill(page, Path(place))
            _take(page, prices, target)
            browser.close()
    size = target.stat().st_size
    print(f"{target}: {size / 1e3:.0f} kB")
    return 0 if size < MOST_BYTES else 1


def _fill(page: Page, place: Path) -> None:
    """Some products and finished jobs, as in a shop that has been open for a while."""
    stock = place / "stock.csv"
    with stock.open("w", encoding="utf-8", newline="") as file:
        file.writelines(example_lines(1_240, wrong=False))
    page.set_input_files("#file", stock)
    page.click("#import-form button")
    page.wait_for_selector("backburner-progress .bb-succeeded")
    page.click("text=Export CSV")
    page.wait_for_selector("backburner-progress .bb-succeeded")


def _take(page: Page, prices: Path, target: Path) -> None:
    page.set_input_files("#file", prices)
    page.click("#import-form button")
    page.click("text=Show log")
    page.wait_for_function(
        "share => document.querySelector('backburner-progress progress')?.value >= share", arg=_SHARE, timeout=120_000
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=target, animations="disabled")


if __name__ == "__main__":
    sys.exit(main())
