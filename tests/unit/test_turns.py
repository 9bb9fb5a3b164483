"""In the gate databases take turns; with `--long` every test runs on all it asks for."""

import pytest

from tests.turns import KINDS

pytest_plugins = ["pytester"]

TESTS = """
import pytest

@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
@pytest.mark.parametrize("number", range(30))
def test_some(kind, number):
    pass

@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
@pytest.mark.parametrize("number", range(5))
def test_at_length(kind, number):
    pass

def test_of_none():
    pass
"""


@pytest.fixture
def tests(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(
        """
import pytest
from tests.turns import take_turns

def pytest_configure(config):
    config.addinivalue_line("markers", "long: l")

@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    take_turns(items)
"""
    )
    for folder in ("worker", "store"):
        pytester.mkdir(folder).joinpath(f"test_{folder}.py").write_text(TESTS)
    return pytester


def collected(tests: pytest.Pytester, *options: str) -> list[str]:
    run = tests.runpytest("--collect-only", "-q", "-p", "no:cacheprovider", *options)
    return [line for line in run.outlines if "::" in line]


def test_each_test_has_one_turn_and_each_database_some(tests: pytest.Pytester) -> None:
    found = collected(tests, "-m", "not long", "worker")
    some = [line for line in found if "test_some" in line]
    assert len(some) == 30
    assert all(any(kind in line for line in some) for kind in KINDS)
    assert [line.count("sqlite") for line in found if "test_at_length" in line] == [1] * 5
    assert len(found) == 36


def test_other_folders_and_long_runs_leave_nothing_out(tests: pytest.Pytester) -> None:
    assert len(collected(tests, "-m", "not long", "store")) == 96
    assert len(collected(tests, "worker")) == 101
