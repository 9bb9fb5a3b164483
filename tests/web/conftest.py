"""A Backburner with some tasks, and callers of its web app."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from backburner import Backburner
from backburner.worker import Worker
from tests.web.browsing import browsing
from tests.web.shop import SECRET, Shop


@pytest.fixture
def jobs(sqlite_url: str, tmp_path: Path) -> Iterator[Backburner]:
    made = Backburner(sqlite_url, secret=SECRET, files=str(tmp_path / "files"), poll=0.05)
    yield made
    made.close()


@pytest.fixture
def shop(jobs: Backburner) -> Shop:
    return Shop(jobs)


@pytest.fixture
def worker(shop: Shop) -> Iterator[Worker]:
    """A worker in this process; jobs that wait at a gate are let go at the end."""
    with Worker(shop.jobs) as made:
        yield made
        shop.gate.set()


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    """The system's Chromium, for the tests of a file."""
    with browsing(chromium) as made:
        yield made
