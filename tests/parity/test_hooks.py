"""Hooks around jobs."""

import pytest

from backburner import Backburner, JobState, StopWorker
from backburner.hooks import Attempt, Hook
from tests.parity.conftest import StartWorker
from tests.parity.running import done, ran_out


class Heard(Hook):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def before(self, attempt: Attempt) -> None:
        self.words.append(f"before {attempt.attempt}")

    async def on_error(self, attempt: Attempt, error: BaseException) -> None:
        self.words.append(f"error {error}")

    async def after(self, attempt: Attempt) -> None:
        self.words.append(f"after {attempt.outcome}")


@pytest.mark.parametrize("is_async", [False, True])
def test_run_16_hooks_run_before_after_and_on_error(
    jobs: Backburner, start_worker: StartWorker, is_async: bool
) -> None:
    heard = jobs.hooks.add(Heard())

    def plain(fails: bool) -> None:
        heard.words.append("body")
        if fails:
            raise ValueError("bad row")

    async def coroutine(fails: bool) -> None:
        plain(fails)

    task = jobs.task(max_attempts=1)(coroutine if is_async else plain)
    start_worker()
    assert done(task.enqueue(fails=False)).state is JobState.SUCCEEDED
    assert heard.words == ["before 1", "body", "after succeeded"]
    heard.words.clear()
    assert done(task.enqueue(fails=True)).state is JobState.FAILED
    assert heard.words == ["before 1", "body", "error bad row", "after failed"]


def test_run_16_a_failing_after_hook_never_re_runs_a_job_that_succeeded(
    jobs: Backburner, start_worker: StartWorker
) -> None:
    class Fails(Hook):
        def after(self, attempt: Attempt) -> None:
            raise RuntimeError("no disk for the statistics")

    jobs.hooks.add(Fails())
    ran: list[int] = []

    @jobs.task
    def pay() -> None:
        ran.append(1)

    worker = start_worker(burst=True)
    job = done(pay.enqueue())
    ran_out(worker)
    assert (job.state, job.attempt, ran) == (JobState.SUCCEEDED, 1, [1])


def test_run_16_an_error_hook_may_end_the_worker(jobs: Backburner, start_worker: StartWorker) -> None:
    class Gives(Hook):
        def on_error(self, attempt: Attempt, error: BaseException) -> BaseException:
            return StopWorker("this machine is broken")

    @jobs.task(hooks=[Gives()])
    def pay() -> None:
        raise OSError("no device")

    worker = start_worker()
    # Without a cause a permanent failure.
    assert done(pay.enqueue()).state is JobState.FAILED
    ran_out(worker)
