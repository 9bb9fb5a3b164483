"""Delete: a job that is not running goes with all that is kept of it, and nothing of another job does."""

import pytest
from sqlalchemy import func, select

from backburner.attachment import Attachment
from backburner.errors import WrongState
from backburner.progress import FailedItem, LogLine, Message, Progress, ProgressWrite
from backburner.states import JobState
from backburner.store.store import Store
from tests.store.scene import Scene, end


def full_job(scene: Scene) -> str:
    """A finished job with a row in every table."""
    worker, now = scene.worker(), scene.clock.now()
    job = scene.running(worker)
    last = ProgressWrite(
        job.id,
        1,
        Progress(done=1),
        "c",
        (LogLine(0, "hi", now),),
        (Message("info", "m", now, 1),),
        (FailedItem("k", "e", now),),
    )
    scene.settle(worker, end(job, record=scene.record(), progress=last))
    scene.store.attachments.add(attachment(scene, job.id))
    return job.id


def attachment(scene: Scene, job: str) -> Attachment:
    return Attachment(scene.ids.new(), job, "výkaz.csv", "text/csv", 2**33, "a/b", scene.clock.now(), None)


def rows(store: Store, job: str) -> dict[str, int]:
    schema = store.schema
    children = [schema.progress, schema.log, schema.messages, schema.failed_items, schema.attempts]
    with store.engine.connect() as connection:
        return {
            table.name: connection.scalar(select(func.count()).where(table.c.job == job)) or 0 for table in children
        }


def test_a_deleted_job_takes_its_rows_along(scene: Scene) -> None:
    job, kept = full_job(scene), full_job(scene)
    assert set(rows(scene.store, job).values()) == {1}
    scene.store.jobs.delete(job)
    assert set(rows(scene.store, job).values()) == {0}
    assert set(rows(scene.store, kept).values()) == {1}
    assert scene.store.jobs.states([job, kept]) == {kept: "succeeded"}


def test_its_files_are_left_to_the_pruner(scene: Scene) -> None:
    job, kept = full_job(scene), full_job(scene)
    (file,) = scene.store.attachments.of_job(job)
    scene.store.jobs.delete(job)
    assert scene.store.attachments.get(file.id) is None
    assert scene.store.upkeep.expired_files() == [(file.id, "a/b")]
    scene.store.upkeep.forget_files([file.id])
    assert scene.store.upkeep.expired_files() == []
    assert len(scene.store.attachments.of_job(kept)) == 1


def test_waiting_jobs_can_be_deleted(scene: Scene) -> None:
    job_id = scene.one()
    scene.store.jobs.delete(job_id)
    assert scene.claim(scene.worker()) == []


def test_a_running_job_cannot_be_deleted(scene: Scene) -> None:
    worker = scene.worker()
    job = scene.running(worker)
    scene.store.progress.write([ProgressWrite(job.id, 1, Progress(done=1))])
    with pytest.raises(WrongState, match=f"{job.id} is running; delete needs a job that is not running"):
        scene.store.jobs.delete(job.id)
    assert scene.get(job.id).progress is not None
    assert scene.finish(worker, [job]) == {job.id}


def test_many_at_once_leave_the_running_ones(scene: Scene) -> None:
    """More than one batch of 500."""
    running = scene.running()
    ids = [*scene.insert(1100), running.id, scene.ids.new()]
    assert scene.store.run(lambda c: scene.store.jobs.delete_rows(c, ids)) == 1100
    assert scene.store.jobs.states(ids) == {running.id: JobState.RUNNING}


def test_files_of_a_job(scene: Scene) -> None:
    job = scene.ended()
    files = [attachment(scene, job) for _ in range(2)]
    for file in files:
        scene.store.attachments.add(file)
    assert scene.store.attachments.of_job(job) == files
    assert scene.store.attachments.get(files[0].id) == files[0]
    assert scene.store.attachments.get(scene.ids.new()) is None
