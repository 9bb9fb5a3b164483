"""`python -m examples.operators.screenshot [FOLDER] [PAGE ...]`: pictures of the operators' pages of a shop at work."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from playwright.sync_api import Browser, Page

from examples.operators.shop import Shop
from examples.pictures import FOLDER, browsing, take, told


def main() -> int:
    """Fill a shop, open each page in light and dark, wide and narrow, and take its picture."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="operators-") as place, Shop(Path(place)) as shop, browsing() as browser:
        return 1 if told(_pictures(browser, shop, folder, sys.argv[2:])) else 0


def _pictures(browser: Browser, shop: Shop, folder: Path, wanted: list[str]) -> Iterator[Path]:
    for name, path in shop.paths().items():
        if not wanted or name in wanted:
            yield from take(
                browser,
                shop.address + path,
                folder / f"dashboard-{name}.png",
                partial(_prepare, name=name),
                settled="load" if "jobs/" in path else "networkidle",
                whole=name not in ("jobs", "bulk", "filter"),
            )


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
