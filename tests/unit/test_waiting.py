"""Waiting looks at once, then less and less often, and never past its time."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from backburner.errors import InvalidOption, WaitInsideTransaction
from backburner.job import Job
from backburner.states import JobState
from backburner.waiting import JobWatch

AT = datetime(2026, 5, 1, tzinfo=UTC)


class World:
    """A clock that only sleeping moves, and the state of one job at each time."""

    def __init__(self, changes: dict[float, JobState | None]) -> None:
        self.now, self.changes = 0.0, changes
        self.looks: list[float] = []
        jobs = SimpleNamespace(states=self.states)
        database: Any = SimpleNamespace(store=SimpleNamespace(jobs=jobs))
        self.watch = JobWatch(database, lambda: self.now, self.sleep, self.async_sleep)

    def states(self, ids: list[str]) -> dict[str, JobState]:
        self.looks.append(round(self.now, 4))
        state = [state for at, state in sorted(self.changes.items()) if at <= self.now + 1e-9][-1]
        return {} if state is None else {ids[0]: state}

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def async_sleep(self, seconds: float) -> None:
        self.now += seconds


def job(**changes: Any) -> Job:
    return Job("id", "task", changes.pop("state", JobState.QUEUED), "q", 1, AT, AT, **changes)


def test_it_looks_less_and_less_often_and_not_past_its_time() -> None:
    world = World({0: JobState.QUEUED})
    assert not world.watch.wait(job(), 0.4)
    assert world.looks == [0, 0.005, 0.015, 0.035, 0.075, 0.155, 0.255, 0.355, 0.4]


def test_it_returns_as_soon_as_the_job_is_done() -> None:
    world = World({0: JobState.RUNNING, 0.02: JobState.SUCCEEDED})
    assert world.watch.wait(job(), 60)
    assert world.now == pytest.approx(0.035)


def test_coroutines_wait_alike() -> None:
    world = World({0: JobState.RUNNING, 0.02: JobState.FAILED})
    assert asyncio.run(world.watch.await_done(job(), 60))
    assert world.now == pytest.approx(0.035)
    assert not asyncio.run(World({0: JobState.RUNNING}).watch.await_done(job(), 0.1))


def test_a_value_that_is_done_asks_nobody() -> None:
    world = World({0: None})
    assert world.watch.wait(job(state=JobState.SKIPPED), 5)
    assert world.looks == []


def test_a_job_that_is_not_kept_is_done() -> None:
    assert World({0: JobState.RUNNING, 0.01: None}).watch.wait(job(), 5)


def test_a_job_in_an_open_transaction_is_not_waited_for() -> None:
    with pytest.raises(WaitInsideTransaction, match="Commit first"):
        World({0: None}).watch.wait(job(uncommitted=True), 5)
    assert World({0: JobState.SUCCEEDED}).watch.wait(job(uncommitted=True), 5)


@pytest.mark.parametrize("seconds", [-1, float("nan"), "5", None, True])
def test_a_wrong_time_is_refused(seconds: Any) -> None:
    with pytest.raises(InvalidOption, match="seconds"):
        World({0: JobState.QUEUED}).watch.wait(job(), seconds)
