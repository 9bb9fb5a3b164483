"""How jobs are run: by workers, from cron, at once, and how workers are replaced and stopped."""

import os
import random
import signal
import threading
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text

from backburner import Backburner, JobState, current_job
from backburner.job import JobFilter
from tests.parity.conftest import StartWorker
from tests.parity.programs import Program
from tests.parity.running import done, in_state, ran_out
from tests.waiting import wait_until

APP = """
import os
from pathlib import Path

from backburner import Backburner
from tests.waiting import wait_until

jobs = Backburner(os.environ["APP_URL"], auto_migrate=True, beat=0.5)


@jobs.task
def hold(name: str) -> int:
    Path(f"{name}.{os.getpid()}.started").touch()
    wait_until(Path(f"{name}.go").exists, "somebody lets go", 60)
    return os.getpid()


@jobs.task
def add(a: int, b: int) -> int:
    return a + b


@jobs.task
def grow(megabytes: int) -> int:
    kept.append(b"x" * (megabytes << 20))
    return os.getpid()


@jobs.task
def pid() -> int:
    return os.getpid()


kept = []
"""


def program_of(folder: Path, url: str) -> Program:
    made = Program(folder, url)
    made.write(APP)
    return made


@pytest.fixture
def program(tmp_path: Path, sqlite_url: str) -> Program:
    return program_of(tmp_path, sqlite_url)


def app_of(program: Program) -> Backburner:
    """The same app here, to enqueue and to look."""
    jobs = Backburner(program.url, auto_migrate=True)

    @jobs.task(name="app.hold")
    def hold(name: str) -> int:
        raise NotImplementedError

    @jobs.task(name="app.add")
    def add(a: int, b: int) -> int:
        raise NotImplementedError

    @jobs.task(name="app.grow")
    def grow(megabytes: int) -> int:
        raise NotImplementedError

    @jobs.task(name="app.pid")
    def pid() -> int:
        raise NotImplementedError

    return jobs


def started(folder: Path, name: str) -> list[Path]:
    return sorted(folder.glob(f"{name}.*.started"))


def test_run_01_a_worker_runs_jobs_until_it_is_told_to_stop(program: Program) -> None:
    jobs = app_of(program)
    add = jobs.registry.require("app.add")
    with program.started("worker") as worker:
        assert done(add.enqueue(1, 2)).result() == 3
        assert done(add.enqueue(3, 4)).result() == 7
        assert worker.poll() is None
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(40) == 0
    jobs.close()


def test_run_02_cron_drains_what_is_ready_and_a_second_one_leaves(database_url: str, tmp_path: Path) -> None:
    program = program_of(tmp_path, database_url)
    jobs = app_of(program)
    add, hold = jobs.registry.require("app.add"), jobs.registry.require("app.hold")
    made = [add.enqueue(number, 1) for number in range(20)]
    ran = program.run("process")
    assert ran.returncode == 0, ran.stderr
    assert [job.refresh().result() for job in made] == [number + 1 for number in range(20)]
    # The next minute, while a long job still runs: one at a time, unless more are allowed.
    long = hold.enqueue("a")
    with program.started("process", "-c", "1") as first:
        wait_until(lambda: started(program.folder, "a"), "the first is at work")
        second = add.enqueue(1, 1)
        assert program.run("process").returncode == 75
        assert second.refresh().state is JobState.QUEUED
        assert program.run("process", "--limit", "2").returncode == 0
        assert second.refresh().result() == 2
        (program.folder / "a.go").touch()
        assert first.wait(40) == 0
    assert done(long).attempt == 1
    jobs.close()


def test_run_02_several_at_the_same_time_share_the_work(database_url: str, tmp_path: Path) -> None:
    program = program_of(tmp_path, database_url)
    jobs = app_of(program)
    hold = jobs.registry.require("app.hold")
    made = [hold.enqueue("a") for _ in range(2)]
    command = ("process", "-c", "1", "--limit", "2")
    with program.started(*command) as first, program.started(*command) as second:
        wait_until(lambda: len(started(program.folder, "a")) == 2, "both are at work")
        (program.folder / "a.go").touch()
        assert (first.wait(40), second.wait(40)) == (0, 0)
    assert len({job.refresh().result() for job in made}) == 2
    assert [job.refresh().attempt for job in made] == [1, 1]
    jobs.close()


def test_run_07_code_can_ask_whether_it_runs_in_a_job(jobs: Backburner, start_worker: StartWorker) -> None:
    def deep_inside() -> str | None:
        job = current_job()
        return None if job is None else str(job.id)

    @jobs.task
    def ask() -> str | None:
        return deep_inside()

    @jobs.task
    async def aask() -> str | None:
        return deep_inside()

    start_worker()
    for task in (ask, aask):
        job = done(task.enqueue())
        assert job.result() == job.id
    assert deep_inside() is None
    assert current_job() is None


def test_run_12_a_process_is_replaced_after_n_jobs(program: Program) -> None:
    jobs = app_of(program)
    pid = jobs.registry.require("app.pid")
    with program.started("worker", "-c", "1", "--max-jobs", "2"):
        ran_in = [done(pid.enqueue()).result() for _ in range(5)]
    assert len(set(ran_in)) >= 3
    assert all(ran_in.count(one) <= 2 for one in ran_in)
    jobs.close()


def test_run_12_a_process_that_uses_too_much_memory_is_replaced_between_jobs(program: Program) -> None:
    jobs = app_of(program)
    grow, pid = jobs.registry.require("app.grow"), jobs.registry.require("app.pid")
    with program.started("worker", "--max-memory", "300MB"):
        first = done(pid.enqueue()).result()
        assert done(grow.enqueue(1)).result() == first
        grown = done(grow.enqueue(400))
        assert (grown.result(), grown.attempt) == (first, 1)
        wait_until(lambda: not psutil.pid_exists(first), "it has ended")
        assert done(pid.enqueue()).result() != first
    jobs.close()


def test_run_12_an_embedded_worker_ends_after_n_jobs(jobs: Backburner, start_worker: StartWorker) -> None:
    @jobs.task
    def add(a: int, b: int) -> int:
        return a + b

    made = [add.enqueue(number, 1) for number in range(3)]
    ran_out(start_worker(max_jobs=2, concurrency=1))
    assert made[0].wait(30)
    assert made[1].wait(30)


def test_run_13_a_reload_replaces_each_worker_once_between_jobs(program: Program) -> None:
    jobs = app_of(program)
    hold = jobs.registry.require("app.hold")
    with program.started("worker", "--processes", "2", "-c", "1", "--label", "web") as worker:
        wait_until(lambda: len(jobs.workers.list()) == 2, "two workers are there")
        before = {one.pid for one in jobs.workers.list()}
        running = hold.enqueue("a")
        wait_until(lambda: started(program.folder, "a"), "a job runs")
        told = program.run("reload", "--label", "web")
        assert told.stdout == "told 2 workers to load anew\n"
        wait_until(lambda: len(before & {one.pid for one in jobs.workers.list()}) == 1, "the idle one is replaced")
        assert running.refresh().state is JobState.RUNNING, "no job is interrupted"
        (program.folder / "a.go").touch()
        assert done(running).attempt == 1
        wait_until(lambda: not before & {one.pid for one in jobs.workers.list()}, "both are replaced")
        wait_until(lambda: len(jobs.workers.list()) == 2, "by two")
        assert [one.told for one in jobs.workers.list()] == [None, None]
        assert worker.poll() is None
    jobs.close()


def test_run_14_sigterm_lets_running_jobs_end(program: Program) -> None:
    jobs = app_of(program)
    hold = jobs.registry.require("app.hold")
    running = hold.enqueue("a")
    with program.started("worker", "-c", "1") as worker:
        wait_until(lambda: started(program.folder, "a"), "it runs")
        waiting = hold.enqueue("b")
        os.kill(worker.pid, signal.SIGTERM)
        # Until its process itself has heard it, that may take the next job.
        wait_until(lambda: "told to stop" in program.said(), "it was told")
        (program.folder / "a.go").touch()
        assert worker.wait(40) == 0
    assert (running.refresh().state, waiting.refresh().state) == (JobState.SUCCEEDED, JobState.QUEUED)
    jobs.close()


def test_run_14_a_stop_by_label_says_that_the_worker_stays_down(program: Program) -> None:
    jobs = app_of(program)
    with program.started("worker", "--label", "mails") as mails, program.started("worker", "--label", "web") as web:
        wait_until(lambda: len(jobs.workers.list()) == 2, "both are there")
        stopped = program.run("workers", "stop", "--label", "mails", "--timeout", "60")
        assert stopped.returncode == 0, stopped.stderr
        # The code that the service manager is told not to start again for; an ordinary stop has code 0.
        assert mails.wait(40) == 79
        assert web.poll() is None
        web.send_signal(signal.SIGTERM)
        assert web.wait(40) == 0
    jobs.close()


def test_run_17_a_rolled_back_transaction_of_the_app_does_not_undo_the_state_of_its_job(
    jobs: Backburner, start_worker: StartWorker
) -> None:
    engine = create_engine(jobs.settings.url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (id INTEGER)"))

    @jobs.task(max_attempts=1)
    def import_orders() -> None:
        with engine.begin() as connection:
            current_job().progress(50, "half of it")
            connection.execute(text("INSERT INTO orders VALUES (1)"))
            raise ValueError("bad row")

    start_worker()
    job = done(import_orders.enqueue())
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM orders")).scalar() == 0
    assert (job.state, job.attempt) == (JobState.FAILED, 1)
    assert job.progress is not None
    assert (job.progress.done, job.progress.message) == (50, "half of it")
    engine.dispose()


def test_run_17_a_worker_connects_again_when_its_connections_are_lost(
    postgresql_url: str, start_worker: StartWorker
) -> None:
    jobs = Backburner(postgresql_url, auto_migrate=True)
    heard = threading.Event()

    @jobs.task
    def waits() -> int:
        assert heard.wait(30)
        return 1

    worker = start_worker(jobs)
    job = waits.enqueue()
    in_state(job, JobState.RUNNING)
    engine = create_engine(postgresql_url)
    with engine.connect() as connection:
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        killed = connection.execute(text(f"SELECT count(pg_terminate_backend(pid)) {others}")).scalar()
    engine.dispose()
    assert killed
    heard.set()
    # Somebody else looks: whoever asks over a lost connection is told so.
    looking = Backburner(postgresql_url)
    found = done(looking.get(job.id))
    assert (found.result(), found.attempt) == (1, 1)
    assert done(looking.get(waits.enqueue().id)).result() == 1
    worker.stop()
    looking.close()
    jobs.close()


@pytest.fixture
def late_chores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the pauses that chores may make, they make the longest."""
    monkeypatch.setattr(random, "uniform", lambda least, most: most)


@pytest.mark.usefixtures("late_chores")
def test_run_02_what_is_due_is_ready(jobs: Backburner, start_worker: StartWorker) -> None:
    """However short it runs, and however many there are: nobody else may come for them."""

    @jobs.task(name="add")
    def add(number: int) -> int:
        return number

    jobs.enqueue_many(add.options(delay=3600), [(number,) for number in range(1_100)])
    with jobs.store.engine.begin() as connection:
        connection.execute(text("UPDATE backburner_jobs SET run_at = run_at - 3600000000"))
    ran_out(start_worker(burst=True, poll=5.0))
    assert jobs.control.count(JobFilter(states=frozenset({JobState.SUCCEEDED}))) == 1_100


@pytest.mark.usefixtures("late_chores")
def test_run_02_what_was_held_for_its_task_is_ready_where_it_is_known(
    jobs: Backburner, start_worker: StartWorker, sqlite_url: str
) -> None:
    before = Backburner(sqlite_url)
    held = jobs.get(before.task(name="new")(lambda: None).enqueue().id)
    before.close()
    ran_out(start_worker(burst=True))
    in_state(held, JobState.BLOCKED)
    jobs.task(name="new")(lambda: None)
    ran_out(start_worker(burst=True))
    assert held.refresh().state is JobState.SUCCEEDED
