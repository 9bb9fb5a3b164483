"""Fixtures of the command line: an app to run it on, and a runner inside this process."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from backburner import Backburner
from backburner.cli import main
from tests.cli.programs import Shop, make_shop

Run = Callable[..., Result]


@pytest.fixture
def shop(tmp_path: Path, sqlite_url: str) -> Shop:
    """An app on SQLite: what is printed is the same everywhere."""
    return make_shop(tmp_path, sqlite_url)


@pytest.fixture
def shop_everywhere(tmp_path: Path, database_url: str) -> Shop:
    """An app on each kind of database, whose tables are there."""
    return make_shop(tmp_path, database_url)


@pytest.fixture
def bare_shop(tmp_path: Path, empty_database_url: str) -> Shop:
    """The same without tables."""
    return make_shop(tmp_path, empty_database_url)


@pytest.fixture
def jobs(tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backburner]:
    """A Backburner on SQLite that `run` works on as well, by nothing but the setting url."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKBURNER_URL", sqlite_url)
    monkeypatch.delenv("BACKBURNER_APP", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    made = Backburner()
    yield made
    made.close()


@pytest.fixture
def run() -> Run:
    """Runs a command in this process, without a terminal."""

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments, prog_name="backburner")

    return call
