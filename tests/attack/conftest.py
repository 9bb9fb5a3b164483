"""The shop of the tests of the web side, to be attacked, and an app of its own with something of everything in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attack.apps import App, opened
from tests.attack.estate import Estate, furnish
from tests.web.conftest import jobs, shop, worker

__all__ = ["jobs", "shop", "worker"]


@pytest.fixture
def app(sqlite_url: str, tmp_path: Path) -> Iterator[App]:
    with opened("alone", tmp_path, sqlite_url) as made:
        yield made


@pytest.fixture
def estate(app: App) -> Estate:
    return furnish(app.jobs, "x", app.owner)
