"""Running a schedule by hand: an answer, whatever becomes of the job meanwhile."""

from typing import Any

import pytest

from backburner import Backburner, JobState
from backburner.errors import DuplicateJob


def test_a_job_that_is_gone_already_is_the_answer_all_the_same(
    jobs: Backburner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that is kept for no time: a worker takes, ends and deletes it between the two looks of `run`."""

    @jobs.task
    def task(n: int) -> None: ...

    jobs.schedules.add(task, name="hourly", every=3600, args=(7,))
    door = jobs.store.schedules
    fire_now = door.fire_now

    def fired_and_gone(*given: Any) -> Any:
        row, made = fire_now(*given)
        jobs.delete(made)
        return row, made

    monkeypatch.setattr(door, "fire_now", fired_and_gone)
    job = jobs.schedules.run("hourly")
    assert (job.task, job.args, job.state, job.queue) == (task.name, '{"n":7}', JobState.QUEUED, "default")
    assert jobs.find() == []
    assert [fire.job for fire in jobs.schedules.fires("hourly")] == [job.id]


def test_one_whose_key_a_job_has_that_was_cleaned_away(jobs: Backburner) -> None:
    @jobs.task
    def task() -> None: ...

    jobs.schedules.add(task.options(unique=3600), name="hourly", every=3600)
    first = jobs.schedules.run("hourly")
    assert jobs.schedules.run("hourly").id == first.id
    jobs.cancel(first)
    later = jobs.store.clock.now()
    jobs.store.clock.now = lambda: later  # type: ignore[method-assign]
    assert jobs.store.upkeep.prune(JobState.CANCELLED, -1) == 1
    with pytest.raises(DuplicateJob) as caught:
        jobs.schedules.run("hourly")
    assert caught.value.job_id == first.id
