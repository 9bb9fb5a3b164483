"""The worlds of the worker tests, to be shaken."""

from tests.worker.conftest import on_postgresql, on_sqlite, worker_postgresql, worker_sqlite, world

__all__ = ["on_postgresql", "on_sqlite", "worker_postgresql", "worker_sqlite", "world"]
