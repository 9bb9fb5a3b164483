"""Serial groups, on each database in turn."""

import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from backburner import Backburner, JobState, PermanentError, RetryPolicy, Task
from tests.parity.conftest import StartWorker
from tests.parity.programs import Program
from tests.parity.running import done, ran_out, states

LATER = RetryPolicy.fixed(3600)

CRASHING_APP = """
import os
import signal
from pathlib import Path

from backburner import Backburner, current_job

jobs = Backburner(os.environ["APP_URL"])


@jobs.task(name="step")
def step(name: str) -> None:
    with open("order", "a") as order:
        order.write(f"{name} {current_job().attempt}\\n")
    if name == "first" and current_job().attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
"""


class Body:
    """A task's body that writes down the order, and how many of a group ran at the same time."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.most: Counter[str] = Counter()
        self._now: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, group: str, name: str) -> None:
        with self._lock:
            self._now[group] += 1
            self.most[group] = max(self.most[group], self._now[group])
            self.order.append(name)
        # Long enough that others could begin meanwhile, if anything let them.
        time.sleep(0.005)
        with self._lock:
            self._now[group] -= 1


def test_run_10_serial_group_runs_in_order(jobs_everywhere: Backburner, start_worker: StartWorker) -> None:
    body = Body()

    @jobs_everywhere.task
    def step(group: str, name: str) -> None:
        body(group, name)

    for number in range(10):
        for group in ("a", "b"):
            step.options(group=group).enqueue(group, f"{group}{number}")
    step.options(group="a", priority=10).enqueue("a", "a pressing")
    workers = [start_worker(burst=True) for _ in range(2)]
    for worker in workers:
        ran_out(worker)
    assert {job.state for job in jobs_everywhere.find()} == {JobState.SUCCEEDED}
    assert body.most == {"a": 1, "b": 1}
    in_a = [name for name in body.order if name.startswith("a")]
    assert in_a == ["a pressing", *(f"a{number}" for number in range(10))]
    assert [name for name in body.order if name.startswith("b")] == [f"b{number}" for number in range(10)]


def failing(jobs: Backburner, bad: set[str]) -> Task[[str], str]:
    """A task that fails for good with the names in `bad`, and for now with "later"."""

    @jobs.task(name="step", retry=LATER)
    def step(name: str) -> str:
        if name == "later":
            raise ValueError(name)
        if name in bad:
            raise PermanentError(name)
        return name

    return step


def test_run_10_skip_lets_others_go_on(jobs_everywhere: Backburner, start_worker: StartWorker) -> None:
    step = failing(jobs_everywhere, {"bad"}).options(group="one")
    line = [step.enqueue(name) for name in ("later", "good", "bad", "last")]
    ran_out(start_worker(burst=True))
    assert states(line) == [JobState.RETRYING, JobState.SUCCEEDED, JobState.FAILED, JobState.SUCCEEDED]


def test_run_10_block_waits_while_the_head_backs_off(jobs_everywhere: Backburner, start_worker: StartWorker) -> None:
    step = failing(jobs_everywhere, set()).options(group="one", group_policy="block")
    line = [step.enqueue(name) for name in ("later", "good")]
    other = step.options(group="two").enqueue("good")
    ran_out(start_worker(burst=True))
    assert states([*line, other]) == [JobState.RETRYING, JobState.BLOCKED, JobState.SUCCEEDED]


@pytest.mark.parametrize("verb", ["retry", "cancel", "delete"])
def test_run_10_block_waits_for_a_person(jobs_everywhere: Backburner, start_worker: StartWorker, verb: str) -> None:
    bad = {"head"}
    step = failing(jobs_everywhere, bad).options(group="one", group_policy="block")
    head, *rest = [step.enqueue(name) for name in ("head", "second", "third")]
    ran_out(start_worker(burst=True))
    assert states([head, *rest]) == [JobState.FAILED, JobState.BLOCKED, JobState.BLOCKED]
    assert any(head.id in reason for reason in jobs_everywhere.control.why_not_running(rest[0].refresh()))
    bad.clear()
    getattr(head, verb)()
    ran_out(start_worker(burst=True))
    assert states(rest) == [JobState.SUCCEEDED] * 2
    if verb != "delete":
        assert head.refresh().state is (JobState.SUCCEEDED if verb == "retry" else JobState.CANCELLED)


def test_run_10_stop_cancels_the_rest(jobs_everywhere: Backburner, start_worker: StartWorker) -> None:
    step = failing(jobs_everywhere, {"bad"}).options(group="one", group_policy="stop")
    line = [step.enqueue(name) for name in ("good", "bad", "never", "never")]
    ran_out(start_worker(burst=True))
    assert states(line) == [JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.CANCELLED]
    assert line[2].refresh().reason
    # The next one begins a new line.
    assert step.enqueue("good").refresh().state is JobState.QUEUED
    ran_out(start_worker(burst=True))
    assert jobs_everywhere.find(limit=1)[0].state is JobState.SUCCEEDED


def test_run_10_a_crash_of_the_holder_frees_the_group(database_url: str, tmp_path: Path) -> None:
    """The holder takes its whole process with it; the supervisor sees that, and the line goes on in order."""
    program = Program(tmp_path, database_url)
    program.write(CRASHING_APP)
    jobs = Backburner(database_url)

    @jobs.task(name="step")
    def step(name: str) -> None: ...

    line = [step.options(group="one").enqueue(name) for name in ("first", "second", "third")]
    ran = program.run("process")
    assert ran.returncode == 0, ran.stderr
    ended = [done(job) for job in line]
    assert [(job.state, job.crashes, job.losses) for job in ended] == [
        (JobState.SUCCEEDED, 1, 0),
        (JobState.SUCCEEDED, 0, 0),
        (JobState.SUCCEEDED, 0, 0),
    ]
    # A process that ends may give back what it has taken and not begun: that is an attempt, and no run.
    ran_as = [line.split()[0] for line in (tmp_path / "order").read_text().splitlines()]
    assert ran_as == ["first", "first", "second", "third"]
    jobs.close()


def test_enq_17_starting_a_job_makes_waiting_ones_unnecessary(
    jobs_everywhere: Backburner, start_worker: StartWorker
) -> None:
    order: list[str] = []

    @jobs_everywhere.task
    def index(name: str) -> None:
        order.append(name)

    line = [
        index.options(group="index", coalesce=threshold).enqueue(name)
        for name, threshold in (("10", 10), ("10 again", 10), ("20", 20), ("5", 5), ("none", None))
    ]
    elsewhere = index.options(group="other", coalesce=10).enqueue("another group")
    ran_out(start_worker(burst=True, concurrency=1))
    assert states([*line, elsewhere]) == [
        JobState.SUCCEEDED,
        JobState.SKIPPED,
        JobState.SKIPPED,
        JobState.SUCCEEDED,
        JobState.SUCCEEDED,
        JobState.SUCCEEDED,
    ]
    assert sorted(order) == ["10", "5", "another group", "none"]
    assert line[1].refresh().reason
