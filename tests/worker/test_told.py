"""What workers are told from elsewhere: rest, be replaced, stop. Each hears it with a beat, and does it once."""

import os
import signal

from backburner.states import JobState
from backburner.worker import Worker, WorkerOptions, exits
from tests.waiting import wait_until
from tests.worker.world import World

EMBEDDED = WorkerOptions(concurrency=2, poll=0.05, lease=2.0, beat=0.2)


def test_a_reload_replaces_each_process_once_between_jobs(world: World) -> None:
    tree = world.ready(world.start(processes=2), 2)
    before = tree.children()
    held = world.enqueue("hold", "go")
    world.begun(held)
    told = world.jobs.workers.reload()
    assert len(told) == 2
    assert world.jobs.workers.reload() == [], "who was told is not told again"
    # The one without a job is replaced; the other ends its job first.
    wait_until(lambda: len(set(tree.children()) - set(before)) == 1, "one process is new")
    assert not world.jobs.workers.wait(told, 0.0)
    # Longer than several beats: what was told is said again with each of them.
    done = world.enqueue("work", 1, 1.5)
    world.ends(done)
    assert len(set(tree.children()) & set(before)) == 1
    world.say("go")
    assert world.ends(held).attempt == 1
    assert world.jobs.workers.wait(told, 30)
    wait_until(lambda: len(set(tree.children()) - set(before)) == 2, "both are new")
    world.ready(tree, 2)
    after = tree.children()
    world.ends(world.enqueue("work", 2, 1.5))
    assert tree.children() == after, "the new ones stay"
    assert {one.told for one in world.jobs.workers.list()} == {None}


def test_a_stop_by_label_ends_those_workers_and_says_that_they_stay_down(world: World) -> None:
    mails = world.ready(world.start(label="mails", processes=2), 2)
    others = world.ready(world.start(label="others"), 1)
    told = world.jobs.workers.stop(label="mails")
    assert len(told) == 2
    assert mails.ended() == exits.STAY_DOWN
    assert world.jobs.workers.wait(told, 30)
    assert len(others.children()) == 1
    assert [one.label for one in world.jobs.workers.list()] == ["others"]


def test_one_of_several_processes_may_be_stopped(world: World) -> None:
    tree = world.ready(world.start(processes=2), 2)
    first, second = world.jobs.workers.list()
    assert world.jobs.workers.stop([first.id]) == [first.id]
    wait_until(lambda: tree.children() == [second.pid], "one has ended and is not replaced")
    world.ends(world.enqueue("work", 1, 1.0))
    assert tree.children() == [second.pid]


def test_a_stopped_worker_gives_a_job_back_when_its_grace_is_over(world: World) -> None:
    tree = world.ready(world.start(grace=0.2))
    held = world.enqueue("hold", "go")
    world.begun(held)
    world.jobs.workers.stop()
    assert tree.ended() == exits.STAY_DOWN
    found = world.job(held)
    assert (found.state, found.tries, found.crashes, found.losses) == (JobState.QUEUED, 0, 0, 0)


def test_a_quiet_worker_takes_nothing_and_stays_until_it_is_replaced(world: World) -> None:
    tree = world.ready(world.start())
    held = world.enqueue("hold", "go")
    world.begun(held)
    (worker,) = world.jobs.workers.list()
    assert worker.running == 1
    assert world.jobs.workers.quiet() == [worker.id]
    # The next beat has brought it when it was after this one.
    heard_at = world.jobs.store.clock.now()
    wait_until(lambda: world.jobs.workers.list()[0].beat_at > heard_at, "a beat")
    beat = world.jobs.workers.list()[0].beat_at
    wait_until(lambda: world.jobs.workers.list()[0].beat_at > beat, "another beat")
    waiting = world.enqueue("work", 1)
    world.say("go")
    world.ends(held)
    beat = world.jobs.workers.list()[0].beat_at
    wait_until(lambda: world.jobs.workers.list()[0].beat_at > beat, "one more beat")
    found = world.job(waiting)
    assert found.state is JobState.QUEUED
    assert "Every live worker was told to take nothing more." in world.jobs.control.why_not_running(found)
    assert tree.children() == [worker.pid]
    assert world.jobs.workers.reload() == [worker.id]
    world.ends(waiting)
    assert tree.children() != [worker.pid]


def test_a_stop_goes_before_a_reload(world: World) -> None:
    tree = world.ready(world.start())
    held = world.enqueue("hold", "go")
    world.begun(held)
    assert len(world.jobs.workers.reload()) == 1
    assert len(world.jobs.workers.stop()) == 1
    assert world.jobs.workers.reload() == []
    world.say("go")
    assert tree.ended() == exits.STAY_DOWN


def test_a_stop_that_its_worker_cannot_hear_any_more_reaches_the_one_in_its_place(world: World) -> None:
    """It ends before its next beat, which would have brought the word."""
    tree = world.ready(world.start(beat=30.0, lease=120.0))
    (worker,) = world.jobs.workers.list()
    assert world.jobs.workers.stop() == [worker.id]
    os.kill(worker.pid, signal.SIGKILL)
    assert tree.ended() == exits.STAY_DOWN
    assert world.jobs.workers.list() == []


def test_an_embedded_worker_stops_and_is_never_replaced(world: World) -> None:
    worker = Worker(world.jobs, EMBEDDED).start()
    try:
        (seen,) = world.jobs.workers.list()
        assert (seen.embedded, seen.pid, seen.alive) == (True, os.getpid(), True)
        assert world.jobs.workers.reload() == []
        told = world.jobs.workers.stop()
        assert world.jobs.workers.wait(told, 30)
        assert worker.wait(30)
    finally:
        assert worker.stop()


def test_workers_are_chosen_by_queue_and_label(world: World) -> None:
    world.ready(world.start(queues=["mails"], label="a"))
    world.ready(world.start(queues=["reports"], label="b"))
    world.ready(world.start())
    listed = world.jobs.workers.list
    assert [one.queues for one in listed(queue="mails")] == [("mails",), None]
    assert [one.label for one in listed(label="b")] == ["b"]
    assert listed(label="c") == []
    assert [one.queues for one in listed(queue="mails", label="b")] == []
