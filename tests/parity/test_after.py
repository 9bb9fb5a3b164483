"""One job waits until another, or a named part of another, is done."""

import threading

from backburner import Backburner, JobState, current_job
from tests.parity.conftest import StartWorker
from tests.parity.running import done, in_state, states

S = JobState


def test_run_11_one_job_waits_until_others_are_done(jobs_everywhere: Backburner, start_worker: StartWorker) -> None:
    ran: list[str] = []
    go = threading.Event()

    @jobs_everywhere.task
    def step(name: str) -> None:
        if name == "first":
            assert go.wait(20)
        ran.append(name)

    first, second = step.enqueue("first"), step.enqueue("second")
    last = step.options(after=[first, second]).enqueue("last")
    start_worker()
    done(second)
    assert states([last]) == [S.BLOCKED]
    go.set()
    assert done(last).state is S.SUCCEEDED
    assert ran == ["second", "first", "last"]


def test_run_11_what_comes_after_a_failure(jobs_everywhere: Backburner, start_worker: StartWorker) -> None:
    @jobs_everywhere.task(max_attempts=1)
    def fails() -> None:
        raise ValueError("no")

    @jobs_everywhere.task
    def works() -> None: ...

    first = fails.enqueue()
    needs_it = works.options(after=first).enqueue()
    needs_that = works.options(after=needs_it).enqueue()
    anyhow = works.options(after=first, after_failed="run").enqueue()
    start_worker()
    assert done(anyhow).state is S.SUCCEEDED
    assert done(needs_that).state is S.CANCELLED
    assert first.id in (done(needs_it).reason or "")


def test_run_11_a_named_part_is_enough_and_no_slot_is_held(
    jobs_everywhere: Backburner, start_worker: StartWorker
) -> None:
    go, end = threading.Event(), threading.Event()

    @jobs_everywhere.task
    def imports() -> None:
        assert go.wait(20)
        current_job().milestone("imported")
        assert end.wait(20)

    @jobs_everywhere.task
    def prices(other: str) -> int:
        current_job().wait_for(other, milestone="imported")
        return int(current_job().attempt)

    other = imports.enqueue()
    job = prices.enqueue(other.id)
    # One slot beside the import: a wait that held it would keep the other one out.
    start_worker(concurrency=2)
    waiting = in_state(job, S.BLOCKED)
    assert (waiting.blocked_on, waiting.tries) == ("parents", 0)
    extra = prices.enqueue(other.id)
    in_state(extra, S.BLOCKED)
    go.set()
    assert [done(one).result() for one in (job, extra)] == [2, 2]
    assert other.refresh().state is S.RUNNING
    end.set()
    done(other)
