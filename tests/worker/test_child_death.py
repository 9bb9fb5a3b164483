"""A worker process dies, its supervisor lives: the jobs start again at once, and the right one is blamed."""

import os
import signal
from collections.abc import Callable

import pytest

from backburner import JobState
from backburner.clock import boot_seconds
from tests.waiting import wait_until
from tests.worker.world import World

Print = Callable[[str], None]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Print:
    """Print past pytest, for figures."""

    def show(text: str) -> None:
        with capsys.disabled():
            print(f"\n    {text}")

    return show


@pytest.mark.parametrize("mates", [0, 2])
def test_the_job_starts_again_at_once(world: World, tell: Print, mates: int) -> None:
    # The mates are coroutines: lost once, they too run in processes of their own.
    jobs = [world.enqueue("hold" if n == 0 else "alisten", "go on") for n in range(1 + mates)]
    # Of a lease that nobody could wait for here: it must be the supervisor's rescue.
    tree = world.start(lease=120.0, beat=0.5)
    first = [world.begun(job) for job in jobs]
    killed_at = boot_seconds()
    os.kill(first[0].pid, signal.SIGKILL)
    second = [world.begun(job, 2) for job in jobs]
    took = min(entry.at for entry in second) - killed_at
    tell(f"{1 + mates} running jobs, first one again {took:.2f} s after kill -9, on {world.jobs.store.dialect.name}")
    world.say("go on")
    for job in jobs:
        done = world.ends(job)
        assert (done.attempt, done.tries, done.crashes + done.losses) == (2, 0, 1)
        # Alone in the process: proven. Among others: nobody knows.
        assert done.crashes == (1 if mates == 0 else 0)
        assert world.attempts(job)[0].outcome == ("crashed" if mates == 0 else "lost")
        assert "SIGKILL" in world.attempts(job)[0].reason
    assert tree.process.poll() is None


def test_what_had_not_begun_goes_back_without_blame(world: World) -> None:
    running = [world.enqueue("hold", "go on") for _ in range(2)]
    world.start(concurrency=2)
    first = world.begun(running[0])
    world.begun(running[1])
    waiting = world.enqueue_many("work", [(1,)] * 5)
    os.kill(first.pid, signal.SIGKILL)
    world.begun(running[0], 2)
    world.say("go on")
    assert world.all_done() == {"succeeded": 7}
    for job_id in waiting:
        job = world.job(job_id)
        assert (job.crashes, job.losses, job.tries) == (0, 0, 0)


@pytest.mark.parametrize(
    "how", ["exit", *(pytest.param(how, marks=pytest.mark.long) for how in ("exit in good order", "segfault"))]
)
def test_a_job_that_ends_its_process_is_found_out(world: World, how: str) -> None:
    """Among innocent ones: it alone is blamed, fails after three proven crashes, and all others succeed."""
    innocent = world.enqueue_many("work", [(1, 0.02)] * 20)
    poison = world.enqueue("die", how)
    innocent += world.enqueue_many("work", [(1, 0.02)] * 20)
    world.start()
    done = world.ends(poison, JobState.FAILED)
    assert world.all_done() == {"succeeded": 40, "failed": 1}
    assert done.crashes == 3
    assert "ended its process 3 times" in (done.reason or "")
    outcomes = [record.outcome for record in world.attempts(poison)]
    assert outcomes.count("crashed") == 3
    begun = world.history.of(poison.id)
    assert len({entry.pid for entry in begun}) == len(begun), "each attempt had a process"
    for job_id in innocent:
        job = world.job(job_id)
        assert (job.crashes, job.tries) == (0, 0)
    assert world.owned() == []


@pytest.mark.parametrize("how", ["system exit", "memory"])
def test_a_job_that_only_tries_to(on_sqlite: World, how: str) -> None:
    """`SystemExit` and `MemoryError` are failures of the task: the process goes on."""
    world = on_sqlite
    mate = world.enqueue("hold", "go on")
    tree = world.start()
    worker = world.begun(mate).pid
    job = world.enqueue("die", how, max_attempts=2)
    done = world.ends(job, JobState.FAILED)
    assert (done.tries, done.crashes, done.losses, done.attempt) == (2, 0, 0, 2)
    assert {entry.pid for entry in world.history.of(job.id)} == {worker}
    assert tree.children() == [worker]
    world.say("go on")
    assert world.ends(mate).attempt == 1


def test_after_a_crash_a_job_runs_alone_in_a_process_of_its_own(world: World) -> None:
    job = world.enqueue("hold", "go on")
    tree = world.start()
    os.kill(world.begun(job).pid, signal.SIGKILL)
    again = world.begun(job, 2)
    wait_until(lambda: len(tree.children()) == 1, "a new worker is there")
    assert again.pid not in tree.children()
    mate = world.enqueue("hold", "go on")
    assert world.begun(mate).pid in tree.children()
    world.say("go on")
    assert world.all_done() == {"succeeded": 2}


def test_killed_in_a_process_of_its_own(on_postgresql: World) -> None:
    """An isolated job's process is killed: its worker and the jobs there notice nothing."""
    world = on_postgresql
    mate = world.enqueue("hold", "go on")
    tree = world.start()
    world.begun(mate)
    job = world.enqueue("hold", "go on", isolate=True)
    os.kill(world.begun(job).pid, signal.SIGKILL)
    assert world.begun(job, 2).pid not in tree.children()
    world.say("go on")
    assert world.ends(job).crashes == 1
    done = world.ends(mate)
    assert (done.attempt, done.crashes, done.losses) == (1, 0, 0)


def test_a_body_that_holds_the_interpreters_lock(world: World) -> None:
    """For longer than the lease: the supervisor keeps it, and the job runs once."""
    job = world.enqueue("hold_gil", 4)
    mates = world.enqueue_many("work", [(1,)] * 5)
    tree = world.start(lease=3.0, beat=0.4)
    other = world.start(lease=3.0, beat=0.4)
    assert world.all_done() == {"succeeded": 1 + len(mates)}
    assert len(world.history.of(job.id)) == 1
    done = world.job(job)
    assert (done.attempt, done.losses, done.crashes) == (1, 0, 0)
    assert tree.process.poll() is None
    assert other.process.poll() is None
