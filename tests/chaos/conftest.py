"""The worlds of the worker tests, to be shaken: each once per kind of database."""

import pytest

from tests.worker.conftest import on_postgresql, on_sqlite, world

__all__ = ["on_postgresql", "on_sqlite", "world"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A `world` once per kind of database."""
    if "world" in metafunc.fixturenames:
        metafunc.parametrize("world", ["sqlite", "postgresql", "mariadb"], indirect=True)
