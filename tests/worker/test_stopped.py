"""SIGSTOP for longer than the lease, then SIGCONT: no stale write, never two bodies of what must not run twice."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psutil

from backburner import JobState
from backburner.states import JobState as State
from tests.waiting import wait_until
from tests.worker.world import Tree, World


def _leases(world: World, tree: Tree) -> float:
    """For how many of its leases (2 s) the worker of a tree has been beating."""
    worker = next(one for one in world.jobs.store.workers.live() if one.pid in tree.children())
    return (worker.beat_at - worker.started_at).total_seconds() / 2.0


@contextmanager
def _nobody_writes(world: World) -> Iterator[None]:
    """On SQLite: who is stopped in the middle of a write keeps everybody else from writing."""
    if not world.on_sqlite:
        yield
        return
    with closing(sqlite3.connect(world.folder / "jobs.db", isolation_level=None, timeout=60)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        yield


def _stop(world: World, pid: int) -> None:
    """Stop one process."""
    with _nobody_writes(world):
        os.kill(pid, signal.SIGSTOP)
        _has_stopped(pid)


def _stop_all(world: World, tree: Tree) -> None:
    """Stop every process of a tree."""
    with _nobody_writes(world):
        tree.tell_all(signal.SIGSTOP)
        for pid in (tree.pid, *tree.children()):
            _has_stopped(pid)


def _has_stopped(pid: int) -> None:
    stopped = psutil.Process(pid)
    wait_until(lambda: stopped.status() == psutil.STATUS_STOPPED, f"process {pid} has stopped")


def test_a_stopped_child_keeps_its_jobs(world: World) -> None:
    """Its supervisor beats for it: nobody takes its jobs, nothing runs twice."""
    jobs = [world.enqueue("hold", "go on"), world.enqueue("hold", "go on", repeatable=False)]
    tree = world.start()
    child = world.begun(jobs[0]).pid
    world.begun(jobs[1])
    other = world.start()
    _stop(world, child)
    wait_until(lambda: other.children(), "another tree is there")
    world.ready(other)
    wait_until(lambda: _leases(world, other) > 2, "others would have had the time to take over")
    assert [len(world.history.of(job.id)) for job in jobs] == [1, 1]
    os.kill(child, signal.SIGCONT)
    world.say("go on")
    for job in jobs:
        assert world.ends(job).attempt == 1
    assert [len(world.history.of(job.id)) for job in jobs] == [1, 1]
    assert tree.children() == [child]


def test_a_stopped_tree_writes_nothing_stale(on_postgresql: World) -> None:
    """Its lease ends, others take its jobs; when it wakes up, it can change nothing."""
    world = on_postgresql
    talking = world.enqueue("talk", "old word", "new word")
    unrepeatable = world.enqueue("talk", "old word", "new word", repeatable=False)
    tree = world.start()
    stale = world.begun(talking).pid
    world.begun(unrepeatable)
    wait_until(lambda: world.job(talking).progress is not None, "it reports")
    other = world.ready(world.start())
    _stop_all(world, tree)
    assert world.begun(talking, 2).pid != stale
    done = world.ends(unrepeatable, JobState.INTERRUPTED)
    before = (done, world.jobs.store.progress.log(unrepeatable.id))
    # The stale body may end now, and report, and return a result.
    world.say("old word")
    tree.tell_all(signal.SIGCONT)
    wait_until(lambda: len(world.history.of(talking.id, "end")) or stale not in tree.children(), "it woke up")
    wait_until(lambda: stale not in tree.children(), "its supervisor replaces the worker that lost its lease")
    assert world.job(talking).state is State.RUNNING
    assert (world.job(unrepeatable), world.jobs.store.progress.log(unrepeatable.id)) == before
    world.say("new word")
    done = world.ends(talking)
    assert (done.attempt, done.result()) == (2, "attempt 2")
    told = "".join(line.text for line in world.jobs.store.progress.log(talking.id))
    assert "attempt 1 goes on" not in told
    assert "attempt 2 goes on" in told
    assert len(world.history.of(unrepeatable.id)) == 1
    assert world.owned() == []
    assert other.process.poll() is None


def test_a_stopped_tree_on_sqlite_keeps_its_jobs(on_sqlite: World) -> None:
    """Its file lock shows that it lives: the lease ends, nothing is taken over, and all goes on."""
    world = on_sqlite
    jobs = [world.enqueue("hold", "go on"), world.enqueue("hold", "go on", repeatable=False)]
    tree = world.start()
    for job in jobs:
        world.begun(job)
    other = world.ready(world.start())
    _stop_all(world, tree)
    wait_until(lambda: _leases(world, other) > 2.5, "others would have had the time to take over")
    assert [len(world.history.of(job.id)) for job in jobs] == [1, 1]
    assert [world.job(job).state for job in jobs] == [State.RUNNING, State.RUNNING]
    tree.tell_all(signal.SIGCONT)
    world.say("go on")
    for job in jobs:
        assert world.ends(job).attempt == 1
    assert [len(world.history.of(job.id)) for job in jobs] == [1, 1]
