"""A running shop per test, real processes and all, and a browser to visit it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from examples.shop.browser import ARGUMENTS
from examples.shop.folder import Folder
from examples.shop.processes import Processes

BATCH = 20
"""Rows of one transaction: few, so that there is time to look at a bar before it is full."""

expect.set_options(timeout=30_000)
Visit = Callable[..., Page]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "shop")


@pytest.fixture
def shop(folder: Folder) -> Iterator[Processes]:
    with Processes(folder, batch=BATCH) as running:
        yield running


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, shop: Processes) -> Iterator[Visit]:
    """Opens the shop's page; in the end no page may have reported an error, the CSP's included."""
    errors: list[str] = []
    contexts = []

    def opened(**options: object) -> Page:
        context = browser.new_context(**options)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        page.goto(shop.address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def page(visit: Visit) -> Page:
    return visit()
