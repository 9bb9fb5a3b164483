"""Inline: enqueue runs the job at once, by the same rules, and its errors come out of the call."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.orm import Session

from backburner import Backburner, JobState, PermanentError, Skip


def test_enqueue_runs_the_job(jobs: Backburner, jobs_testing: Any) -> None:
    @jobs.task
    def double(number: int) -> int:
        return 2 * number

    testing = jobs_testing(jobs, inline=True)
    job = double.enqueue(4)
    assert job.result() == 8
    assert [result.value for result in testing.results] == [8]


def test_only_inside_the_block(jobs: Backburner, jobs_testing: Any) -> None:
    @jobs.task
    def double(number: int) -> int:
        return 2 * number

    testing = jobs_testing(jobs)
    before = double.enqueue(1)
    with testing.inline() as results:
        double.enqueue(2)
    after = double.enqueue(3)
    # What was ready already runs too: a worker would take it first.
    assert [result.value for result in results] == [2, 4]
    assert before.refresh().done
    assert not after.refresh().done


@pytest.mark.parametrize("error", [ValueError("this one"), PermanentError("this one")], ids=lambda e: type(e).__name__)
def test_errors_come_out_and_are_stored(jobs: Backburner, jobs_testing: Any, error: Exception) -> None:
    @jobs.task
    def fail() -> None:
        raise error

    testing = jobs_testing(jobs, inline=True)
    with pytest.raises(type(error), match="this one") as caught:
        fail.enqueue()
    assert caught.value is error
    [job] = testing.enqueued()
    assert job.state is (JobState.FAILED if isinstance(error, PermanentError) else JobState.RETRYING)


def test_errors_stay_inside_when_asked_to(jobs: Backburner, jobs_testing: Any) -> None:
    @jobs.task
    def fail() -> None:
        raise ValueError("this one")

    testing = jobs_testing(jobs)
    with testing.inline(raises=False) as results:
        job = fail.enqueue()
    assert job.refresh().state is JobState.RETRYING
    assert [type(result.error) for result in results] == [ValueError]


def test_an_outcome_that_is_no_failure_raises_nothing(jobs: Backburner, jobs_testing: Any) -> None:
    @jobs.task
    def skip() -> None:
        raise Skip("not needed")

    jobs_testing(jobs, inline=True)
    assert skip.enqueue().refresh().state is JobState.SKIPPED


def test_jobs_that_jobs_enqueue_run_inside_them(jobs: Backburner, jobs_testing: Any) -> None:
    order = []

    @jobs.task
    def inner(fail: bool) -> None:
        order.append("inner")
        if fail:
            raise ValueError("inside")

    @jobs.task
    def outer(fail: bool) -> str:
        order.append("outer")
        inner.enqueue(fail)
        order.append("outer again")
        return "done"

    testing = jobs_testing(jobs, inline=True)
    assert outer.enqueue(False).result() == "done"
    assert order == ["outer", "inner", "outer again"]
    # With a worker the one who enqueues learns nothing of it: so here too, but the test does.
    with pytest.raises(ValueError, match="inside"):
        outer.enqueue(True)
    assert [(one.succeeded, type(one.error).__name__) for one in testing.results[2:]] == [
        (False, "ValueError"),
        (True, "NoneType"),
    ]


def test_an_async_app_and_async_jobs(jobs: Backburner, jobs_testing: Any) -> None:
    @jobs.task
    async def inner(number: int) -> int:
        await asyncio.sleep(0)
        return number + 1

    @jobs.task
    async def outer(number: int) -> int:
        job = await inner.aenqueue(number)
        return 2 * int(job.result())

    jobs_testing(jobs, inline=True)

    async def view() -> Any:
        return (await outer.aenqueue(4)).result()

    assert asyncio.run(view()) == 10


def test_nothing_runs_before_its_transaction_commits(jobs: Backburner, jobs_testing: Any, tmp_path: Path) -> None:
    seen = []

    @jobs.task
    def note(name: str) -> None:
        seen.append(name)

    testing = jobs_testing(jobs, inline=True)
    engine = sqlalchemy.create_engine(jobs.settings.url)
    with engine.connect() as connection, jobs.transaction(connection):
        note.enqueue("taken back")
        connection.rollback()
    with Session(engine) as session:
        note.options(connection=session).enqueue("kept")
        assert seen == []
        session.commit()
    assert seen == ["kept"]
    with contextlib.suppress(ZeroDivisionError), jobs.bulk():
        note.enqueue("never")
        raise ZeroDivisionError
    with jobs.bulk():
        note.enqueue("one")
        note.enqueue("two")
        assert seen == ["kept"]
    assert seen == ["kept", "one", "two"]
    assert testing.drain() == []
    engine.dispose()


def test_what_is_scheduled_waits_for_the_clock(jobs: Backburner, jobs_testing: Any) -> None:
    @jobs.task
    def note() -> None: ...

    testing = jobs_testing(jobs, inline=True)
    job = note.options(delay=60).enqueue()
    assert job.refresh().state is JobState.SCHEDULED
    testing.clock.move(60)
    assert len(testing.drain()) == 1
