"""An app as somebody's project has it, and its jobs under the test's control."""

import pytest

from backburner import Backburner
from backburner.pytest_plugin import _backburner_pattern, jobs_testing  # noqa: F401 (fixtures)


@pytest.fixture
def jobs() -> Backburner:
    """An app whose own database must not be touched: nobody can reach it."""
    return Backburner("postgresql://nobody@127.0.0.1:1/production")
