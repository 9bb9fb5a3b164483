"""`notify_after`: told once per job, whatever happens to workers."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from backburner import Backburner, PermanentError, RetryPolicy
from backburner.notice import Notice
from backburner.worker import Worker
from tests.waiting import wait_until
from tests.worker.conftest import EMBEDDED
from tests.worker.world import World


def flaky(fails: int) -> str:
    """Fails for ever, or at once for good."""
    if fails == 0:
        raise PermanentError("no such account")
    raise ConnectionError("reset by 10.0.0.7")


@pytest.fixture
def told(world: World) -> list[Notice]:
    """Notices in the order in which a notifier of the app got them."""
    notices: list[Notice] = []
    world.jobs.notifier(notices.append, "list")
    world.jobs.task(name="flaky", retry=RetryPolicy.fixed(0.01, max_attempts=4), notify_after=2)(flaky)
    return notices


@pytest.fixture
def worker(world: World, told: list[Notice]) -> Iterator[Worker]:
    with Worker(world.jobs, EMBEDDED) as started:
        yield started


def calls(world: World) -> list[str]:
    """Ids of the jobs that call notifiers."""
    t = world.jobs.store.schema.jobs.c
    query = select(t.id).where(t.task.startswith("backburner.notify."))
    return list(world.jobs.store.read(lambda c: c.execute(query).scalars().all()))


def ended(world: World, told: list[Notice], *args: int, **options: int) -> str:
    job = world.enqueue("flaky", *args, **options)
    wait_until(lambda: world.job(job).done, "it has failed for good")
    wait_until(lambda: all(world.job(call).done for call in calls(world)), "notifiers were called")
    return job.id


def test_it_is_told_once_when_the_tries_reach_the_number(world: World, worker: Worker, told: list[Notice]) -> None:
    job_id = ended(world, told, 1)
    (notice,) = told
    assert (notice.job, notice.task, notice.tries, notice.state) == (job_id, "flaky", 2, "retrying")
    assert notice.reason == "It stopped with an error."
    assert notice.error == "ConnectionError: reset by 10.0.0.7"
    assert world.job(job_id).tries == 4


def test_a_retry_by_hand_does_not_tell_again(world: World, worker: Worker, told: list[Notice]) -> None:
    job_id = ended(world, told, 1)
    world.jobs.retry(job_id)
    wait_until(lambda: world.job(job_id).done and world.job(job_id).tries == 4, "it has failed again")
    assert len(told) == len(calls(world)) == 1


def test_what_can_be_captured_in_a_request_alone_keeps_no_job_from_its_retries(
    on_sqlite: World, caplog: pytest.LogCaptureFixture
) -> None:
    world, in_request = on_sqlite, [True]

    def address() -> str:
        if not in_request:
            raise LookupError("outside of a request")
        return "10.0.0.7"

    world.jobs.capture("address", address)
    task = world.jobs.task(name="flaky", retry=RetryPolicy.fixed(0.01, max_attempts=3), notify_after=1)(flaky)
    job = task.enqueue(1)
    in_request.clear()
    with caplog.at_level(logging.ERROR, "backburner.notice"), Worker(world.jobs, EMBEDDED):
        wait_until(lambda: world.job(job).done, "it has failed for good")
        wait_until(lambda: "flaky failed 1 times" in caplog.text, "the log is told")
    assert (world.job(job).tries, world.job(job).captured) == (3, {"address": "10.0.0.7"})


def test_a_notice_that_cannot_be_stored_changes_nothing(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    jobs = Backburner(sqlite_url, auto_migrate=True, max_args_bytes=100)
    task = jobs.task(name="flaky", retry=RetryPolicy.fixed(0.01, max_attempts=3), notify_after=1)(flaky)
    with Worker(jobs, EMBEDDED):
        job = task.enqueue(1)
        assert job.wait(30)
    assert job.refresh().tries == 3
    assert "nobody can be told" in caplog.text
    jobs.close()


def test_who_fails_for_good_before_that_is_told_by_its_state_alone(
    world: World, worker: Worker, told: list[Notice]
) -> None:
    ended(world, told, 0)
    assert told == []
    ended(world, told, 0, notify_after=1)
    assert [(notice.state, notice.reason) for notice in told] == [("failed", "no such account")]


def test_without_a_notifier_the_log_is_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.jobs.task(name="flaky", retry=RetryPolicy.none(), notify_after=1)(flaky)
    with caplog.at_level(logging.ERROR, "backburner.notice"), Worker(world.jobs, EMBEDDED):
        job_id = world.enqueue("flaky", 1).id
        wait_until(lambda: any(one.name == "backburner.notice" for one in caplog.records), "the log is told")
    (line,) = [one.getMessage() for one in caplog.records if one.name == "backburner.notice"]
    assert line == f"job {job_id}: flaky failed 1 times, now failed: ConnectionError: reset by 10.0.0.7"


def test_each_notifier_is_called_and_again_when_it_raises(world: World, told: list[Notice]) -> None:
    async def other(notice: Notice) -> None:
        told.append(notice)

    world.jobs.notifier(other)
    world.jobs.notifier(_raising, "raising")
    with Worker(world.jobs, EMBEDDED):
        world.enqueue("flaky", 1)
        wait_until(lambda: len(told) == 2 and len(calls(world)) == 3, "both were told")
        found = {world.job(call).task: call for call in calls(world)}
        wait_until(lambda: world.job(found["backburner.notify.raising"]).tries == 1, "the third will be asked again")


def _raising(notice: Notice) -> None:
    raise OSError("no route to host")


def test_a_notice_outlives_the_worker_that_wrote_it(world: World) -> None:
    world.arm("after finish")
    world.start()
    job_id = world.enqueue("always", max_attempts=1, notify_after=1).id
    wait_until(lambda: world.fired("after finish"), "the worker dies as soon as the failure is written")
    notes = world.folder / "notices"
    wait_until(notes.exists, "another worker tells")
    wait_until(lambda: all(world.job(call).done for call in calls(world)), "it is all told")
    # Stored once. Called twice if it had begun when its worker died: it is delivered as all jobs are.
    assert len(calls(world)) == 1
    assert {json.loads(line)["job"] for line in notes.read_text().splitlines()} == {job_id}


def test_what_is_told_of_is_not_of_the_apps_tasks(sqlite_url: str) -> None:
    jobs = Backburner(sqlite_url)
    assert len(jobs.registry) == 0
    assert list(jobs.registry) == []


def test_a_headline_is_one_line() -> None:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    notice = Notice("id", "shop.pay", "Pay\r\nBcc: eve\x1b[0m", "q", "failed", 3, 3, None, None, at)
    assert notice.headline == "Pay  Bcc: eve [0m failed 3 times, now failed"
