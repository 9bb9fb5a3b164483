"""Workers keep the schedules of their code, and fire each time once between them."""

import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine

from backburner import Backburner
from backburner.schedule import Schedule
from backburner.store.schedules import PATIENCE
from backburner.worker import Worker, WorkerOptions
from backburner.worker.scheduler import GONE_SECONDS, SEEN_SECONDS, Scheduler
from tests.store.scene import HandClock
from tests.waiting import wait_until
from tests.worker.conftest import EMBEDDED
from tests.worker.world import World

Release = Callable[..., Scheduler]


@pytest.fixture
def clock() -> HandClock:
    return HandClock(datetime(2026, 5, 4, 10, tzinfo=UTC))


@pytest.fixture
def release(world: World, clock: HandClock) -> Iterator[Release]:
    """`release(nightly={"cron": "0 2 * * *"})`: the scheduler of a worker whose code declares that."""
    apps: list[Backburner] = []

    def make(**schedules: dict[str, Any]) -> Scheduler:
        jobs = Backburner(world.url)
        jobs.store.clock = clock
        apps.append(jobs)

        @jobs.task(name="report")
        def report(country: str = "cz") -> None: ...

        for name, arguments in schedules.items():
            jobs.schedule(report, name=name, **arguments)
        return Scheduler(jobs.store, jobs.bell, jobs.ids.new, jobs.schedules, 1.0, clock.seconds)

    yield make
    for jobs in apps:
        jobs.close()


@pytest.fixture
def stored(world: World) -> Callable[[str], Schedule]:
    return world.jobs.schedules.get


def test_what_the_code_declares_is_stored_and_fires(world: World, clock: HandClock, release: Release) -> None:
    worker = release(nightly={"every": 60, "args": ("sk",)}, daily={"cron": "@daily"})
    assert worker.once() == 60.0
    assert [one.name for one in world.jobs.schedules.list()] == ["daily", "nightly"]
    clock.move(60.5)
    assert worker.once() == 59.5
    [fire] = world.jobs.schedules.fires("nightly")
    assert fire.job is not None
    job = world.jobs.get(fire.job)
    assert (job.task, job.args, job.tags) == ("report", '{"country":"sk"}', ("schedule:nightly",))


def test_two_releases_side_by_side_do_not_take_turns(
    clock: HandClock, release: Release, stored: Callable[[str], Schedule]
) -> None:
    old, new = release(nightly={"cron": "0 2 * * *"}), release(nightly={"cron": "0 3 * * *"})
    old.once()
    new.once()
    restarted = release(nightly={"cron": "0 2 * * *"})
    for _ in range(20):
        clock.move(SEEN_SECONDS)
        for worker in (old, restarted, new):
            worker.once()
        assert (stored("nightly").spec, stored("nightly").version) == ("0 3 * * *", 2)


def test_going_back_to_an_older_release_takes_effect_when_the_newer_one_is_gone(
    clock: HandClock, release: Release, stored: Callable[[str], Schedule]
) -> None:
    old, new = release(nightly={"cron": "0 2 * * *"}), release(nightly={"cron": "0 3 * * *"})
    old.once()
    new.once()
    clock.move(GONE_SECONDS)
    old.once()
    assert stored("nightly").spec == "0 3 * * *"
    clock.move(SEEN_SECONDS)
    old.once()
    assert (stored("nightly").spec, stored("nightly").version) == ("0 2 * * *", 3)
    # And now that one is the newer: a last worker of the other release changes nothing.
    clock.move(SEEN_SECONDS)
    new.once()
    assert stored("nightly").spec == "0 2 * * *"


def test_a_schedule_gone_from_the_code_is_disabled_when_no_worker_has_it_any_more(
    world: World, clock: HandClock, release: Release, stored: Callable[[str], Schedule]
) -> None:
    old, new = release(nightly={"every": 60}, other={"every": 60}), release(other={"every": 60})
    for _ in range(10):
        clock.move(SEEN_SECONDS)
        old.once()
        new.once()
        assert not stored("nightly").disabled
    for _ in range(7):
        clock.move(SEEN_SECONDS)
        new.once()
    assert (stored("nightly").disabled, stored("other").disabled) == (True, False)
    assert "disabled" in world.jobs.schedules.problems(stored("nightly"))[0]
    count = len(world.jobs.schedules.fires("nightly"))
    clock.move(SEEN_SECONDS)
    new.once()
    assert len(world.jobs.schedules.fires("nightly")) == count
    old.once()
    assert not stored("nightly").disabled


def test_a_break_of_all_workers_disables_nothing(
    clock: HandClock, release: Release, stored: Callable[[str], Schedule]
) -> None:
    release(nightly={"every": 60}).once()
    clock.move(86_400)
    first = release(other={"every": 60})
    first.once()
    clock.move(SEEN_SECONDS)
    release(nightly={"every": 60}).once()
    for _ in range(4):
        clock.move(SEEN_SECONDS)
        first.once()
    assert not stored("nightly").disabled


def test_a_schedule_added_at_run_time_is_left_alone(
    world: World, clock: HandClock, release: Release, stored: Callable[[str], Schedule]
) -> None:
    added = world.jobs.schedules.add("work", name="nightly", every=3600)
    worker = release(nightly={"every": 60})
    for _ in range(10):
        worker.once()
        clock.move(SEEN_SECONDS)
    assert (stored("nightly").spec, stored("nightly").source, stored("nightly").disabled) == ("3600", "run", False)
    assert stored("nightly").digest == added.digest


def test_a_clock_that_was_ahead_and_is_corrected_does_not_stop_schedules(
    clock: HandClock, release: Release, stored: Callable[[str], Schedule]
) -> None:
    worker = release(nightly={"cron": "0 2 * * *"})
    worker.once()
    clock.move(3650 * 86_400)
    worker.once()
    assert stored("nightly").next_at == datetime(2036, 5, 2, 2, tzinfo=UTC)
    clock._moment -= timedelta(days=3650)
    clock._moved += SEEN_SECONDS
    worker.once()
    assert stored("nightly").next_at == datetime(2026, 5, 5, 2, tzinfo=UTC)


def test_one_that_cannot_be_read_here_does_not_keep_the_others_from_firing(
    world: World, clock: HandClock, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = release(broken={"cron": "* * * * *", "zone": "Europe/Prague"}, fine={"every": 60})
    worker.once()
    clock.move(60)
    real = Schedule.due

    def due(self: Schedule, now: datetime) -> list[datetime]:
        if self.name == "broken":
            raise KeyError("this machine has no such zone")
        return real(self, now)

    monkeypatch.setattr(Schedule, "due", due)
    assert worker.once() is None
    assert len(world.jobs.schedules.fires("fine")) == 1
    assert len(world.jobs.schedules.fires("broken")) == 0
    monkeypatch.setattr(Schedule, "due", real)
    worker.once()
    assert len(world.jobs.schedules.fires("broken")) == 1


def test_one_whose_key_is_wanted_by_an_open_transaction_does_not_keep_the_others_from_firing(
    on_postgresql: World, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor, for longer than a moment, the other chores."""
    world = on_postgresql
    jobs = Backburner(world.url)
    jobs.store.clock = clock

    @jobs.task(unique="live")
    def report(country: str) -> None: ...

    jobs.schedule(report, name="busy", every=60, args=("cz",))
    jobs.schedule(report, name="fine", every=61, args=("de",))
    worker = Scheduler(jobs.store, jobs.bell, jobs.ids.new, jobs.schedules, 1.0, clock.seconds)
    worker.once()
    clock.move(61)
    engine = create_engine(world.url)
    with engine.connect() as connection:
        report.options(connection=connection).enqueue("cz")
        assert worker.once() is None
        assert [len(jobs.schedules.fires(name)) for name in ("busy", "fine")] == [0, 1]
        assert f"still open after {PATIENCE:g} s" in caplog.text
        connection.rollback()
    worker.once()
    assert len(jobs.schedules.fires("busy")) == 1
    engine.dispose()
    jobs.close()


def test_a_worker_fires_as_soon_as_something_is_due(world: World) -> None:
    world.jobs.schedules.add("work", name="tick", every=1)
    with Worker(world.jobs, WorkerOptions(concurrency=4, poll=600.0, lease=30.0, beat=5.0)):
        # By the next look alone it would take ten minutes.
        wait_until(lambda: len(world.jobs.schedules.fires("tick")) >= 2, "it fires twice")


def test_a_worker_that_only_runs_what_is_ready_fires_what_is_due(world: World) -> None:
    added = world.jobs.schedules.add("work", name="tick", every=1)
    due = added.next_at
    assert due is not None
    wait_until(lambda: world.jobs.control.now() >= due, "it is due")
    worker = Worker(world.jobs, WorkerOptions(concurrency=4, burst=True)).start()
    assert worker.wait(30)
    assert worker.stop()
    # Meanwhile another second may have come.
    [*_, first] = world.jobs.find(tag="schedule:tick")
    assert first.done


def test_a_worker_stores_the_schedules_of_its_app_when_it_starts(world: World) -> None:
    jobs = world.jobs
    jobs.schedule(jobs.registry.require("work"), cron="@yearly", name="yearly", args=(7,))
    with Worker(jobs, EMBEDDED):
        wait_until(lambda: [one.name for one in jobs.schedules.list()] == ["yearly"], "it is stored")


def ticks(world: World) -> list[datetime]:
    return sorted(fire.at for fire in world.jobs.schedules.fires("tick", 1000))


def assert_each_second_once(world: World) -> None:
    fires = world.jobs.schedules.fires("tick", 1000)
    times = sorted(fire.at for fire in fires)
    assert times == [times[0] + timedelta(seconds=number) for number in range(len(times))]
    jobs = world.jobs.find(tag="schedule:tick", limit=1000)
    assert sorted((job.id, job.run_at) for job in jobs) == sorted((fire.job or "", fire.at) for fire in fires)
    assert set(world.all_done()) == {"succeeded"}


def test_every_second_of_two_hosts_fires_once(world: World) -> None:
    world.jobs.schedules.add("work", name="tick", every=1)
    for tree in [world.start(processes=2), world.start(processes=2)]:
        world.ready(tree, 2)
    wait_until(lambda: len(ticks(world)) >= 4, "four seconds have fired", 60)
    world.jobs.schedules.pause("tick")
    assert_each_second_once(world)
    assert set(world.history.begun().values()) == {1}


def test_every_second_fires_once_when_a_host_is_killed(world: World) -> None:
    world.jobs.schedules.add("work", name="tick", every=1)
    first, second = world.start(processes=2), world.start()
    world.ready(first, 2)
    world.ready(second)
    wait_until(lambda: len(ticks(world)) >= 2, "two seconds have fired", 60)
    os.killpg(first.pid, signal.SIGKILL)
    wait_until(lambda: len(ticks(world)) >= 5, "five seconds have fired", 60)
    world.jobs.schedules.pause("tick")
    assert_each_second_once(world)
