"""A Backburner on an empty database: every test here that uses `jobs` runs once per kind of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backburner import Backburner


@pytest.fixture
def jobs(database_url: str, tmp_path: Path) -> Iterator[Backburner]:
    made = Backburner(database_url, files=str(tmp_path / "files"))
    yield made
    made.close()
