"""An app that is traced."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backburner import Backburner
from tests.contrib.tracing.spans import Traced


@pytest.fixture
def jobs(sqlite_url: str, tmp_path: Path) -> Iterator[Backburner]:
    made = Backburner(sqlite_url, secret="a secret for tests, long enough", files=str(tmp_path / "files"))
    yield made
    made.close()


@pytest.fixture
def traced(jobs: Backburner) -> Traced:
    return Traced(jobs)
