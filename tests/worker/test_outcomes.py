"""How an attempt ends, by what the task returned or raised: state, counts, times, records."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backburner import (
    Cancelled,
    Job,
    JobState,
    PermanentError,
    Retry,
    RetryPolicy,
    Skip,
    StopWorker,
    Wait,
    current_job,
)
from backburner.worker import Worker, WorkerOptions, executor
from tests.waiting import wait_until
from tests.worker.conftest import EMBEDDED
from tests.worker.world import World

NOW = RetryPolicy.fixed(0.0)


def run(world: World, body: Callable[[], Any], state: JobState, **options: Any) -> Job:
    """Run a body as a job of its own task until it ends; it must end in this state."""
    return world.ends(world.jobs.task(name="body", **options)(body).enqueue(), state)


def counts(job: Job) -> tuple[int, int, int]:
    return job.tries, job.crashes, job.losses


def test_success(working: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine a second is short.
    monkeypatch.setattr(executor, "LONG_SECONDS", 600.0)
    job = run(working, lambda: {"answer": 42}, JobState.SUCCEEDED)
    assert job.result() == {"answer": 42}
    assert (job.attempt, counts(job)) == (1, (0, 0, 0))
    assert working.attempts(job) == [], "a quick clean success lives on the job's row alone"


async def _waits() -> str:
    return "from the loop"


def test_success_of_a_coroutine(working: World) -> None:
    assert run(working, _waits, JobState.SUCCEEDED).result() == "from the loop"


def test_temporary_failure_until_the_policy_has_enough(working: World) -> None:
    def body() -> None:
        raise OSError("the other side is away")

    job = run(working, body, JobState.FAILED, retry=RetryPolicy.fixed(0.01, max_attempts=3))
    assert (job.attempt, counts(job)) == (3, (3, 0, 0))
    assert "the other side is away" in (job.error or "")
    assert "the other side" not in (job.reason or ""), "the text of an exception is for operators"
    records = working.attempts(job)
    assert [record.outcome for record in records] == ["failed", "failed", "failed"]
    assert [record.error_type for record in records] == ["OSError"] * 3
    assert "raise OSError" in records[0].traceback


def test_what_an_exception_says_forges_no_line_of_the_log(working: World, caplog: pytest.LogCaptureFixture) -> None:
    def body() -> None:
        raise OSError("away\r\n2030-01-01 ERROR all is lost\x1b[2J%s{}")

    job = run(working, body, JobState.FAILED, retry=RetryPolicy.none())
    assert "\n2030-01-01" in (job.error or ""), "as it is for who looks at the job"
    (line,) = [one.getMessage() for one in caplog.records if one.name == "backburner.worker.executor"]
    assert line.endswith(r"OSError: away\r\n2030-01-01 ERROR all is lost\x1b[2J%s{}")


def test_a_retry_may_succeed(working: World) -> None:
    def body() -> int:
        job = current_job()
        assert job is not None
        if job.attempt < 3:
            raise ValueError(f"not yet {job.attempt}")
        return job.attempt

    job = run(working, body, JobState.SUCCEEDED, retry=RetryPolicy.fixed(0.01))
    assert (job.result(), job.tries) == (3, 2)
    assert job.error is None


def test_the_delay_is_the_policys(working: World) -> None:
    def body() -> None:
        raise OSError

    task = working.jobs.task(name="body", retry=RetryPolicy.fixed(3600, jitter=0))(body)
    job = task.enqueue()
    wait_until(lambda: working.job(job).state is JobState.RETRYING, "it is to be retried")
    left = working.job(job).run_at - datetime.now(UTC)
    assert timedelta(minutes=55) < left <= timedelta(hours=1)


def test_a_job_has_a_limit_of_its_own(working: World) -> None:
    def body() -> None:
        raise OSError

    task = working.jobs.task(name="body", retry=RetryPolicy.fixed(0.01))(body)
    assert working.ends(task.options(max_attempts=2).enqueue(), JobState.FAILED).tries == 2


def test_retry_after(working: World) -> None:
    def body() -> str:
        job = current_job()
        assert job is not None
        if job.attempt == 1:
            raise Retry("the quota is used up", after=0.01)
        return "done"

    task = working.jobs.task(name="body", retry=RetryPolicy.fixed(3600))(body)
    job = working.ends(task.enqueue())
    assert (job.tries, job.attempt) == (1, 2)
    assert working.attempts(job)[0].reason == "the quota is used up"


def test_wait_uses_no_try(working: World) -> None:
    looks: list[str] = []

    def body() -> str:
        looks.append("look")
        if len(looks) < 4:
            raise Wait(0.01, "the file is not there yet")
        return "done"

    job = run(working, body, JobState.SUCCEEDED, max_attempts=2)
    assert counts(job) == (0, 0, 0)
    assert [record.outcome for record in working.attempts(job)].count("waited") == 3


@pytest.mark.parametrize(
    ("error", "state", "reason", "tries"),
    [
        (PermanentError("there is no such customer"), JobState.FAILED, "there is no such customer", 1),
        (Skip("nothing to do"), JobState.SKIPPED, "nothing to do", 0),
        (Cancelled("not wanted any more"), JobState.CANCELLED, "not wanted any more", 0),
    ],
)
def test_said_outright(working: World, error: BaseException, state: JobState, reason: str, tries: int) -> None:
    def body() -> None:
        raise error

    job = run(working, body, state, retry=NOW)
    assert (job.attempt, job.tries, job.reason) == (1, tries, reason)


def test_an_unrepeatable_job_is_not_retried_unless_it_says_so(working: World) -> None:
    def body() -> None:
        raise OSError

    def asks() -> None:
        raise Retry("again, please", after=0.0)

    assert run(working, body, JobState.FAILED, repeatable=False, retry=NOW).attempt == 1
    asking = working.jobs.task(name="asks", repeatable=False, retry=RetryPolicy.fixed(0, max_attempts=2))(asks)
    assert working.ends(asking.enqueue(), JobState.FAILED).attempt == 2


def test_a_result_that_cannot_be_stored(working: World) -> None:
    job = run(working, lambda: object(), JobState.FAILED, retry=NOW)
    assert job.reason == "Its result cannot be stored."
    assert (job.attempt, job.tries) == (1, 1)
    assert "object" in (job.error or "")


def test_a_result_that_is_too_large(working: World) -> None:
    job = run(working, lambda: "x" * 2_000_000, JobState.FAILED, retry=NOW)
    assert job.reason == "Its result cannot be stored."
    assert "1,048,576" in (job.error or "")


NASTY = "nul \x00, surrogate \ud800, escape \x1b"


@pytest.mark.parametrize("error", [PermanentError(NASTY), Skip(NASTY), OSError(NASTY), Wait(0, NASTY)])
def test_text_that_no_database_stores(working: World, error: Exception) -> None:
    """It is stored as far as it can be; whoever else ends at the same time is not touched by it."""

    def body() -> None:
        job = current_job()
        assert job is not None
        if job.attempt == 1:
            raise error

    guilty = working.jobs.task(name="guilty", retry=NOW)(body)
    innocent = working.jobs.task(name="innocent")(lambda: None)
    with working.jobs.bulk():
        jobs = [innocent.enqueue() for _ in range(10)]
        nasty = guilty.enqueue()
        jobs += [innocent.enqueue() for _ in range(10)]
    wait_until(lambda: working.job(nasty).done, "the nasty one ends")
    for job in jobs:
        assert counts(working.ends(job)) == (0, 0, 0)


def test_nasty_text_in_result_messages_and_output(working: World) -> None:
    def body() -> str:
        job = current_job()
        assert job is not None
        job.log(NASTY)
        job.message(NASTY)
        job.stage(NASTY)
        job.item_failed(NASTY, NASTY)
        return "nul \x00"

    mate = working.enqueue("hold", "go on")
    job = run(working, body, JobState.SUCCEEDED)
    assert job.result() == "nul \x00"
    assert working.jobs.store.progress.failed_count(job.id) == 1
    working.say("go on")
    working.ends(mate)


def test_stop_worker(world: World) -> None:
    def body() -> None:
        raise StopWorker("the licence has run out", cause=Retry("later", after=3600))

    task = world.jobs.task(name="body")(body)
    with Worker(world.jobs, EMBEDDED) as worker:
        job = task.enqueue()
        assert worker.wait(30)
        late = world.enqueue("work", 1)
        wait_until(lambda: world.job(job).state is JobState.RETRYING, "the job ends by its cause")
    assert world.job(job).tries == 1
    assert world.job(late).state is JobState.QUEUED


def test_stop_worker_without_a_cause_is_a_permanent_failure(world: World) -> None:
    def body() -> None:
        raise StopWorker("the disk is broken")

    task = world.jobs.task(name="body", retry=NOW)(body)
    with Worker(world.jobs, EMBEDDED) as worker:
        job = task.enqueue()
        assert worker.wait(30)
    assert world.ends(job, JobState.FAILED).reason == "the disk is broken"


def test_a_real_worker_that_is_told_to_stop_by_a_task_is_replaced(on_sqlite: World) -> None:
    world = on_sqlite
    first = world.enqueue("stop_worker")
    world.start()
    world.ends(first, JobState.FAILED)
    second = world.enqueue("work", 1)
    world.ends(second)
    assert world.history.of(first.id)[0].pid != world.history.of(second.id)[0].pid


def test_expired_while_it_waited_for_a_slot(world: World) -> None:
    job = world.enqueue("work", 1, expires=0.001)
    with Worker(world.jobs, WorkerOptions(poll=0.05)):
        assert "expired" in (world.ends(job, JobState.SKIPPED).reason or "")
    assert world.history.of(job.id) == []


def test_an_attempt_that_took_long_leaves_a_record(working: World) -> None:
    job = working.enqueue("work", 1, 1.1)
    working.ends(job)
    [record] = working.attempts(job)
    assert record.outcome == "succeeded"
    assert (record.finished_at - record.started_at).total_seconds() >= 1.0
    assert record.memory_peak > 1_000_000
