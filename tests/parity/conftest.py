"""An app on a fresh database, by the public API alone, and workers in the test's own process.

One test per row at least, named by the row: `test_enq_01_...`. Most rows run once, on SQLite, with `jobs`; the
rows on claiming, groups, uniqueness and transactions on each database in turn, with `jobs_everywhere`.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from backburner import Backburner
from backburner.cli import main
from backburner.worker import Worker, WorkerOptions, process

QUICK = WorkerOptions(concurrency=4, poll=0.05)
"""What workers here are started with, unless a test says otherwise."""

StartWorker = Callable[..., Worker]
Run = Callable[..., Result]


def _app(url: str, folder: Path) -> Iterator[Backburner]:
    jobs = Backburner(url, auto_migrate=True, files=str(folder / "files"))
    yield jobs
    jobs.close()


@pytest.fixture
def jobs(sqlite_url: str, tmp_path: Path) -> Iterator[Backburner]:
    """An app without tasks on SQLite."""
    yield from _app(sqlite_url, tmp_path)


@pytest.fixture
def jobs_everywhere(database_url: str, tmp_path: Path) -> Iterator[Backburner]:
    """An app without tasks, once per kind of database."""
    yield from _app(database_url, tmp_path)


@pytest.fixture
def start_worker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartWorker]:
    """`start_worker(jobs, queues=("mail",))` starts a worker in a thread; `jobs` is that of the test when left out.

    Keywords are those of `WorkerOptions`. Declare the tasks first. Workers are stopped when the test ends; a
    task that does not stop has 0.3 s.
    """
    monkeypatch.setattr(process, "STOP_GRACE", 0.3)
    started: list[Worker] = []
    # Made first, so that it is closed last.
    name = next((name for name in ("jobs_everywhere", "jobs") if name in request.fixturenames), None)
    default = request.getfixturevalue(name) if name else None

    def start(jobs: Backburner | None = None, **options: Any) -> Worker:
        app = jobs or default
        assert app is not None, "which app? Pass one, or use the fixture jobs or jobs_everywhere"
        started.append(Worker(app, replace(QUICK, **options)).start())
        return started[-1]

    yield start
    for worker in started:
        worker.stop(2.0)


@pytest.fixture
def run(jobs: Backburner, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("jobs", "list")` runs a command on the database of `jobs`, in this process and without its tasks."""
    monkeypatch.setenv("BACKBURNER_URL", jobs.settings.url)
    monkeypatch.delenv("BACKBURNER_APP", raising=False)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments, prog_name="backburner")

    return call
