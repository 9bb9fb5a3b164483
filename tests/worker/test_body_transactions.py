"""`job.transaction()`: the app's writes and the checkpoint that belongs to them go together, or not at all."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from backburner import Backburner, JobContext, Retry
from backburner.worker import Worker
from tests.waiting import wait_until


@pytest.fixture
def jobs(database_url: str, tmp_path: Path) -> Iterator[Backburner]:
    jobs = Backburner(database_url, auto_migrate=True, files=str(tmp_path / "files"))
    yield jobs
    jobs.close()


def test_reports_made_inside_do_not_wait_for_the_transaction_to_end(jobs: Backburner) -> None:
    """The thread that stores reports used to hold the job's lock while it waited for the body's own write."""

    @jobs.task(name="write rows")
    def write_rows(job: JobContext) -> int:
        with job.transaction() as connection:
            connection.execute(text("CREATE TABLE rows_of_test (number integer)"))
        for number in range(100):
            with job.transaction() as connection:
                connection.execute(text("INSERT INTO rows_of_test VALUES (:number)"), {"number": number})
                job.message(f"row {number}")
                job.checkpoint(number)
        with job.transaction() as connection:
            return int(connection.execute(text("SELECT count(*) FROM rows_of_test")).scalar_one())

    with Worker(jobs):
        job = write_rows.enqueue()  # type: ignore[call-arg]
        assert job.wait(30)
    assert job.result() == 100


def test_a_checkpoint_goes_with_the_transaction_it_was_said_in(jobs: Backburner) -> None:
    found: list[object] = []

    @jobs.task(name="fail inside")
    def fail_inside(job: JobContext) -> None:
        found.append(job.last_checkpoint)
        if job.attempt == 1:
            with job.transaction():
                job.checkpoint("committed")
            with job.transaction():
                job.checkpoint("rolled back")
                raise Retry(after=0)

    with Worker(jobs):
        assert fail_inside.enqueue().wait(30)  # type: ignore[call-arg]
    assert found == [None, "committed"]


def test_items_that_failed_before_the_checkpoint_count_on(jobs: Backburner) -> None:
    @jobs.task(name="fail items")
    def fail_items(job: JobContext) -> None:
        if job.last_checkpoint is None:
            with job.transaction():
                job.item_failed("line 2", "no key")
                job.checkpoint(3)
            raise Retry(after=0)
        job.item_failed("line 4", "no key")

    with Worker(jobs):
        job = fail_items.enqueue()  # type: ignore[call-arg]
        assert job.wait(30)
    progress = job.refresh().progress
    assert progress is not None
    assert progress.failed == 2


def test_what_is_enqueued_and_attached_inside_goes_with_the_transaction(jobs: Backburner) -> None:
    @jobs.task(name="follow up")
    def follow_up(number: int) -> int:
        return number

    @jobs.task(name="fan out")
    def fan_out(job: JobContext) -> None:
        if job.attempt == 1:
            with job.transaction():
                follow_up.enqueue(1)
                job.attach(io.BytesIO(b"rolled back"), "lost.txt")
                raise Retry(after=0)
        with job.transaction():
            follow_up.enqueue(2)
            job.attach(io.BytesIO(b"committed"), "kept.txt")

    with Worker(jobs):
        job = fan_out.enqueue()  # type: ignore[call-arg]
        assert job.wait(30)
        wait_until(lambda: [found.done for found in jobs.find(task="follow up")] == [True], "one job follows")
    assert [found.result() for found in jobs.find(task="follow up")] == [2]
    assert [file.name for file in jobs.store.attachments.of_job(job.id)] == ["kept.txt"]


def test_items_of_an_attempt_that_begins_anew_are_forgotten(jobs: Backburner) -> None:
    @jobs.task(name="begin anew")
    def begin_anew(job: JobContext) -> None:
        if job.attempt == 1:
            job.item_failed("line 2", "the server was away")
            raise Retry(after=0)
        job.item_failed("line 5", "no key")

    with Worker(jobs):
        job = begin_anew.enqueue()  # type: ignore[call-arg]
        assert job.wait(30)
    assert [item.key for item in jobs.store.progress.failed_items(job.id)] == ["line 5"]


def test_an_end_that_the_body_writes_itself_counts_as_any_other(jobs: Backburner) -> None:
    @jobs.task(name="finish inside")
    def finish_inside(job: JobContext) -> None:
        with job.transaction():
            job.finish(None)
            if job.attempt == 1:
                raise Retry(after=0)

    with Worker(jobs):
        assert finish_inside.enqueue().wait(30)  # type: ignore[call-arg]
    counted = jobs.store.rollups.by_task(0)["finish inside"]
    assert (counted.succeeded, counted.runs.total) == (1, 1 + counted.retried)
