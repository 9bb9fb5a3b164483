"""Ends of bodies that are hard to tell: every attempt is settled once, and its body is not run again for it."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from backburner import Backburner, JobContext, PermanentError, Retry
from backburner.errors import InvalidArgument, StoreUnavailable
from backburner.job import Job
from backburner.states import JobState
from backburner.worker import Worker
from backburner.worker.isolation import Isolation
from backburner.worker.reporter import Running
from tests.waiting import wait_until


@pytest.fixture
def jobs(database_url: str, tmp_path: Path) -> Iterator[Backburner]:
    jobs = Backburner(database_url, auto_migrate=True, files=str(tmp_path / "files"))
    yield jobs
    jobs.close()


def ends(job: Job, state: JobState) -> Job:
    assert job.wait(30), job.refresh()
    found = job.refresh()
    assert found.state is state, found
    return found


class Mute(Exception):
    """An exception of an app that cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("where", ["thread", "loop"])
def test_an_exception_without_a_text_ends_its_job(jobs: Backburner, where: str) -> None:
    bodies: list[int] = []

    @jobs.task(name="thread", max_attempts=1)
    def in_thread() -> None:
        bodies.append(1)
        raise Mute

    @jobs.task(name="loop", max_attempts=1)
    async def on_loop() -> None:
        bodies.append(1)
        raise Mute

    task: Any = in_thread if where == "thread" else on_loop
    with Worker(jobs):
        found = ends(task.enqueue(), JobState.FAILED)
    assert found.error == "Mute: <its text raised RuntimeError>"
    assert len(bodies) == 1


@pytest.mark.parametrize("where", ["thread", "loop"])
def test_an_end_waits_for_the_offset_of_its_output(
    jobs: Backburner, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the output of a further attempt goes on is asked of the database, which may just be away."""
    bodies: list[int] = []

    def body(job: JobContext) -> None:
        bodies.append(job.attempt)
        if job.attempt == 1:
            raise Retry(after=0)
        job.log("the only line")

    @jobs.task(name="thread")
    def in_thread(job: JobContext) -> None:
        body(job)

    @jobs.task(name="loop")
    async def on_loop(job: JobContext) -> None:
        body(job)

    away = [StoreUnavailable("away"), StoreUnavailable("away")]
    log_end = jobs.store.progress.log_end

    def asked(job_id: str) -> int:
        if away:
            raise away.pop()
        return log_end(job_id)

    monkeypatch.setattr(jobs.store.progress, "log_end", asked)
    task: Any = in_thread if where == "thread" else on_loop
    with Worker(jobs):
        job = task.enqueue()
        ends(job, JobState.SUCCEEDED)
    assert not away
    assert bodies == [1, 2]
    assert [line.text for line in jobs.store.progress.log(job.id)] == ["the only line\n"]


def test_output_is_not_lost_when_a_flush_finds_the_database_away(
    jobs: Backburner, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()

    @jobs.task(name="two lines")
    def two_lines(job: JobContext) -> None:
        if job.attempt == 1:
            raise Retry(after=0)
        job.log("first")
        assert failed.wait(30)
        job.log("second")

    log_end = jobs.store.progress.log_end

    def asked(job_id: str) -> int:
        if not failed.is_set():
            failed.set()
            raise StoreUnavailable("away")
        return log_end(job_id)

    monkeypatch.setattr(jobs.store.progress, "log_end", asked)
    with Worker(jobs):
        job = two_lines.enqueue()  # type: ignore[call-arg]
        ends(job, JobState.SUCCEEDED)
    assert "".join(line.text for line in jobs.store.progress.log(job.id)) == "first\nsecond\n"


@pytest.mark.parametrize("strange", ["nul \x00", "surrogate \udce4"], ids=["nul", "surrogate"])
def test_text_no_database_stores_is_escaped(jobs: Backburner, strange: str) -> None:
    @jobs.task(name="strange")
    def say_strange(job: JobContext) -> None:
        job.stage(strange)
        job.log(strange)
        job.message(strange)
        job.link(strange, "/result")
        job.item_failed(strange, strange)

    @jobs.task(name="fail strangely")
    def fail_strangely() -> None:
        raise PermanentError(strange)

    with Worker(jobs):
        job = say_strange.enqueue()  # type: ignore[call-arg]
        found = ends(job, JobState.SUCCEEDED)
        failed = ends(fail_strangely.enqueue(), JobState.FAILED)
    escaped = strange.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
    assert found.progress is not None
    assert found.progress.stage == escaped
    assert [message.text for message in jobs.store.progress.messages(job.id)] == [escaped]
    assert [item.key for item in jobs.store.progress.failed_items(job.id)] == [escaped]
    assert failed.reason == escaped


def test_progress_is_complete_when_nothing_is_left_to_flush(jobs: Backburner) -> None:
    @jobs.task(name="half")
    def half(job: JobContext) -> None:
        job.expect(10)
        job.advance(5)
        job.message("half")
        wait_until(lambda: jobs.store.progress.messages(job.id or ""), "it is stored")

    with Worker(jobs):
        found = ends(half.enqueue(), JobState.SUCCEEDED)  # type: ignore[call-arg]
    assert found.progress is not None
    assert (found.progress.done, found.progress.total) == (10, 10)


def test_finish_outside_of_a_transaction_is_refused(jobs: Backburner) -> None:
    """It used to leave the job running, to be run again a minute later."""

    @jobs.task(name="finish", max_attempts=1)
    def finish(job: JobContext) -> None:
        with pytest.raises(InvalidArgument, match="outside of job.transaction"):
            job.finish("result")
        with job.transaction():
            job.finish("inside")
        with pytest.raises(InvalidArgument):
            job.finish("behind")

    with Worker(jobs):
        job = finish.enqueue()  # type: ignore[call-arg]
        ends(job, JobState.SUCCEEDED)
    assert jobs.get(job.id).result() == "inside"


def test_the_report_of_one_job_does_not_stop_the_transaction_of_another(jobs: Backburner) -> None:
    """On SQLite the report waits for the transaction; the transaction must not wait for the report."""
    worker = Worker(jobs)
    open_, done = threading.Event(), threading.Event()

    @jobs.task(name="write")
    def write(job: JobContext) -> None:
        job.message("begins")
        with job.transaction() as connection:
            connection.execute(text("CREATE TABLE of_test (number integer)"))
            open_.set()
            # The thread that reports is under way with both jobs.
            process: Any = worker._process
            others = [one for one in process.bench.reporter.running.values() if one.job.task == "report"]
            wait_until(lambda: not jobs_on_sqlite or others[0].lock.locked(), "the other job is being reported")
            job.checkpoint(1)
        done.set()

    @jobs.task(name="report")
    def report(job: JobContext) -> None:
        assert open_.wait(30)
        job.message("said meanwhile")
        assert done.wait(8), "the transaction waits for the report"

    jobs_on_sqlite = jobs.store.dialect.single_writer
    with worker:
        second = report.enqueue()  # type: ignore[call-arg]
        wait_until(lambda: second.refresh().state is JobState.RUNNING, "it runs")
        first = write.enqueue()  # type: ignore[call-arg]
        ends(first, JobState.SUCCEEDED)
        ends(second, JobState.SUCCEEDED)


def test_a_job_whose_process_cannot_be_started_leaves_nothing_behind(
    jobs: Backburner, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.app = "tests.worker.test_odd_ends:nothing"
    worker = Worker(jobs)
    seen: list[tuple[int, int]] = []

    @jobs.task(name="alone", isolate=True)
    def alone() -> None:
        return None

    def no_process(self: Isolation, running: Running, refused: object) -> str:
        process: Any = worker._process
        if process.bench.reporter.running.get(running.slot) is not running or seen:
            raise AssertionError("not tracked")
        seen.append((running.slot, running.job.attempt))
        process.become_quiet("one try is enough")
        raise OSError(11, "no more processes")

    monkeypatch.setattr(Isolation, "run", no_process)
    worker.start()
    process: Any = worker._process
    job = alone.enqueue()
    try:
        assert worker.wait(30)
        wait_until(lambda: process.pool.idle and process.finisher.empty, "it is given back")
        assert not process.bench.reporter.running
        assert not list(process.page.begun())
        again = jobs.get(job.id)
        assert (again.state, again.losses, again.reason) == (JobState.SCHEDULED, 1, "It could not be started.")
    finally:
        worker.stop()
