"""The whole tree dies, supervisor included: another worker takes over, by lease or by the free file lock."""

import signal
from pathlib import Path

import psutil
import pytest

from backburner import JobState
from backburner.clock import boot_seconds
from backburner.worker.held import LONE
from tests.waiting import wait_until
from tests.worker.world import World


def test_another_tree_takes_over(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [world.enqueue("hold", "go on") for _ in range(3)]
    unrepeatable = world.enqueue("hold", "go on", repeatable=False)
    tree, other = world.start(), None
    for job in (*jobs, unrepeatable):
        world.begun(job)
    # Claims nothing of the queue in question, and is the one that comes to the rescue.
    other = world.ready(world.start(queues=["elsewhere", "default"], concurrency=6))
    killed_at = boot_seconds()
    tree.tell_all(signal.SIGKILL)
    took = min(world.begun(job, 2).at for job in jobs) - killed_at
    with capsys.disabled():
        print(
            f"\n    first job again {took:.2f} s after kill -9 of the tree, lease 2 s, {world.jobs.store.dialect.name}"
        )
    world.say("go on")
    for job in jobs:
        done = world.ends(job)
        assert (done.losses, done.crashes, done.tries) == (1, 0, 0)
    done = world.ends(unrepeatable, JobState.INTERRUPTED)
    assert len(world.history.of(unrepeatable.id)) == 1
    assert "must not run twice" in (done.reason or "")
    assert world.owned() == []
    assert other.process.poll() is None


@pytest.mark.long
def test_a_tree_started_afterwards_takes_over(world: World) -> None:
    job = world.enqueue("hold", "go on")
    tree = world.start()
    world.begun(job)
    tree.end()
    world.start()
    world.begun(job, 2)
    world.say("go on")
    assert world.ends(job).losses == 1


def test_on_sqlite_at_once_though_the_lease_holds(on_sqlite: World) -> None:
    """A free lock file is proof of death: nobody waits for the lease."""
    world = on_sqlite
    job = world.enqueue("hold", "go on")
    tree = world.start(lease=600.0, beat=0.5)
    world.begun(job)
    tree.end()
    world.start(lease=600.0, beat=0.5)
    world.begun(job, 2)
    world.say("go on")
    world.ends(job)
    wait_until(lambda: len(_life_files(world)) == 1, "what the dead worker left is removed")


@pytest.mark.long
def test_on_sqlite_a_missing_lock_file_leaves_it_to_the_lease(on_sqlite: World) -> None:
    world = on_sqlite
    job = world.enqueue("hold", "go on")
    tree = world.start()
    world.begun(job)
    for file in _life_files(world):
        file.unlink()
    other = world.ready(world.start())
    wait_until(lambda: _beats(world, other.children()[0]) >= 2, "the other tree has looked around")
    assert len(world.history.of(job.id)) == 1, "the lease holds"
    tree.end()
    world.begun(job, 2)
    world.say("go on")
    world.ends(job)


def test_a_process_that_a_task_left_behind_keeps_nobody_alive(on_sqlite: World) -> None:
    """A child that a task forked has no part in its worker's sign of life."""
    world = on_sqlite
    job = world.enqueue("leave_child", "go on")
    tree = world.start()
    world.begun(job)
    left = wait_until(lambda: _number(world.folder / "left"), "the task has forked")
    assert psutil.pid_exists(left)
    for pid in (*tree.children(), tree.pid):
        psutil.Process(pid).kill()
    assert psutil.Process(left).is_running()
    world.start()
    world.begun(job, 2)
    world.say("go on")
    assert world.ends(job).losses + world.job(job).crashes == 1


def test_children_end_when_their_supervisor_is_killed(world: World) -> None:
    job = world.enqueue("hold", "go on")
    tree = world.start()
    child = world.begun(job).pid
    tree.tell(signal.SIGKILL)
    world.ready(world.start())
    wait_until(lambda: not psutil.pid_exists(child), "the orphan ends by itself")
    world.begun(job, 2)
    world.say("go on")
    assert world.ends(job).state is JobState.SUCCEEDED
    assert world.owned() == []


def _life_files(world: World) -> list[Path]:
    return list((world.folder / "jobs.db-workers").glob("*"))


def _beats(world: World, pid: int) -> float:
    """For how many leases this worker has been beating."""
    worker = next(one for one in world.jobs.store.workers.live() if one.pid == pid)
    return (worker.beat_at - worker.started_at).total_seconds() / 2.0


def _number(file: Path) -> int:
    return int(file.read_text() or 0) if file.exists() else 0


def test_what_ran_on_a_host_that_died_comes_back_a_few_at_a_time(on_sqlite: World) -> None:
    """Each in a process of its own, which loads the app: all at once they could be too much for this host, too."""
    world, count = on_sqlite, 2 * LONE + 2
    jobs = [world.enqueue("hold", "go on") for _ in range(count)]
    first = world.start(concurrency=count)
    for job in jobs:
        world.begun(job)
    first.end()
    world.start(concurrency=count)

    def again() -> int:
        return sum(len(world.history.of(job.id)) > 1 for job in jobs)

    wait_until(lambda: again() == LONE, "some of them run again")
    # Others are taken meanwhile, and what is behind them all is looked at.
    assert world.ends(world.enqueue("work", 1)).result() == 1
    assert again() == LONE
    world.say("go on")
    for job in jobs:
        assert world.ends(job).losses == 1
