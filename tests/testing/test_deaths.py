"""A worker that is gone at a named point: the job is taken up again, as after a real death."""

from typing import Any

import pytest
from sqlalchemy import text

from backburner import Backburner, JobState, current_job, track
from backburner.errors import InvalidOption, UnknownTask
from backburner.testing import JobsTesting


def importing(jobs: Backburner) -> tuple[Any, list[int]]:
    """A task that goes on from its checkpoint, and the batches it did."""
    did: list[int] = []

    @jobs.task(name="import")
    def import_rows() -> str:
        job = current_job()
        for batch in range(job.last_checkpoint or 0, 4):
            did.append(batch)
            job.checkpoint(batch + 1)
            job.progress(25 * (batch + 1))
        return "imported"

    return import_rows, did


@pytest.mark.parametrize(
    ("at", "number", "batches"),
    [
        ("before body", 1, [0, 1, 2, 3]),
        ("checkpoint", 2, [0, 1, 2, 3]),
        ("before checkpoint", 2, [0, 1, 1, 2, 3]),
        ("progress", 3, [0, 1, 2, 3]),
        ("after body", 1, [0, 1, 2, 3]),
    ],
)
@pytest.mark.parametrize("death", ["crash", "interrupt"])
def test_it_goes_on_from_its_checkpoint(
    jobs: Backburner, jobs_testing: Any, at: str, number: int, batches: list[int], death: str
) -> None:
    task, did = importing(jobs)
    testing = jobs_testing(jobs)
    getattr(testing, death)(task, at=at, number=number)
    job = task.enqueue()
    results = testing.drain()
    assert [(one.attempt, one.died, one.state) for one in results] == [
        (1, death, JobState.QUEUED),
        (2, None, JobState.SUCCEEDED),
    ]
    assert did == batches
    after = job.refresh()
    assert (after.result(), after.attempt, after.tries) == ("imported", 2, 0)
    assert (after.crashes, after.losses) == ((1, 0) if death == "crash" else (0, 0))
    outcomes = [record.outcome for _, record in jobs.control.show(job.id).attempts]
    assert outcomes[0] == ("crashed" if death == "crash" else "interrupted")


@pytest.mark.parametrize("number", [1, 3, 4])
def test_a_loop_that_resumes(jobs: Backburner, jobs_testing: Any, number: int) -> None:
    did: list[int] = []

    @jobs.task
    def mail() -> None:
        nonlocal did
        for item in track(range(4), resume=True):
            did += [item]

    testing = jobs_testing(jobs)
    testing.crash(mail, at="item", number=number)
    mail.enqueue()
    assert [one.died for one in testing.drain(raises=True)] == ["crash", None]
    assert did == [0, 1, 2, 3]


def test_a_loop_that_does_not_resume_begins_again(jobs: Backburner, jobs_testing: Any) -> None:
    did: list[int] = []

    @jobs.task
    def mail() -> None:
        nonlocal did
        for item in track(iter(range(3))):
            did += [item]

    testing = jobs_testing(jobs)
    testing.interrupt(mail, at="item", number=2)
    mail.enqueue()
    testing.drain(raises=True)
    assert did == [0, 1, 0, 1, 2]


def test_an_async_job_dies_as_well(jobs: Backburner, jobs_testing: Any) -> None:
    @jobs.task
    async def work() -> int:
        current_job().progress(50)
        return current_job().attempt

    testing = jobs_testing(jobs)
    testing.crash(work, at="progress")
    job = work.enqueue()
    assert [one.died for one in testing.drain()] == ["crash", None]
    assert job.result() == 2


def test_what_must_not_run_twice_does_not(jobs: Backburner, jobs_testing: Any) -> None:
    paid = []

    @jobs.task(repeatable=False)
    def pay() -> None:
        paid.append(1)

    testing = jobs_testing(jobs)
    testing.crash(pay, at="after body")
    job = pay.enqueue()
    assert [one.state for one in testing.drain()] == [JobState.INTERRUPTED]
    assert (job.refresh().state, paid) == (JobState.INTERRUPTED, [1])


def test_a_job_that_crashes_again_and_again_fails(jobs: Backburner, jobs_testing: Any) -> None:
    task, _ = importing(jobs)
    testing = jobs_testing(jobs)
    for number in (1, 2, 3):
        testing.crash(task, at="before body", number=number)
    job = task.enqueue()
    assert [one.state for one in testing.drain()] == [JobState.QUEUED, JobState.QUEUED, JobState.FAILED]
    assert job.refresh().crashes == 3


def test_except_exception_does_not_catch_it(jobs: Backburner, jobs_testing: Any) -> None:
    caught = []

    @jobs.task
    def careful() -> None:
        try:
            current_job().progress(50)
        except Exception as error:
            caught.append(error)

    testing = jobs_testing(jobs)
    testing.crash(careful, at="progress")
    careful.enqueue()
    assert [one.died for one in testing.drain()] == ["crash", None]
    assert caught == []


def test_writes_of_its_transaction_are_gone_with_it(jobs: Backburner, jobs_testing: Any) -> None:
    @jobs.task
    def import_row() -> None:
        job = current_job()
        with job.transaction() as connection:
            connection.execute(text("INSERT INTO rows VALUES (:attempt)"), {"attempt": job.attempt})
            job.checkpoint(1)

    testing = jobs_testing(jobs)
    jobs.store.run(lambda connection: connection.execute(text("CREATE TABLE rows (number INTEGER)")))
    testing.crash(import_row, at="checkpoint")
    import_row.enqueue()
    testing.drain(raises=True)
    rows = jobs.store.read(lambda connection: connection.execute(text("SELECT number FROM rows")).scalars().all())
    assert rows == [2]


def test_inline_the_job_that_enqueued_it_lives_on(jobs: Backburner, jobs_testing: Any) -> None:
    task, _ = importing(jobs)

    @jobs.task(name="outer")
    def outer() -> str:
        task.enqueue()
        return "still here"

    testing = jobs_testing(jobs, inline=True)
    testing.crash(task, at="checkpoint")
    assert outer.enqueue().result() == "still here"
    assert [(one.task, one.died) for one in testing.results] == [
        ("import", "crash"),
        ("import", None),
        ("outer", None),
    ]


def test_a_plan_that_never_happens_fails_the_test(jobs: Backburner, tmp_path: Any) -> None:
    task, _ = importing(jobs)
    testing = JobsTesting(jobs, tmp_path).__enter__()
    testing.crash(task, at="checkpoint", number=5)
    task.enqueue()
    testing.drain()
    with pytest.raises(AssertionError, match="came by 'checkpoint' 4 times, the plan says 5"):
        testing.__exit__(None, None, None)


def test_a_plan_for_nothing_is_refused(jobs: Backburner, jobs_testing: Any) -> None:
    task, _ = importing(jobs)
    testing = jobs_testing(jobs)
    with pytest.raises(UnknownTask):
        testing.crash("imports")
    with pytest.raises(InvalidOption, match="at"):
        testing.crash(task, at="lunch")
    with pytest.raises(InvalidOption, match="number"):
        testing.crash(task, number=0)
