"""How attempts end: of themselves, by what they raise, and with the process they ran in."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backburner import (
    Backburner,
    Job,
    JobState,
    PermanentError,
    RetryPolicy,
    Skip,
    StopWorker,
    Wait,
    current_job,
)  # fmt: skip
from backburner.hooks import Attempt, Hook
from backburner.notice import Notice
from tests.parity.conftest import Run, StartWorker
from tests.parity.programs import Program
from tests.parity.running import done, in_state
from tests.waiting import wait_until

AT_ONCE = RetryPolicy.fixed(0.01, max_attempts=3)

DEADLY = """
import os
import signal
from pathlib import Path

from backburner import Backburner, RetryPolicy

jobs = Backburner(os.environ["APP_URL"], max_crashes=2)


@jobs.task(name="dies")
def dies(how: str) -> None:
    if how == "exit":
        os._exit(3)
    os.kill(os.getpid(), signal.SIGKILL)


@jobs.task(name="dies_once")
def dies_once(place: str) -> str:
    if not Path(place).exists():
        Path(place).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "second"


@jobs.task(name="not_twice", repeatable=False)
def not_twice() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
"""


@contextmanager
def worker_of(jobs: Backburner, folder: Path) -> Iterator[Backburner]:
    """A real worker, as a supervisor with a process of its own, of an app that kills itself."""
    jobs.store.ready()
    program = Program(folder, jobs.settings.url)
    program.write(DEADLY)
    with program.started("worker", "--concurrency", "2"):
        yield jobs


def ended(job: Job, seconds: float = 60.0) -> Job:
    assert job.wait(seconds), f"{job.task} is still {job.refresh().state}"
    return job.refresh()


def test_out_01_any_exception_is_tried_again_with_growing_pauses(jobs: Backburner, start_worker: StartWorker) -> None:
    pauses = [RetryPolicy(jitter=0).decide(tries, OSError(), lambda: 0.5) for tries in range(1, 8)]
    assert pauses == [60, 120, 240, 480, 960, 960, 960]

    @jobs.task(retry=AT_ONCE)
    def fails() -> None:
        raise ConnectionError("reset")

    job = fails.enqueue()
    start_worker()
    found = done(job)
    assert (found.state, found.tries) == (JobState.FAILED, 3)


def test_out_02_a_permanent_failure_is_kept_for_a_person(jobs: Backburner, start_worker: StartWorker) -> None:
    @jobs.task(retry=RetryPolicy(base=0.01, permanent=(KeyError,)))
    def fails(how: str) -> None:
        raise PermanentError("There is no such account.") if how == "says so" else KeyError("listed")

    made = [fails.enqueue(how) for how in ("says so", "is listed")]
    start_worker()
    found = [done(job) for job in made]
    assert [(job.state, job.tries) for job in found] == [(JobState.FAILED, 1)] * 2
    assert found[0].reason == "There is no such account."


def test_out_03_waiting_uses_up_no_try(jobs: Backburner, start_worker: StartWorker) -> None:
    @jobs.task(max_attempts=1)
    def waits() -> int:
        job = current_job()
        assert job is not None
        if job.attempt == 1:
            raise Wait(0.05, "the bank is closed")
        if job.attempt == 2:
            raise Wait(until=datetime.now(UTC) + timedelta(seconds=0.05))
        return job.attempt

    job = waits.enqueue()
    start_worker()
    found = done(job)
    assert (found.result(), found.tries) == (3, 0)


def test_out_04_stop_worker_ends_it_before_its_next_job(jobs_everywhere: Backburner, start_worker: StartWorker) -> None:
    @jobs_everywhere.task(max_attempts=2)
    def stops(how: str) -> None:
        raise StopWorker("disk full", cause=Wait(3600, "later") if how == "with a cause" else None)

    @jobs_everywhere.task
    def works() -> None: ...

    for how, state in (("with a cause", JobState.SCHEDULED), ("without", JobState.FAILED)):
        job, after = stops.options(priority=1).enqueue(how), works.options(delay=0.3).enqueue()
        worker = start_worker(concurrency=1)
        assert worker.wait(30), "the worker ends by itself"
        worker.stop(2.0)
        assert in_state(job, state).reason == ("later" if state is JobState.SCHEDULED else "disk full")
        assert not after.refresh().done
        after.cancel()


def test_out_04_an_error_hook_ends_the_worker_too(jobs_everywhere: Backburner, start_worker: StartWorker) -> None:
    class Full(Hook):
        def on_error(self, attempt: Attempt, error: BaseException) -> None:
            if isinstance(error, MemoryError):
                raise StopWorker("memory is full", cause=None if attempt.argument_names else error)

    @jobs_everywhere.task(retry=RetryPolicy.fixed(3600), hooks=[Full()])
    def grows(how: str = "") -> None:
        raise MemoryError("no more pages")

    @jobs_everywhere.task
    def works() -> None: ...

    with_a_cause, without = grows.options(priority=1), grows.options(priority=1)
    for job, state in ((with_a_cause.enqueue(), JobState.RETRYING), (without.enqueue("said"), JobState.FAILED)):
        after = works.options(delay=0.3).enqueue()
        worker = start_worker(concurrency=1)
        assert worker.wait(30), "the worker ends by itself"
        worker.stop(2.0)
        assert in_state(job, state).tries == 1
        assert not after.refresh().done
        after.cancel()


def test_out_05_skip_is_done_with_a_note(jobs: Backburner, start_worker: StartWorker) -> None:
    @jobs.task
    def skips() -> None:
        raise Skip("It is paid already.")

    job = skips.enqueue()
    start_worker()
    found = done(job)
    assert (found.state, found.reason, found.tries) == (JobState.SKIPPED, "It is paid already.", 0)


def test_out_06_somebody_is_told_once_when_tries_reach_the_number(jobs: Backburner, start_worker: StartWorker) -> None:
    told: list[Notice] = []
    jobs.notifier(told.append, "list")

    @jobs.task(retry=AT_ONCE, notify_after=2)
    def fails() -> None:
        raise OSError("no")

    job = fails.enqueue()
    start_worker()
    assert done(job).tries == 3
    wait_until(lambda: told, "the notifier is called")
    job.retry()
    wait_until(lambda: job.refresh().done and job.refresh().attempt == 6, "it has failed three times more")
    assert [(notice.job, notice.tries) for notice in told] == [(job.id, 2)]
    assert len(jobs.find(task="backburner.notify.list")) == 1


def test_out_07_interrupted_is_not_failed(jobs_everywhere: Backburner, tmp_path: Path) -> None:
    with worker_of(jobs_everywhere, tmp_path) as jobs:
        sender = Backburner(jobs.settings.url)
        again = sender.task(name="dies_once")(lambda place: None).enqueue(str(tmp_path / "began"))
        never = sender.task(name="not_twice", repeatable=False)(lambda: None).enqueue()
        found, second = ended(never), ended(again)
        sender.close()
    assert (found.state, found.tries) == (JobState.INTERRUPTED, 0)
    assert (second.state, second.result_text, second.tries) == (JobState.SUCCEEDED, '"second"', 0)
    outcomes = [record.outcome for _, record in jobs_everywhere.control.show(again.id).attempts]
    # Its process died in it, or around it: neither is a failure of the task.
    assert set(outcomes) <= {"crashed", "lost", "succeeded"}
    assert set(outcomes) & {"crashed", "lost"}


def test_out_08_every_way_to_fail_is_a_failure(jobs_everywhere: Backburner, tmp_path: Path) -> None:
    with worker_of(jobs_everywhere, tmp_path) as jobs:
        sender = Backburner(jobs.settings.url)
        dies = sender.task(name="dies")(lambda how: None)
        found = [ended(dies.enqueue(how)) for how in ("exit", "kill")]
        sender.close()
    for job in found:
        assert (job.state, job.crashes, job.tries) == (JobState.FAILED, 2, 0)
        assert (job.reason or "").startswith("It ended its process 2 times")


def test_out_09_a_late_writer_revives_nothing(jobs_everywhere: Backburner, start_worker: StartWorker) -> None:
    go, over = threading.Event(), threading.Event()

    @jobs_everywhere.task(timeout=0.1, max_attempts=1)
    def deaf() -> str:
        job = current_job()
        assert job is not None
        go.wait(30)
        try:
            job.progress(50, "I am late")
        finally:
            over.set()
        return "late"

    job = deaf.enqueue()
    start_worker()
    found = done(job)
    assert found.state is JobState.FAILED
    go.set()
    assert over.wait(30)
    # Whatever ran in between has been written when the next job is done.
    after = jobs_everywhere.task(name="after")(lambda: None).enqueue()
    done(after)
    assert (job.refresh().state, job.refresh().result_text) == (JobState.FAILED, None)
    assert job.refresh().progress is None


def test_out_10_all_attempts_are_kept_with_public_and_private_text(jobs: Backburner, start_worker: StartWorker) -> None:
    class BankClosed(Exception):
        public_text = "The bank is closed."

    @jobs.task(retry=AT_ONCE)
    def pay() -> None:
        raise BankClosed("HTTP 503 from 10.0.0.7")

    job = pay.enqueue()
    start_worker()
    found = done(job)
    assert found.reason == "The bank is closed."
    assert "10.0.0.7" in (found.error or "")
    attempts = jobs.control.show(job.id).attempts
    assert [number for number, _ in attempts] == [1, 2, 3]
    assert all("raise BankClosed" in (record.traceback or "") for _, record in attempts)
    assert all(record.reason == "The bank is closed." for _, record in attempts)


def test_out_11_messages_results_and_levels(jobs: Backburner, start_worker: StartWorker) -> None:
    @jobs.task
    def imports() -> dict[str, int]:
        job = current_job()
        assert job is not None
        job.message("Row 7 has no price.", "warning")
        job.message("Imported.", "success")
        return {"rows": 12}

    job = imports.enqueue()
    start_worker()
    assert done(job).result() == {"rows": 12}
    said = [(message.level, message.text) for message in jobs.control.show(job.id).messages]
    assert said == [("warning", "Row 7 has no price."), ("success", "Imported.")]


def test_out_13_process_memory_and_time_of_an_attempt(jobs: Backburner, start_worker: StartWorker) -> None:
    @jobs.task(max_attempts=1)
    def fails() -> None:
        raise OSError("no")

    job = fails.enqueue()
    start_worker()
    done(job)
    ((_, record),) = jobs.control.show(job.id).attempts
    assert record.pid == os.getpid()
    assert record.host
    assert (record.memory_after or 0) > 1_000_000
    assert (record.memory_peak or 0) > 1_000_000
    assert record.finished_at >= record.started_at


def test_out_14_old_ends_go_and_what_is_unfinished_stays(jobs: Backburner, start_worker: StartWorker) -> None:
    @jobs.task(keep=0)
    def gone() -> None: ...

    @jobs.task
    def stays() -> None: ...

    made, kept, waiting = gone.enqueue(), stays.enqueue(), stays.options(delay=3600).enqueue()
    start_worker()
    done(kept)
    wait_until(lambda: made.id not in {job.id for job in jobs.find()}, "what is kept for no time is gone")
    assert jobs.settings.keep_succeeded == 30 * 86_400
    assert jobs.settings.keep_failed == 60 * 86_400
    upkeep = jobs.store.upkeep
    assert upkeep.prunable(JobState.SUCCEEDED, jobs.settings.keep_succeeded, 10) == 0
    assert upkeep.prunable(JobState.SUCCEEDED, 0, 10) == 1
    assert upkeep.prune(JobState.SUCCEEDED, 0) == 1
    assert [job.id for job in jobs.find()] == [waiting.id]


def test_out_14_cleaning_by_hand_leaves_what_is_unfinished_or_kept_for_longer(
    jobs: Backburner, start_worker: StartWorker, run: Run
) -> None:
    @jobs.task
    def works() -> None: ...

    @jobs.task(keep=3600)
    def keeps() -> None: ...

    @jobs.task(max_attempts=1)
    def fails() -> None:
        raise ValueError

    made = [works.enqueue(), keeps.enqueue(), fails.enqueue()]
    start_worker()
    for job in made:
        done(job)
    waiting = works.options(delay=3600).enqueue()

    def left() -> set[str]:
        return {job.id for job in jobs.find()}

    everything = {waiting.id, *(job.id for job in made)}
    assert "There is nothing to delete." in run("clear", "--yes").output, "they are too young for the settings"
    assert "Nothing was deleted." in run("clear", "--older-than", "0", "--dry-run").output
    assert left() == everything
    assert "deleted 1 job\n" in run("clear", "--older-than", "0", "--state", "succeeded", "--yes").output
    assert left() == everything - {made[0].id}
    assert "deleted 1 job\n" in run("clear", "--older-than", "0", "--yes").output
    assert left() == {made[1].id, waiting.id}


def test_out_15_in_a_schema_and_under_names_of_ones_own(empty_postgresql_url: str, start_worker: StartWorker) -> None:
    """Beside the tables of the app, and beside those of another Backburner in the same database."""
    apps = [
        Backburner(empty_postgresql_url, auto_migrate=True, schema=schema, table_prefix=prefix)
        for schema, prefix in (("work", "jobs_"), ("work", "mails_"), (None, "jobs_"))
    ]
    made = []
    for number, app in enumerate(apps):
        task = app.task(name="which")(lambda number=number: number)
        made.append(task.options(group="g", unique="live").enqueue())
        with app.store.engine.connect() as connection, app.transaction(connection):
            assert task.options(group="g", unique="live").enqueue().id == made[-1].id
        start_worker(app)
    assert [done(job).result() for job in made] == [0, 1, 2]
    assert [len(app.find()) for app in apps] == [1, 1, 1]
    tables = [app.store.schema.qualified("jobs") for app in apps]
    assert tables == ['"work"."jobs_jobs"', '"work"."mails_jobs"', '"jobs_jobs"']
    for app in apps:
        app.close()


def test_out_15_tables_are_made_or_their_sql_is_printed(tmp_path: Path, empty_postgresql_url: str) -> None:
    sqlite = Backburner(f"sqlite:///{tmp_path / 'jobs.db'}", table_prefix="shop_")
    sqlite.task(name="t")(lambda: None).enqueue()
    assert "shop_jobs" in sqlite.store.schema.qualified("jobs")
    allowed = Backburner(empty_postgresql_url, auto_migrate=True, table_prefix="shop_")
    asked = allowed.store.migration_sql()
    assert "CREATE TABLE shop_jobs" in asked
    assert allowed.task(name="t")(lambda: None).enqueue().id
    assert len(allowed.find()) == 1
    for app in (sqlite, allowed):
        app.close()
