"""Jobs in processes of their own: how their ends come back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backburner import Backburner
from backburner.states import JobState
from backburner.worker import Worker, process
from tests.waiting import wait_until
from tests.worker.apart import build


@pytest.fixture
def jobs(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backburner]:
    monkeypatch.setenv("WORKER_TEST_URL", sqlite_url)
    jobs = build(sqlite_url)
    yield jobs
    jobs.close()


def test_an_end_in_a_transaction_of_its_own_is_no_crash(jobs: Backburner) -> None:
    with Worker(jobs):
        job = jobs.registry.require("end_in_transaction").enqueue()
        assert job.wait(30)
    assert jobs.get(job.id).result() == "inside"
    assert [record.outcome for _, record in jobs.store.jobs.attempts(job.id)] in ([], ["succeeded"])
    assert job.refresh().crashes == 0


def test_a_process_that_died_is_noticed_while_its_own_child_holds_the_line(jobs: Backburner, tmp_path: Path) -> None:
    end = tmp_path / "end"
    with Worker(jobs):
        job = jobs.registry.require("leave_a_child").enqueue(str(end))
        try:
            wait_until(lambda: job.refresh().crashes, "its death is noticed")
        finally:
            end.touch()


def test_a_job_that_is_killed_for_not_stopping_does_not_cost_its_worker(
    jobs: Backburner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "STOP_GRACE", 0.3)
    worker = Worker(jobs)
    with worker:
        job = jobs.registry.require("deaf").enqueue()
        wait_until(lambda: job.refresh().state is JobState.RUNNING, "it runs")
        job.cancel()
        assert job.wait(30)
        found = job.refresh()
        assert found.state is JobState.CANCELLED
        wait_until(lambda: worker._process is not None and worker._process.pool.idle, "its thread is back")
        assert worker._process is not None
        assert worker._process.pool.free == worker._process.pool.size
