"""How many may run at once, which priorities a worker takes, and the switch that stops running."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from backburner import Backburner, JobState, Task
from tests.cli.programs import make_shop
from tests.parity.conftest import StartWorker
from tests.parity.running import done, ran_out, states
from tests.waiting import wait_until


class Gate:
    """Bodies wait in here until it opens; it counts them."""

    def __init__(self) -> None:
        self.inside = self.most = 0
        self._lock = threading.Lock()
        self.open = threading.Event()

    def __call__(self) -> None:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self.open.wait(60)
        with self._lock:
            self.inside -= 1


@pytest.mark.parametrize(("range_", "taken"), [("10", {10}), ("20-40", {20, 40}), ("25-", {40, 50}), ("-20", {10, 20})])
def test_enq_08_a_worker_reserved_for_a_range_of_priorities(
    sqlite_url: str, tmp_path: Path, range_: str, taken: set[int]
) -> None:
    shop = make_shop(tmp_path, sqlite_url)
    jobs = Backburner(sqlite_url)

    @jobs.task(name="shop.add")
    def add(a: int, b: int) -> int:
        raise NotImplementedError("the workers have one of their own")

    made = {priority: add.options(priority=priority).enqueue(1, 2) for priority in (10, 20, 40, 50)}
    ran = shop.run("process", "--priority", range_)
    assert ran.returncode == 0, ran.stderr
    assert {priority for priority, job in made.items() if job.refresh().done} == taken
    jobs.close()


def waiting_task(jobs: Backburner, gate: Gate, most: int | None) -> Task[[], None]:
    @jobs.task(name="heavy", queue="heavy", max_running=most)
    def heavy() -> None:
        gate()

    return heavy


def cap_of_a_task(jobs: Backburner, gate: Gate) -> Task[[], None]:
    return waiting_task(jobs, gate, 2)


def cap_of_a_queue(jobs: Backburner, gate: Gate) -> Task[[], None]:
    jobs.queues.limit("heavy", 2)
    return waiting_task(jobs, gate, None)


@pytest.mark.parametrize("capped", [cap_of_a_task, cap_of_a_queue])
def test_run_09_no_more_at_once_than_the_cap_on_all_workers_together(
    jobs_everywhere: Backburner, start_worker: StartWorker, capped: Callable[[Backburner, Gate], Task[[], None]]
) -> None:
    gate, jobs = Gate(), jobs_everywhere
    heavy = capped(jobs, gate)

    @jobs.task(name="light")
    def light() -> None: ...

    waiting = [heavy.enqueue() for _ in range(6)]
    workers = [start_worker(), start_worker()]
    wait_until(lambda: gate.inside == 2, "two of them run")
    # Both workers have room: what is not capped runs, and what comes behind it.
    for _ in range(5):
        assert done(light.options(priority=90).enqueue()).state is JobState.SUCCEEDED
    assert gate.inside == 2
    gate.open.set()
    assert [done(job).state for job in waiting] == [JobState.SUCCEEDED] * 6
    assert gate.most == 2
    assert len(workers) == 2


def test_run_09_the_cap_of_a_queue_counts_jobs_with_and_without_a_group(
    jobs: Backburner, start_worker: StartWorker
) -> None:
    gate = Gate()
    heavy = cap_of_a_queue(jobs, gate)
    waiting = [heavy.options(group=group).enqueue() for group in ("a", "a", "b", "c", None, None, None, None)]
    start_worker(concurrency=8)
    wait_until(lambda: gate.inside >= 2, "two of them run")
    waiting += [heavy.options(group="d").enqueue(), heavy.enqueue()]
    gate.open.set()
    assert [done(job).state for job in waiting] == [JobState.SUCCEEDED] * 10
    assert gate.most == 2


def test_run_09_jobs_under_an_older_name_of_the_task_count_too(
    jobs: Backburner, start_worker: StartWorker, sqlite_url: str
) -> None:
    gate, before = Gate(), Backburner(sqlite_url)

    @before.task(name="weighty", queue="heavy")
    def weighty() -> None: ...

    waiting = [weighty.enqueue() for _ in range(3)]
    before.close()

    @jobs.task(name="heavy", aliases=["weighty"], queue="heavy", max_running=2)
    def heavy() -> None:
        gate()

    @jobs.task(name="light", queue="heavy", priority=90)
    def light() -> None: ...

    waiting += [heavy.enqueue() for _ in range(3)]
    for _ in range(2):
        start_worker()
    wait_until(lambda: gate.inside >= 2, "two of them run")
    for _ in range(5):
        assert done(light.enqueue()).state is JobState.SUCCEEDED
    assert gate.inside == 2
    for job in waiting:
        if job.refresh().state is JobState.QUEUED:
            assert "At most 2 jobs of task heavy may run at once, and do." in jobs.control.why_not_running(
                job.refresh()
            )
    gate.open.set()
    assert [done(job).state for job in waiting] == [JobState.SUCCEEDED] * 6
    assert gate.most == 2


def test_run_09_no_more_at_once_than_the_worker_is_told(jobs: Backburner, start_worker: StartWorker) -> None:
    gate = Gate()
    heavy = waiting_task(jobs, gate, None)
    waiting = [heavy.enqueue() for _ in range(5)]
    worker = start_worker(burst=True, concurrency=3)
    wait_until(lambda: gate.inside == 3, "three of them run")
    gate.open.set()
    ran_out(worker)
    assert states(waiting) == [JobState.SUCCEEDED] * 5
    assert gate.most == 3


def test_run_09_a_cap_may_be_changed_and_taken_away(jobs: Backburner, start_worker: StartWorker) -> None:
    gate = Gate()
    heavy = waiting_task(jobs, gate, None)
    jobs.queues.limit("heavy", 1)
    waiting = [heavy.enqueue() for _ in range(4)]
    start_worker()
    wait_until(lambda: gate.inside == 1, "one of them runs")
    jobs.queues.limit("heavy", 2)
    wait_until(lambda: gate.inside == 2, "two of them run")
    jobs.queues.limit("heavy", None)
    wait_until(lambda: gate.inside == 4, "all of them run")
    gate.open.set()
    assert [done(job).state for job in waiting] == [JobState.SUCCEEDED] * 4


def noting(jobs: Backburner) -> Task[[], None]:
    @jobs.task(name="note")
    def note() -> None: ...

    return note


def test_run_21_one_switch_stops_all_running(jobs: Backburner, start_worker: StartWorker) -> None:
    note = noting(jobs)
    jobs.queues.pause(reason="the warehouse moves", by="ada")
    waiting = [note.options(queue=queue).enqueue() for queue in ("default", "mail", "reports")]
    ran_out(start_worker(burst=True))
    assert states(waiting) == [JobState.QUEUED] * 3
    [why, *_] = jobs.control.why_not_running(waiting[0].refresh())
    assert "the warehouse moves" in why
    assert "ada" in why
    assert jobs.queues.resume()
    ran_out(start_worker(burst=True))
    assert states(waiting) == [JobState.SUCCEEDED] * 3


def test_run_21_one_queue_may_be_paused(jobs: Backburner, start_worker: StartWorker) -> None:
    note = noting(jobs)
    jobs.queues.pause("mail", reason="the mail server is away")
    mail, other = note.options(queue="mail").enqueue(), note.enqueue()
    ran_out(start_worker(burst=True))
    assert states([mail, other]) == [JobState.QUEUED, JobState.SUCCEEDED]
    shown = {queue.name: (queue.paused, queue.reason) for queue in jobs.queues.list()}
    assert shown["mail"] == (True, "the mail server is away")
    jobs.queues.resume("mail")
    ran_out(start_worker(burst=True))
    assert mail.refresh().state is JobState.SUCCEEDED


def test_run_21_a_pause_may_end_by_itself(jobs: Backburner, start_worker: StartWorker) -> None:
    note = noting(jobs)
    first = note.enqueue()
    until = jobs.control.now() + timedelta(seconds=1)
    jobs.queues.pause(until=until)
    start_worker()
    ended = done(first)
    assert ended.started_at is not None
    assert ended.started_at >= until


def test_run_21_what_runs_goes_on(jobs: Backburner, start_worker: StartWorker) -> None:
    gate = Gate()
    running = waiting_task(jobs, gate, None).enqueue()
    start_worker()
    wait_until(lambda: gate.inside == 1, "it runs")
    jobs.queues.pause()
    gate.open.set()
    assert done(running).state is JobState.SUCCEEDED


def test_run_21_cleaning_is_not_stopped_by_it(jobs: Backburner, start_worker: StartWorker) -> None:
    note = noting(jobs)
    short = note.options(keep=0.05).enqueue()
    ran_out(start_worker(burst=True))
    jobs.queues.pause()
    waiting = note.enqueue()
    start_worker()
    wait_until(lambda: short.id not in {job.id for job in jobs.find()}, "it is cleaned away", 90)
    assert waiting.refresh().state is JobState.QUEUED
