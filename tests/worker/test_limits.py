"""Time limits and cancel: soft at the next call, hard where that is possible; a finish wins over a late cancel."""

import asyncio
import os
import signal
import socket
import time
from dataclasses import replace

import pytest

from backburner import Job, JobState, RetryPolicy, current_job
from backburner.clock import boot_seconds
from backburner.rollup import ENDS
from backburner.worker import Worker, WorkerOptions, isolation, process, reporter, verdict
from tests.waiting import wait_until
from tests.worker.app import SLOW, said
from tests.worker.conftest import EMBEDDED
from tests.worker.history import noted
from tests.worker.world import World

ONCE = RetryPolicy.none()


@pytest.mark.parametrize("task", ["listen", "alisten", "hold"])
def test_timeout(working: World, task: str) -> None:
    """A task that listens, a coroutine, and one that does not listen and loses its thread."""
    job = working.enqueue(task, "end", timeout=0.3, max_attempts=1)
    done = working.ends(job, JobState.FAILED)
    assert done.reason == "It took longer than 0.3 s."
    assert (done.tries, done.attempt) == (1, 1)
    assert working.attempts(job)[0].error_type == "TimedOut"
    if task != "hold":
        assert len(working.history.of(job.id, "end")) == 1
    assert working.ends(working.enqueue("work", 1)).result() == 1


def test_a_timeout_is_a_temporary_failure(working: World) -> None:
    def body() -> int:
        job = current_job()
        assert job is not None
        while job.attempt == 1:
            job.check()
            time.sleep(0.005)
        return job.attempt

    task = working.jobs.task(name="body", timeout=0.2, retry=RetryPolicy.fixed(0.0))(body)
    done = working.ends(task.enqueue())
    assert (done.result(), done.tries) == (2, 1)


def test_stall_timeout(working: World) -> None:
    """Signs of life keep a job going, however long it takes; silence does not."""

    def lively() -> str:
        job = current_job()
        assert job is not None
        with noted():
            while not said("the other is over"):
                job.advance()
                time.sleep(0.02)
        return "done"

    def silent() -> None:
        job = current_job()
        assert job is not None
        # Asking would be a sign of life.
        while job._stop is None:
            time.sleep(0.005)
        job.check()

    lively_task = working.jobs.task(name="lively", stall_timeout=1.0, retry=ONCE)(lively)
    silent_task = working.jobs.task(name="silent", stall_timeout=1.1, retry=ONCE)(silent)
    lives = lively_task.enqueue()
    working.begun(lives)
    assert working.ends(silent_task.enqueue(), JobState.FAILED).reason == "It gave no sign of life for 1.1 s."
    working.say("the other is over")
    assert working.ends(lives).result() == "done"


def test_cancel_while_it_waits(world: World) -> None:
    job = world.enqueue("work", 1)
    assert job.cancel().state is JobState.CANCELLED


@pytest.mark.parametrize("task", ["listen", "alisten", "hold"])
def test_cancel_while_it_runs(working: World, task: str) -> None:
    job = working.enqueue(task, "end")
    working.begun(job)
    assert job.cancel().cancel_requested
    done = working.ends(job, JobState.CANCELLED)
    assert (done.reason, done.attempt, done.tries) == ("Cancelled on request.", 1, 0)
    assert working.ends(working.enqueue("work", 1)).result() == 1


def test_a_coroutine_may_clean_up(working: World) -> None:
    cleaned: list[str] = []

    async def body() -> None:
        try:
            with noted():
                await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            cleaned.append("up")

    job = working.jobs.task(name="body")(body).enqueue()
    working.begun(job)
    job.cancel()
    working.ends(job, JobState.CANCELLED)
    assert cleaned == ["up"]


def test_a_finish_wins_over_a_late_cancel(world: World) -> None:
    # With all the time that a worker gives: how busy the machine is does not matter.
    with Worker(world.jobs, EMBEDDED):
        job = world.enqueue("hold", "go on")
        world.begun(job)
        job.cancel()
        world.say("go on")
        done = world.ends(job)
    assert (done.state, done.result()) == (JobState.SUCCEEDED, "go on")


def test_a_cancelled_job_that_fails_does_not_run_again(working: World) -> None:
    def body() -> None:
        with noted():
            while not os.path.exists(working.folder / "say fail"):
                time.sleep(0.005)
            raise OSError("it went wrong while it was cancelled")

    job = working.jobs.task(name="body", retry=RetryPolicy.fixed(0.0))(body).enqueue()
    working.begun(job)
    job.cancel()
    working.say("fail")
    working.ends(job, JobState.CANCELLED)
    assert len(working.history.of(job.id)) == 1


def test_cancel_of_a_job_whose_worker_dies(world: World) -> None:
    job = world.enqueue("hold", "go on")
    world.start()
    child = world.begun(job).pid
    job.cancel()
    os.kill(child, signal.SIGKILL)
    done = world.ends(job, JobState.CANCELLED)
    assert "Cancelled" in (done.reason or "")
    assert len(world.history.of(job.id)) == 1
    assert world.ends(world.enqueue("work", 1)).result() == 1


@pytest.mark.parametrize("how", ["cancel", pytest.param("timeout", marks=pytest.mark.long)])
def test_a_deaf_job_costs_its_process_after_the_others_finished(world: World, how: str) -> None:
    limit = {"timeout": 0.3, "max_attempts": 1} if how == "timeout" else {}
    deaf, mate = world.enqueue("hold", "never", **limit), world.enqueue("hold", "go on")
    world.start(stop_grace=0.3)
    process = world.begun(deaf).pid
    assert world.begun(mate).pid == process
    if how == "cancel":
        deaf.cancel()
    wait_until(lambda: "does not stop" in world.trees[0].log.read_text(), "it is given up")
    assert world.trees[0].children() == [process], "the others go on"
    world.say("go on")
    done = world.ends(mate)
    assert (done.attempt, len(world.history.of(mate.id))) == (1, 1)
    done = world.ends(deaf, JobState.CANCELLED if how == "cancel" else JobState.FAILED)
    assert done.reason == ("Cancelled on request." if how == "cancel" else "It took longer than 0.3 s.")
    assert (done.crashes, done.losses) == (0, 0)
    wait_until(lambda: process not in world.trees[0].children(), "its process is replaced")
    assert world.ends(world.enqueue("work", 1)).result() == 1
    assert len(world.history.of(deaf.id)) == 1
    # What that process counted it has written at its end.
    assert counted(world, deaf) == {JobState.SUCCEEDED: 1, done.state: 1}


def counted(world: World, job: Job) -> dict[JobState, int]:
    """How many attempts of a job's task have ended how, as the charts say."""
    ends = world.jobs.store.rollups.by_task(0)[job.task].ends
    return {state: ends[place] for state, place in ENDS.items() if ends[place]}


def test_a_body_that_was_given_up_counts_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what was written of it, also when it ends after all."""
    monkeypatch.setattr(process, "STOP_GRACE", 0.3)
    worker = Worker(world.jobs, EMBEDDED).start()
    job = world.enqueue("hold", "end", timeout=0.3, max_attempts=1)
    world.ends(job, JobState.FAILED)
    world.say("end")
    wait_until(lambda: len(world.history.of(job.id, "end")) == 1, "its body ends")
    world.ends(world.enqueue("work", 1))
    worker.stop(2.0)
    assert counted(world, job) == {JobState.FAILED: 1}


@pytest.mark.parametrize(
    ("task", "how"),
    [
        ("hold", "cancel"),
        pytest.param("hold", "timeout", marks=pytest.mark.long),
        ("hold", "stall_timeout"),
        pytest.param("listen", "cancel", marks=pytest.mark.long),
        ("listen", "timeout"),
    ],
)
def test_isolated(on_sqlite: World, task: str, how: str) -> None:
    """A job in a process of its own is told first, and killed when it does not listen; nobody else notices."""
    world = on_sqlite
    mate = world.enqueue("hold", "go on")
    # One that listens is told in time; one that does not is not waited for.
    tree = world.start(stop_grace=0.5 if task == "hold" else 20.0)
    worker = world.begun(mate).pid
    limit = {how: 1.0, "max_attempts": 1} if how != "cancel" else {}
    job = world.enqueue(task, "never", isolate=True, **limit)
    entry = world.begun(job)
    assert entry.pid != worker
    if how == "cancel":
        job.cancel()
    done = world.ends(job, JobState.CANCELLED if how == "cancel" else JobState.FAILED)
    assert (done.attempt, done.crashes, done.losses) == (1, 0, 0)
    assert len(world.history.of(job.id, "end")) == (1 if task == "listen" else 0)
    assert tree.children() == [worker]
    world.say("go on")
    assert world.ends(mate).attempt == 1


def test_the_start_of_an_isolated_process_is_no_time_of_its_job(
    on_sqlite: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a busy machine takes to import the app: the limits are for the body."""
    world, slow = on_sqlite, on_sqlite.folder / SLOW
    slow.touch()
    monkeypatch.setattr(reporter, "boot_seconds", lambda: boot_seconds() + (1000.0 if slow.exists() else 0.0))
    # Who is told to stop is killed almost at once.
    monkeypatch.setattr(process, "STOP_GRACE", 0.01)
    limits = {"timeout": 60.0, "stall_timeout": 60.0, "max_attempts": 1}
    with Worker(world.jobs, WorkerOptions(concurrency=2, poll=0.05)):
        job = world.enqueue("work", 1, isolate=True, **limits)
        wait_until(lambda: world.job(job).state is JobState.RUNNING, "its process is started")
        # By the same clock, and later.
        world.ends(world.enqueue("listen", "never", **limits), JobState.FAILED)
        slow.unlink()
        assert world.ends(job).attempt == 1


def test_a_default_timeout_of_sockets_is_none_of_an_isolated_process(on_sqlite: World) -> None:
    """Apps set one, and kombu leaves one behind when two threads let go of connections at the same time."""
    world, before = on_sqlite, socket.getdefaulttimeout()
    socket.setdefaulttimeout(5.0)
    try:
        with Worker(world.jobs, WorkerOptions(concurrency=2, poll=0.05)):
            done = world.ends(world.enqueue("work", 1, isolate=True))
    finally:
        socket.setdefaulttimeout(before)
    assert (done.attempt, done.crashes, done.losses) == (1, 0, 0)


def test_an_isolated_process_that_never_comes_up_is_a_loss(on_sqlite: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world, slow = on_sqlite, on_sqlite.folder / SLOW
    slow.touch()
    monkeypatch.setattr(isolation, "IMPORT_SECONDS", 0.3)
    monkeypatch.setattr(verdict, "START_AGAIN_SECONDS", 0.05)
    with Worker(world.jobs, WorkerOptions(concurrency=2, poll=0.05)):
        job = world.enqueue("work", 1, isolate=True)
        wait_until(lambda: world.job(job).losses > 0, "it was given up")
        monkeypatch.setattr(isolation, "IMPORT_SECONDS", 60.0)
        slow.unlink()
        done = world.ends(job)
    assert (done.crashes, done.tries) == (0, 0)
    assert len(world.history.of(job.id)) == 1


def test_an_isolated_attempt_that_was_taken_over_counts_for_nothing(on_sqlite: World) -> None:
    """It finds that by itself, and has nothing to say: as one does that has ended in a transaction of its own."""
    world, slow, store = on_sqlite, on_sqlite.folder / SLOW, on_sqlite.jobs.store
    t = store.schema.jobs
    store.run(lambda c: c.exec_driver_sql("CREATE TABLE imported (number INTEGER)"))
    slow.touch()
    with Worker(world.jobs, WorkerOptions(concurrency=1, poll=0.05)):
        job = world.enqueue("import_rows", 1, 1, isolate=True)
        wait_until(lambda: world.job(job).state is JobState.RUNNING, "its process is started")
        store.run(lambda c: c.execute(t.update().where(t.c.id == job.id).values(attempt=t.c.attempt + 1)))
        slow.unlink()
        # There is one place: its turn comes when the body is over, or was stopped as one that nobody waits for.
        other = world.enqueue("import_rows", 1, 1, isolate=True)
        world.ends(other)
    assert store.rollups.by_task(0)["import_rows"].succeeded == 1
    assert store.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM imported").scalar()) == 2


def test_an_isolated_process_that_cannot_load_the_app_is_no_crash_of_its_job(
    on_sqlite: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdict, "START_AGAIN_SECONDS", 0.05)
    jobs = on_sqlite.jobs
    jobs.app, jobs.settings = "tests.worker.nowhere:jobs", replace(jobs.settings, max_losses=2)
    with Worker(jobs, WorkerOptions(concurrency=2, poll=0.05)):
        done = on_sqlite.ends(on_sqlite.enqueue("work", 1, isolate=True), JobState.FAILED)
    assert (done.crashes, done.tries, done.losses) == (0, 0, 2)
    assert done.reason == "It could not be started 2 times."
    assert "exit code 1 before it could begin" in (done.error or "")


def test_an_isolated_result_comes_back(on_postgresql: World) -> None:
    world = on_postgresql
    job = world.enqueue("work", 7, isolate=True)
    slow = world.enqueue("alisten", "go on", isolate=True)
    tree = world.start()
    assert world.ends(job).result() == 7
    world.begun(slow)
    world.say("go on")
    assert world.ends(slow).result() == "go on"
    assert world.history.of(job.id)[0].pid not in tree.children()
