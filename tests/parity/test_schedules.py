"""Recurring jobs."""

from datetime import timedelta

import pytest

from backburner import Backburner, JobState
from backburner.errors import InvalidOption, NeverFires
from tests.parity.conftest import StartWorker
from tests.parity.running import done
from tests.waiting import wait_until


def test_enq_18_jobs_that_come_again_and_again(jobs: Backburner, start_worker: StartWorker) -> None:
    @jobs.task(name="shop.sync")
    def sync(shop: int) -> int:
        return shop

    jobs.schedule(sync.options(tags=["stock"]), every=timedelta(seconds=1), args=(7,))
    # Any number of workers: each time makes one job.
    for _ in range(3):
        start_worker()
    wait_until(lambda: len(jobs.find(tag="schedule:shop.sync")) >= 3, "it has run three times")
    jobs.schedules.pause("shop.sync")
    runs = jobs.find(tag="schedule:shop.sync")
    times = sorted(job.run_at for job in runs)
    assert times == [times[0] + timedelta(seconds=number) for number in range(len(times))]
    assert {(job.owner, job.tags) for job in runs} == {(None, ("stock", "schedule:shop.sync"))}
    assert [done(job).result() for job in runs] == [7] * len(runs)
    assert [fire.job for fire in jobs.schedules.fires("shop.sync")] == [
        job.id for job in sorted(runs, key=lambda job: job.run_at, reverse=True)
    ]


def test_enq_18_cron_expressions_in_a_time_zone(jobs: Backburner, start_worker: StartWorker) -> None:
    @jobs.task(name="report")
    def report() -> None: ...

    jobs.schedule(report, cron="30 2 * * *", zone="Europe/Prague", missed="once")
    start_worker()
    wait_until(lambda: jobs.schedules.list(), "the worker has stored it")
    [schedule] = jobs.schedules.list()
    assert schedule.description == "every day at 02:30, Europe/Prague"
    assert {at.minute for at in schedule.next_runs(400)} <= {0, 30}
    assert done(jobs.schedules.run("report")).state is JobState.SUCCEEDED


def test_enq_18_a_wrong_expression_is_refused_where_it_is_written(jobs: Backburner) -> None:
    @jobs.task(name="report")
    def report() -> None: ...

    with pytest.raises(InvalidOption, match="five fields"):
        jobs.schedule(report, cron="every day")
    with pytest.raises(NeverFires):
        jobs.schedule(report, cron="30 2 30 2 *")
    assert jobs.schedules.list() == []
