"""The pytest plugin: fixtures for the tests of apps. pytest loads it by its entry point; it changes nothing by itself.

What it is made of is imported when a test asks for it: other projects' tests load this file too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from backburner.backburner import Backburner
    from backburner.testing import JobsTesting

APP = "backburner_app"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Name the setting."""
    parser.addini(APP, "The app of the fixture `backburner`, written like shop.tasks:jobs", default="")


@pytest.fixture(scope="session")
def _backburner_pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with all tables: copying it takes a hundredth of the time of making them."""
    file = tmp_path_factory.mktemp("backburner") / "pattern.db"
    store = import_module("backburner.store.store").Store(f"sqlite:///{file}", auto_migrate=True)
    store.ready()
    store.close()
    return file


@pytest.fixture
def jobs_testing(tmp_path: Path, _backburner_pattern: Path) -> Iterator[Callable[..., JobsTesting]]:
    """`jobs_testing(jobs)` puts an app's jobs under the test's control until it ends; see `JobsTesting`.

    Keywords: `url`, `inline`.
    """
    made = import_module("backburner.testing").JobsTesting
    with ExitStack() as stack:

        def start(jobs: Backburner, **options: Any) -> JobsTesting:
            folder = tmp_path / f"backburner-{id(jobs):x}"
            folder.mkdir()
            testing: JobsTesting = stack.enter_context(made(jobs, folder, pattern=_backburner_pattern, **options))
            return testing

        yield start


@pytest.fixture
def backburner(request: pytest.FixtureRequest, jobs_testing: Callable[..., JobsTesting]) -> JobsTesting:
    """The jobs of the app that the setting `backburner_app` names, under the test's control."""
    spec = str(request.config.getini(APP))
    if not spec:
        pytest.fail(f"Say which app: {APP} = shop.tasks:jobs in pytest's settings, or use jobs_testing(jobs)")
    return jobs_testing(import_module("backburner.worker.app").load_app(spec))
