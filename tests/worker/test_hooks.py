"""Hooks around jobs and processes, and what their failures may and may not do."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from backburner import (
    Backburner,
    Job,
    JobState,
    PermanentError,
    Retry,
    RetryPolicy,
    Skip,
    StopWorker,
    Wait,
    current_job,
)
from backburner.errors import InvalidOption
from backburner.hooks import Attempt, Hook, JobProcess
from backburner.outcome import AttemptRecord
from backburner.worker import Worker, WorkerOptions, process
from tests.waiting import wait_until
from tests.worker import hooking

user: ContextVar[str] = ContextVar("user", default="nobody")


@pytest.fixture
def jobs(sqlite_url: str) -> Iterator[Backburner]:
    made = Backburner(sqlite_url, auto_migrate=True)
    yield made
    made.close()


def run(jobs: Backburner, *made: Job, **options: Any) -> list[Job]:
    with Worker(jobs, WorkerOptions(concurrency=2, poll=0.05, **options)):
        for job in made:
            assert job.wait(30), job.refresh()
    return [job.refresh() for job in made]


def attempts(jobs: Backburner, job: Job) -> list[AttemptRecord]:
    return [record for _, record in jobs.store.jobs.attempts(job.id)]


class Recorder(Hook):
    """Keeps what it hears under its name."""

    def __init__(self, name: str, heard: list[str]) -> None:
        self.name, self.heard = name, heard

    def before(self, attempt: Attempt) -> None:
        self.heard.append(f"{self.name} before")

    def on_error(self, attempt: Attempt, error: BaseException) -> None:
        self.heard.append(f"{self.name} error {type(error).__name__}")

    def after(self, attempt: Attempt) -> None:
        self.heard.append(f"{self.name} after {attempt.outcome}")


class AsyncRecorder(Recorder):
    """The same on the loop."""

    async def before(self, attempt: Attempt) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        super().before(attempt)

    async def after(self, attempt: Attempt) -> None:  # type: ignore[override]
        assert threading.current_thread().name == "backburner-loop"
        super().after(attempt)


@pytest.mark.parametrize("kind", [Recorder, AsyncRecorder])
@pytest.mark.parametrize("is_async", [False, True])
def test_hooks_of_app_queue_and_task_run_inside_each_other(
    jobs: Backburner, kind: type[Recorder], is_async: bool
) -> None:
    heard: list[str] = []
    jobs.hooks.add(kind("app", heard))
    jobs.hooks.add(kind("queue", heard), queue="mails")
    jobs.hooks.add(kind("other queue", heard), queue="reports")

    def plain() -> None:
        heard.append("body")

    async def coroutine() -> None:
        heard.append("body")

    task = jobs.task(queue="mails", hooks=[kind("task", heard)])(coroutine if is_async else plain)
    (job,) = run(jobs, task.enqueue())
    assert job.state is JobState.SUCCEEDED
    assert heard == [
        "app before", "queue before", "task before", "body",
        "task after succeeded", "queue after succeeded", "app after succeeded",
    ]  # fmt: skip


class Elsewhere(Hook):
    """Has something done in a thread, as clients of files and databases do."""

    async def before(self, attempt: Attempt) -> None:
        await asyncio.to_thread(lambda: None)

    async def after(self, attempt: Attempt) -> None:
        await asyncio.to_thread(lambda: None)


def test_more_async_hooks_at_once_than_the_loop_has_threads(jobs: Backburner) -> None:
    """Each waits for a thread of the loop: whoever waits for the hook must not take those."""
    many = 40

    @jobs.task(hooks=[Elsewhere()])
    async def work() -> None: ...

    ids = jobs.enqueue_many(work, [()] * many)
    with Worker(jobs, WorkerOptions(concurrency=many, poll=0.05, grace=0.1)):
        assert all(jobs.wait(job_id, 30) for job_id in ids)


def test_a_hook_given_twice_runs_once(jobs: Backburner) -> None:
    heard: list[str] = []
    hook = jobs.hooks.add(Recorder("app", heard))
    task = jobs.task(hooks=[hook])(lambda_free)
    run(jobs, task.enqueue())
    assert heard == ["app before", "app after succeeded"]


def lambda_free() -> None: ...


def test_what_is_no_hook_is_refused(jobs: Backburner) -> None:
    with pytest.raises(InvalidOption, match="is no Hook"):
        jobs.hooks.add(Recorder)  # type: ignore[type-var]
    with pytest.raises(InvalidOption, match="is no Hook"):
        jobs.task(hooks=[print])(lambda_free)  # type: ignore[list-item]


def test_an_attempt_tells_what_is_known_of_it(jobs: Backburner) -> None:
    seen: list[Attempt] = []

    class Watcher(Hook):
        def before(self, attempt: Attempt) -> None:
            attempt.notes["mine"] = (attempt.outcome, attempt.ended_at)

        def after(self, attempt: Attempt) -> None:
            seen.append(attempt)

    @jobs.task(title="Pay {amount}", hooks=[Watcher()])
    def pay(amount: int, token: str) -> None: ...

    (job,) = run(jobs, pay.enqueue(7, token="canary"))
    (attempt,) = seen
    assert (attempt.id, attempt.attempt, attempt.task, attempt.title) == (job.id, 1, pay.name, "Pay 7")
    assert attempt.argument_names == ("amount", "token")
    assert attempt.notes == {"mine": (None, None)}
    assert attempt.ended_at is not None
    assert attempt.ended_at >= attempt.started_at
    assert attempt.memory_before
    assert attempt.memory_after
    assert "canary" not in repr(attempt)


def test_an_attempt_tells_what_was_captured(jobs: Backburner) -> None:
    seen: list[Any] = []

    class Watcher(Hook):
        def before(self, attempt: Attempt) -> None:
            seen.append(attempt.captured)

    jobs.hooks.add(Watcher())
    task = jobs.task(lambda_free)
    first = task.enqueue()
    jobs.capture("tenant", lambda: "acme")
    run(jobs, first, task.enqueue())
    assert sorted(seen, key=len) == [{}, {"tenant": "acme"}]


def test_an_end_in_a_transaction_of_its_own_is_a_success_for_hooks(jobs: Backburner) -> None:
    heard: list[str] = []

    @jobs.task(hooks=[Recorder("task", heard)])
    def pay() -> None:
        job = current_job()
        with job.transaction():
            job.finish("paid")

    run(jobs, pay.enqueue())
    assert heard == ["task before", "task after succeeded"]


@pytest.mark.parametrize("is_async", [False, True])
def test_context_variables_of_a_hook_reach_the_body_and_no_other_job(jobs: Backburner, is_async: bool) -> None:
    class SetsUser(Hook):
        def before(self, attempt: Attempt) -> None:
            user.set("ada")

    def plain() -> str:
        return user.get()

    async def coroutine() -> str:
        return user.get()

    function: Callable[[], Any] = coroutine if is_async else plain
    with_hook = jobs.task(name="with", hooks=[SetsUser()])(function)
    without = jobs.task(name="without")(function)
    made = [with_hook.enqueue(), *(without.enqueue() for _ in range(5))]
    with Worker(jobs, WorkerOptions(concurrency=1, poll=0.05)):
        assert all(job.wait(30) for job in made)
    assert [job.result() for job in made] == ["ada", *["nobody"] * 5]


def test_a_failing_before_fails_the_job_by_its_rules_and_its_body_does_not_run(jobs: Backburner) -> None:
    heard: list[str] = []

    class Refuses(Hook):
        def before(self, attempt: Attempt) -> None:
            raise ValueError("no licence")

    jobs.hooks.add(Recorder("outer", heard))
    jobs.hooks.add(Refuses())
    jobs.hooks.add(Recorder("inner", heard))

    @jobs.task(retry=RetryPolicy.fixed(0.01, max_attempts=2))
    def body() -> None:
        heard.append("body")

    (job,) = run(jobs, body.enqueue())
    assert job.state is JobState.FAILED
    assert [record.error for record in attempts(jobs, job)] == ["no licence"] * 2
    # What had not begun hears of no end.
    assert heard == [
        "outer before", "outer error ValueError", "outer after retrying",
        "outer before", "outer error ValueError", "outer after failed",
    ]  # fmt: skip


@pytest.mark.parametrize("how", [ValueError("broken"), SystemExit(3), PermanentError("no")])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_failing_after_changes_nothing_and_is_seen(jobs: Backburner, how: BaseException, is_async: bool) -> None:
    class Fails(Hook):
        def after(self, attempt: Attempt) -> None:
            raise how

    class AlsoFails(Hook):
        async def after(self, attempt: Attempt) -> None:
            raise how

    ran: list[int] = []

    @jobs.task(hooks=[AlsoFails() if is_async else Fails()])
    def pay() -> str:
        ran.append(1)
        return "paid"

    (job,) = run(jobs, pay.enqueue())
    assert job.state is JobState.SUCCEEDED
    assert job.result() == "paid"
    assert ran == [1]
    (record,) = attempts(jobs, job)
    assert (record.outcome, record.error_type, record.error) == ("succeeded", type(how).__name__, str(how))
    assert record.traceback is not None
    assert "in after" in record.traceback


def test_an_after_that_never_returns_does_not_undo_a_success(jobs: Backburner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STOP_GRACE", 0.2)
    end = threading.Event()

    class Hangs(Hook):
        def after(self, attempt: Attempt) -> None:
            end.wait(30)

    @jobs.task(timeout=0.2, hooks=[Hangs()])
    def pay() -> None: ...

    try:
        (job,) = run(jobs, pay.enqueue(), grace=0.1)
    finally:
        end.set()
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)


class Replaces(Hook):
    def __init__(self, make: Callable[[BaseException], BaseException], raises: bool) -> None:
        self.make, self.raises = make, raises

    def on_error(self, attempt: Attempt, error: BaseException) -> BaseException | None:
        made = self.make(error)
        if self.raises:
            raise made
        return made


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize(
    ("made", "state"),
    [
        (PermanentError("for a person"), JobState.FAILED),
        (Skip("not needed"), JobState.SKIPPED),
        (Wait(3600), JobState.SCHEDULED),
        (Retry(after=3600), JobState.RETRYING),
    ],
)
def test_an_error_hook_says_how_the_attempt_ends(
    jobs: Backburner, made: BaseException, state: JobState, raises: bool
) -> None:
    @jobs.task(hooks=[Replaces(lambda _: made, raises)])
    def body() -> None:
        raise KeyError("x")

    job = body.enqueue()
    with Worker(jobs, WorkerOptions(poll=0.05)):
        wait_until(lambda: job.refresh().state is state, f"it is {state}")


def test_an_error_hook_that_fails_leaves_the_error_as_it_was(jobs: Backburner) -> None:
    @jobs.task(max_attempts=1, hooks=[Replaces(lambda _: ZeroDivisionError(), raises=True)])
    def body() -> None:
        raise KeyError("the cause")

    (job,) = run(jobs, body.enqueue())
    assert attempts(jobs, job)[0].error_type == "KeyError"


def test_stop_worker_from_an_error_hook_ends_by_the_cause_and_stops(jobs: Backburner) -> None:
    @jobs.task(hooks=[Replaces(lambda error: StopWorker("broken machine", cause=error), raises=True)])
    def body() -> None:
        raise KeyError("x")

    job = body.enqueue()
    worker = Worker(jobs, WorkerOptions(poll=0.05)).start()
    try:
        assert worker.wait(30)
    finally:
        worker.stop()
    found = job.refresh()
    assert found.state is JobState.RETRYING
    assert "KeyError" in (found.error or "")


def test_error_hooks_do_not_hear_of_what_is_no_error(jobs: Backburner) -> None:
    heard: list[str] = []
    jobs.hooks.add(Recorder("app", heard))

    @jobs.task
    def skips() -> None:
        raise Skip("not needed")

    run(jobs, skips.enqueue())
    assert heard == ["app before", "app after skipped"]


def test_a_result_that_cannot_be_stored_is_an_error_for_hooks(jobs: Backburner) -> None:
    heard: list[str] = []

    @jobs.task(hooks=[Recorder("task", heard)])
    def body() -> object:
        return object()

    (job,) = run(jobs, body.enqueue())
    assert job.state is JobState.FAILED
    assert heard == ["task before", "task error NotSerializable", "task after failed"]


def test_each_process_starts_and_ends_once(jobs: Backburner) -> None:
    heard: list[str] = []

    class Pool(Hook):
        async def on_start(self, process: JobProcess) -> None:
            heard.append(f"start {process.pid == os.getpid()} {process.isolated}")

        def on_end(self, process: JobProcess) -> None:
            heard.append("end")

    hook = jobs.hooks.add(Pool())
    task = jobs.task(hooks=[hook])(lambda_free)
    run(jobs, task.enqueue(), task.enqueue())
    assert heard == ["start True False", "end"]


def test_a_failing_start_keeps_the_worker_from_starting(jobs: Backburner) -> None:
    heard: list[str] = []

    class Fine(Hook):
        def on_end(self, process: JobProcess) -> None:
            heard.append("ended")

    class Fails(Hook):
        def on_start(self, process: JobProcess) -> None:
            raise ConnectionError("no cache")

    jobs.hooks.add(Fine())
    jobs.hooks.add(Fails())
    with pytest.raises(ConnectionError, match="no cache"):
        Worker(jobs).start()
    assert heard == ["ended"]
    assert jobs.store.workers.live() == []


@pytest.mark.parametrize("task", ["alone", "once"])
def test_a_hook_that_keeps_an_isolated_process_from_starting_is_not_the_jobs_fault(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    """Nothing of the job has begun: it is tried again, and what must not run twice is not interrupted."""
    diary = tmp_path / "diary"
    monkeypatch.setenv("HOOKS_TEST_URL", sqlite_url)
    monkeypatch.setenv("HOOKS_TEST_DIARY", str(diary))
    monkeypatch.setenv("HOOKS_TEST_FAILS", "1")
    jobs = hooking.build(sqlite_url, diary)
    try:
        with Worker(jobs):
            made = [jobs.registry.require(task).enqueue() for _ in range(3)]
            wait_until(lambda: all(job.refresh().losses for job in made), "all could not be started")
        for job in made:
            found = job.refresh()
            assert (found.state, found.crashes, found.losses) == (JobState.SCHEDULED, 0, 1)
            assert found.reason == "It could not be started."
    finally:
        jobs.close()


def test_an_isolated_process_has_its_hooks_and_its_worker_none(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diary = tmp_path / "diary"
    monkeypatch.setenv("HOOKS_TEST_URL", sqlite_url)
    monkeypatch.setenv("HOOKS_TEST_DIARY", str(diary))
    jobs = hooking.build(sqlite_url, diary)
    try:
        with Worker(jobs):
            job = jobs.registry.require("alone").enqueue()
            assert job.wait(30)
        assert job.refresh().result() != os.getpid()
        assert hooking.lines(diary) == [
            "start worker True", "start isolated True", "before alone", "after alone succeeded",
            "end isolated", "end worker",
        ]  # fmt: skip
    finally:
        jobs.close()


def test_reports_of_a_hook_belong_to_its_job(jobs: Backburner) -> None:
    class Says(Hook):
        def before(self, attempt: Attempt) -> None:
            current_job().message("checked")

        def after(self, attempt: Attempt) -> None:
            current_job().message("sent")

    task = jobs.task(hooks=[Says()])(lambda_free)
    (job,) = run(jobs, task.enqueue())
    assert [message.text for message in jobs.control.show(job.id).messages] == ["checked", "sent"]
