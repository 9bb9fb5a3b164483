"""The leases of a supervisor's children, and the rescue of what they leave."""

import os
import signal
import threading
from dataclasses import asdict
from pathlib import Path

import pytest
from sqlalchemy import select

from backburner import Backburner, JobState
from backburner.blame import Death
from backburner.seams import SeamName, Seams
from backburner.store.workers import WorkerRow
from backburner.worker import WorkerOptions, burials
from backburner.worker.children import Grave
from backburner.worker.leases import Leases
from tests.waiting import wait_until
from tests.worker.conftest import world_on

LEASE = 6.0
"""Seconds: held on a busy machine, too."""


class Slow(Seams):
    """The first rescue waits until it may go on."""

    def __init__(self) -> None:
        self.rescues = 0
        self.waits, self.go_on = threading.Event(), threading.Event()

    def reach(self, name: SeamName) -> None:
        if name == "before rescue":
            self.rescues += 1
            if self.rescues == 1:
                self.waits.set()
                self.go_on.wait(30)


def test_a_rescue_may_be_under_way_when_all_ends(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor does not wait for ever, and nobody is buried twice."""
    monkeypatch.setattr(burials, "_LAST_RESCUE_SECONDS", 0.2)
    jobs, seams = Backburner(sqlite_url), Slow()
    jobs.store.ready()
    made = Leases(asdict(jobs.settings), jobs.ids.new(), WorkerOptions(), list, seams)
    made.end(Grave(jobs.ids.new(), Death("gone"), told=lambda _: None))
    assert seams.waits.wait(30)
    made.close()
    seams.go_on.set()
    wait_until(lambda: "backburner-rescue" not in {one.name for one in threading.enumerate()}, "the thread ends")
    assert seams.rescues == 1
    jobs.close()


def test_who_was_added_is_buried_before_all_ends(sqlite_url: str) -> None:
    jobs, seams, buried = Backburner(sqlite_url), Seams(), list[str]()
    jobs.store.ready()
    made = Leases(asdict(jobs.settings), jobs.ids.new(), WorkerOptions(), list, seams)
    workers = [jobs.ids.new() for _ in range(3)]
    for worker in workers:
        now = jobs.store.clock.now()
        row = WorkerRow(
            worker, jobs.ids.new(), "box", 1, None, None, 1, "1",
            started_at=now, beat_at=now, lease_until=now, told="stop",
        )  # fmt: skip
        jobs.store.workers.register(row)
        made.end(Grave(worker, Death("gone"), told=buried.append))
    made.close()
    assert buried == ["stop"] * 3
    assert jobs.store.workers.live() == []
    jobs.close()


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_a_rescue_that_waits_for_a_lock_costs_the_living_nothing(
    server: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app's open transaction has locked a job of the dead: its mate in another process keeps its lease."""
    with world_on(request.getfixturevalue(f"{server}_url"), tmp_path, monkeypatch) as world:
        dying, mate = [world.enqueue("hold", "go on", repeatable=False) for _ in range(2)]
        other = world.enqueue("hold", "go on")
        world.start(processes=3, concurrency=1, lease=LEASE)
        begun = {job.id: world.begun(job) for job in (dying, mate, other)}
        worker = world.job(mate).worker
        assert worker is not None
        t = world.jobs.store.schema.jobs.c
        with world.jobs.store.engine.connect() as app, app.begin():
            app.execute(select(t.id).where(t.id == dying.id).with_for_update())
            killed = world.jobs.store.clock.now()
            os.kill(begun[dying.id].pid, signal.SIGKILL)
            os.kill(begun[other.id].pid, signal.SIGKILL)

            def beat() -> bool:
                row = world.jobs.store.workers.get(worker)
                assert row is not None
                return (row.beat_at - killed).total_seconds() > LEASE

            wait_until(beat, "a lease has passed, and it beats")
            assert world.begun(other, 2)
            assert world.job(dying).state is JobState.RUNNING
        world.ends(dying, JobState.INTERRUPTED)
        world.say("go on")
        assert (world.ends(mate).attempt, world.ends(other).attempt) == (1, 2)
