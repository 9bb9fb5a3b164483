"""Jobs run when the test says so: the real store, the real executor, one after the other."""

import asyncio
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backburner import (
    Backburner,
    Cancelled,
    JobState,
    PermanentError,
    RetryPolicy,
    Skip,
    StopWorker,
    Wait,
    current_job,
)
from backburner.errors import JobFailed
from backburner.hooks import Attempt, Hook, JobProcess
from backburner.testing import JobsTesting


def test_what_is_ready_runs_here_in_order(jobs: Backburner, jobs_testing: Any) -> None:
    threads: list[str] = []

    @jobs.task
    def note(name: str) -> str:
        threads.append(threading.current_thread().name)
        return name.upper()

    testing = jobs_testing(jobs)
    note.options(priority=70).enqueue("last")
    note.enqueue("first")
    second = note.enqueue("second")
    results = testing.drain()
    assert [result.value for result in results] == ["FIRST", "SECOND", "LAST"]
    assert all(result.succeeded for result in results)
    assert set(threads) == {threading.current_thread().name}
    assert (second.result(), second.refresh().state) == ("SECOND", JobState.SUCCEEDED)
    assert testing.drain() == []
    assert testing.results == results


def test_what_a_job_enqueues_runs_too_the_better_priority_first(jobs: Backburner, jobs_testing: Any) -> None:
    order = []

    @jobs.task
    def note(name: str) -> None:
        order.append(name)
        if name == "a":
            note.options(priority=1).enqueue("pressing")

    testing = jobs_testing(jobs)
    for name in "abc":
        note.enqueue(name)
    testing.drain()
    assert order == ["a", "pressing", "b", "c"]


def test_an_async_task_runs(jobs: Backburner, jobs_testing: Any) -> None:
    @jobs.task
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    testing = jobs_testing(jobs)
    double.enqueue(4)
    double.options(isolate=True).enqueue(5)
    assert [result.value for result in testing.drain()] == [8, 10]


def test_a_test_with_an_event_loop_may_drain(jobs: Backburner, jobs_testing: Any) -> None:
    @jobs.task
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    @jobs.task
    def own_loop() -> int:
        return asyncio.run(double(5))

    testing = jobs_testing(jobs)

    async def case() -> list[Any]:
        await double.aenqueue(4)
        await double.options(isolate=True).aenqueue(4)
        await own_loop.aenqueue()
        return [result.value for result in testing.drain()]

    assert asyncio.run(case()) == [8, 8, 10]


def test_only_the_queues_that_were_named(jobs: Backburner, jobs_testing: Any) -> None:
    @jobs.task
    def note(name: str) -> str:
        return name

    testing = jobs_testing(jobs)
    for queue in ("mail", "reports", "default"):
        note.options(queue=queue).enqueue(queue)
    assert [result.value for result in testing.drain("reports", "mail")] == ["reports", "mail"]
    assert [result.value for result in testing.drain()] == ["default"]


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ValueError("no"), JobState.RETRYING),
        (PermanentError("no"), JobState.FAILED),
        (Skip("no"), JobState.SKIPPED),
        (Wait(60, "no"), JobState.SCHEDULED),
        (Cancelled("no"), JobState.CANCELLED),
        (StopWorker("no"), JobState.FAILED),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_result_says_how_it_ended_and_keeps_the_very_exception(
    jobs: Backburner, jobs_testing: Any, error: BaseException, state: JobState
) -> None:
    @jobs.task
    def end() -> None:
        raise error

    testing = jobs_testing(jobs)
    job = end.enqueue()
    [result] = testing.drain()
    assert (result.state, result.error, result.attempt, result.id) == (state, error, 1, job.id)
    assert result.state is job.refresh().state


def test_drain_raises_when_asked_to(jobs: Backburner, jobs_testing: Any) -> None:
    @jobs.task
    def fail() -> None:
        raise ValueError("this very one")

    testing = jobs_testing(jobs)
    fail.enqueue()
    with pytest.raises(ValueError, match="this very one"):
        testing.drain(raises=True)


def test_the_clock_stands_still_until_it_is_moved(jobs: Backburner, jobs_testing: Any) -> None:
    @jobs.task
    def remind() -> None: ...

    testing = jobs_testing(jobs)
    job = remind.options(delay=timedelta(hours=1)).enqueue()
    assert job.run_at == testing.clock.now() + timedelta(hours=1)
    assert testing.drain() == []
    testing.clock.move(3599)
    assert testing.drain() == []
    testing.clock.move(1)
    assert [result.id for result in testing.drain()] == [job.id]


def test_with_scheduled_time_moves_to_what_is_due(jobs: Backburner, jobs_testing: Any) -> None:
    order = []

    @jobs.task
    def remind(days: int) -> None:
        order.append((days, testing.clock.now() - begin))

    testing = jobs_testing(jobs)
    begin = testing.clock.now()
    for days in (3, 1):
        remind.options(delay=timedelta(days=days)).enqueue(days)
    testing.drain(with_scheduled=True)
    assert order == [(1, timedelta(days=1)), (3, timedelta(days=3))]


def test_with_retries_it_goes_through_the_pauses(jobs: Backburner, jobs_testing: Any) -> None:
    @jobs.task(retry=RetryPolicy.fixed(60), max_attempts=3)
    def fail() -> None:
        raise ValueError("again")

    @jobs.task
    def remind() -> None: ...

    testing = jobs_testing(jobs)
    begin = testing.clock.now()
    job, later = fail.enqueue(), remind.options(delay=86_400).enqueue()
    assert [result.state for result in testing.drain()] == [JobState.RETRYING]
    results = testing.drain(with_retries=True)
    assert [(result.attempt, result.state) for result in results] == [(2, JobState.RETRYING), (3, JobState.FAILED)]
    assert timedelta(seconds=60) < testing.clock.now() - begin < timedelta(hours=1)
    assert later.refresh().state is JobState.SCHEDULED
    with pytest.raises(JobFailed):
        job.result()


def test_a_group_goes_on_in_order(jobs: Backburner, jobs_testing: Any) -> None:
    @jobs.task
    def step(number: int) -> int:
        return number

    testing = jobs_testing(jobs)
    for number in range(4):
        step.options(group="one").enqueue(number)
    assert [result.value for result in testing.drain()] == [0, 1, 2, 3]


def test_without_end_the_test_ends(jobs: Backburner, jobs_testing: Any) -> None:
    @jobs.task(name="again")
    def again() -> None:
        again.enqueue()

    testing = jobs_testing(jobs)
    again.enqueue()
    with pytest.raises(AssertionError, match="After 20 runs there is no end in sight: again 20 times"):
        testing.drain(limit=20)

    @jobs.task(name="wait")
    def wait() -> None:
        raise Wait(60)

    jobs.cancel(state="queued")
    wait.enqueue()
    with pytest.raises(AssertionError, match="no end in sight"):
        testing.drain(with_scheduled=True, limit=20)


def test_what_a_job_reports_is_stored(jobs: Backburner, jobs_testing: Any) -> None:
    @jobs.task
    def report() -> None:
        job = current_job()
        job.progress(40, "under way")
        job.message("nearly")
        job.attach(__file__, "test.py")

    testing = jobs_testing(jobs)
    job = report.enqueue()
    testing.drain(raises=True)
    progress = job.refresh().progress
    assert progress is not None
    assert (progress.done, progress.message) == (100, "nearly")
    assert [file.name for file in jobs.control.show(job.id).files] == ["test.py"]


def test_jobs_that_are_not_kept_still_have_results(jobs: Backburner, jobs_testing: Any) -> None:
    @jobs.task(keep=0)
    def answer() -> int:
        return 42

    testing = jobs_testing(jobs)
    answer.enqueue()
    assert [(result.state, result.value) for result in testing.drain()] == [(JobState.SUCCEEDED, 42)]
    assert jobs.find() == []


def test_the_app_gets_its_database_back(sqlite_url: str, tmp_path: Path) -> None:
    jobs = Backburner(sqlite_url)

    @jobs.task
    def note() -> None: ...

    before = note.enqueue()
    store, bell, files, settings = jobs.store, jobs.bell, jobs.files, jobs.settings
    folder = tmp_path / "testing"
    folder.mkdir()
    with JobsTesting(jobs, folder) as testing:
        assert testing.enqueued() == []
        note.enqueue()
        assert str(folder) in jobs.settings.url
        assert [result.succeeded for result in testing.drain()] == [True]
    assert (jobs.store, jobs.bell, jobs.files, jobs.settings) == (store, bell, files, settings)
    assert [job.id for job in jobs.find()] == [before.id]
    jobs.close()


def test_an_app_that_closes_its_connections_stays_under_control(jobs: Backburner, jobs_testing: Any) -> None:
    @jobs.task
    def note() -> None: ...

    testing = jobs_testing(jobs)
    note.enqueue()
    jobs.close()
    assert jobs.store.clock is testing.clock
    assert len(testing.drain()) == 1


def test_another_database_may_be_used(jobs: Backburner, jobs_testing: Any, database_url: str) -> None:
    @jobs.task
    def note(name: str) -> str:
        return name

    testing = jobs_testing(jobs, url=database_url)
    note.options(delay=60).enqueue("later")
    note.options(group="one").enqueue("first")
    testing.interrupt(note, at="before body")
    assert [result.value for result in testing.drain(with_scheduled=True)] == [None, "first", "later"]
    assert [job.attempt for job in testing.enqueued()] == [1, 2]


class Noting(Hook):
    """Writes down what it is called for."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def on_start(self, process: JobProcess) -> None:
        self.notes.append("start")

    def before(self, attempt: Attempt) -> None:
        self.notes.append(f"before {attempt.attempt}")

    def on_error(self, attempt: Attempt, error: BaseException) -> None:
        self.notes.append(f"error {error}")

    def after(self, attempt: Attempt) -> None:
        self.notes.append(f"after {attempt.attempt}")

    def on_end(self, process: JobProcess) -> None:
        self.notes.append("end")


def test_hooks_are_called_but_not_by_the_dead(jobs: Backburner, jobs_testing: Any) -> None:
    hook = Noting()

    @jobs.task(hooks=[hook])
    def fail() -> None:
        raise ValueError("no")

    testing = jobs_testing(jobs)
    fail.enqueue()
    testing.drain()
    assert hook.notes == ["start", "before 1", "error no", "after 1", "end"]
    hook.notes.clear()

    @jobs.task(hooks=[hook])
    def work() -> None:
        current_job().progress(50)

    testing.crash(work, at="progress")
    work.enqueue()
    testing.drain()
    assert hook.notes == ["start", "before 1", "before 2", "after 2", "end"]
