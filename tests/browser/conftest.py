"""The browser, and what people do in both of the small example shops."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.web.browsing import browsing

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with browsing(chromium) as made:
        yield made
