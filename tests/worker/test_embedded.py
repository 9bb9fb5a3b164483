"""`Worker(jobs)` inside a process of the app's own: it never ends it, and survives being taken for dead."""

import os
import threading
from collections.abc import Callable

import pytest

from backburner import JobState
from backburner.blame import Death, Limits, judge
from backburner.errors import StoreUnavailable
from backburner.seams import SeamName, Seams
from backburner.worker import Worker, WorkerOptions
from tests.waiting import wait_until
from tests.worker.world import World

QUICK = WorkerOptions(concurrency=4, poll=0.05, lease=1.5, beat=0.2)


def test_start_and_stop(world: World) -> None:
    for number in range(3):
        with Worker(world.jobs, QUICK):
            assert world.ends(world.enqueue("work", number)).result() == number
        assert world.jobs.store.workers.live() == []
    waiting = world.enqueue("work", 1)
    assert world.job(waiting).state is JobState.QUEUED
    names = [thread.name for thread in threading.enumerate()]
    wait_until(lambda: not [n for n in names if n.startswith("backburner-claimer")], "its threads end")


class Unlucky(Seams):
    """The database goes away at the first beat, once."""

    def __init__(self) -> None:
        self.armed = True

    def reach(self, name: SeamName) -> None:
        if name == "before beat" and self.armed:
            self.armed = False
            raise StoreUnavailable("gone in a moment")


def test_a_start_that_fails_leaves_nothing_behind_and_may_be_tried_again(world: World) -> None:
    world.jobs.seams = Unlucky()
    worker = Worker(world.jobs, QUICK)
    before = {thread.ident for thread in threading.enumerate()}
    with pytest.raises(StoreUnavailable, match="gone in a moment"):
        worker.start()
    assert world.jobs.store.workers.live() == []
    wait_until(lambda: {t.ident for t in threading.enumerate()} <= before, "its threads end")
    assert worker.stop()
    with worker:
        assert world.ends(world.enqueue("work", 1)).result() == 1


def test_stop_gives_back_what_has_not_begun(world: World) -> None:
    held = [world.enqueue("hold", "go on") for _ in range(4)]
    worker = Worker(world.jobs, QUICK).start()
    for job in held:
        world.begun(job)
    waiting = world.enqueue("work", 1)
    world.say("go on")
    assert worker.stop(20.0)
    assert all(world.job(job).state is JobState.SUCCEEDED for job in held)
    assert world.owned() == []
    assert world.job(waiting).tries == 0


def test_stop_leaves_alone_what_does_not_end(world: World) -> None:
    """The process is the app's: nothing in it is killed, and `stop` says so."""
    job = world.enqueue("hold", "go on")
    worker = Worker(world.jobs, QUICK).start()
    world.begun(job)
    assert not worker.stop(0.1)
    assert world.job(job).state is JobState.RUNNING
    world.say("go on")
    wait_until(lambda: world.history.of(job.id, "end"), "the body comes to its end")


def test_burst(world: World) -> None:
    ids = world.enqueue_many("work", [(1,)] * 30)
    with Worker(world.jobs, WorkerOptions(burst=True, poll=0.05)) as worker:
        assert worker.wait(30)
    assert world.states() == {"succeeded": len(ids)}


def test_it_may_be_started_again(world: World) -> None:
    worker = Worker(world.jobs, WorkerOptions(burst=True, poll=0.05, lease=1.5, beat=0.2))
    for number in range(2):
        job = world.enqueue("work", number)
        with worker:
            assert worker.wait(30)
        assert world.job(job).result() == number


def test_a_worker_that_was_told_to_rest_works_when_it_is_started_again(world: World) -> None:
    worker = Worker(world.jobs, QUICK)
    with worker:
        world.jobs.workers.quiet()
        wait_until(lambda: worker._page.resting, "it has heard it")
    with worker:
        assert world.ends(world.enqueue("work", 1)).result() == 1


def test_taken_for_dead_it_goes_on_as_somebody_new(world: World) -> None:
    held = world.enqueue("talk", "old word", "new word")
    with Worker(world.jobs, QUICK):
        world.begun(held)
        [before] = world.jobs.store.workers.live()
        rescued = world.jobs.store.workers.rescue(
            before.id,
            lambda orphan: judge(orphan, Death("by hand"), Limits(), world.jobs.store.clock.now()),
            before.id,
            "by hand",
            certain=True,
        )
        assert rescued is not None
        assert [one.id for one in rescued] == [held.id]
        wait_until(lambda: [w.id for w in world.jobs.store.workers.live()] not in ([], [before.id]), "a new id")
        world.begun(held, 2)
        world.say("old word")
        wait_until(lambda: world.history.of(held.id, "end"), "the stale body ends")
        assert world.ends(world.enqueue("work", 1)).result() == 1
        assert world.job(held).state is JobState.RUNNING
        world.say("new word")
        done = world.ends(held)
        assert (done.result(), done.attempt, done.losses) == ("attempt 2", 2, 1)
    assert world.owned() == []
    assert world.jobs.store.workers.live() == []


@pytest.mark.parametrize("working", [False, True])
def test_fork_after_enqueue(world: World, working: bool) -> None:
    """As gunicorn's preload does: the app enqueues, forks its children, and all of them enqueue."""
    ids = [world.enqueue("work", 0).id]
    worker = Worker(world.jobs, QUICK).start() if working else None
    for number in range(1, 4):
        ids.append(_in_child(lambda n=number: world.enqueue("work", n).id))  # type: ignore[misc]
        ids.append(world.enqueue("work", number).id)
    worker = worker or Worker(world.jobs, QUICK).start()
    try:
        assert world.all_done() == {"succeeded": 7}
    finally:
        assert worker.stop()
    assert sorted(world.job(job_id).result() for job_id in ids) == [0, 1, 1, 2, 2, 3, 3]


def test_a_worker_in_a_forked_child(world: World) -> None:
    """The server's processes each run a worker of their own, after the app has used the database."""
    job = world.enqueue("work", 5)

    def serve() -> str:
        with Worker(world.jobs, QUICK):
            world.ends(job)
        return str(os.getpid())

    child = _in_child(serve)
    assert world.job(job).result() == 5
    assert [str(entry.pid) for entry in world.history.of(job.id)] == [child]


def _in_child(work: Callable[[], str]) -> str:
    """Run `work` in a forked child; what it says, or the test fails."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.write(writing, work().encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return told
