"""Progress: what a running job reports, and nobody else may report for it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from backburner.job import ClaimedJob
from backburner.link import Link
from backburner.progress import FailedItem, LogLine, Message, Progress, ProgressWrite
from backburner.states import JobState
from tests.store.scene import Scene, end


def everything(scene: Scene, job: str, attempt: int = 1) -> ProgressWrite:
    now = scene.clock.now()
    return ProgressWrite(
        job,
        attempt,
        Progress(done=3, total=5, began_at=now),
        "row 3",
        (LogLine(0, "hi\n", now),),
        (Message("info", "half way", now, 1),),
        (FailedItem("k", "bad", now),),
    )


def next_attempt(scene: Scene, worker: str, job: ClaimedJob) -> ClaimedJob:
    """Give the job back and claim it again."""
    scene.settle(worker, end(job, JobState.QUEUED))
    (again,) = scene.claim(worker)
    assert (again.id, again.attempt) == (job.id, job.attempt + 1)
    return again


def stored(scene: Scene, job: str) -> tuple[object, ...]:
    rows = scene.store.progress
    return (
        scene.get(job).progress,
        rows.checkpoint(job),
        rows.log(job),
        rows.messages(job),
        rows.failed_items(job),
    )


def test_everything_comes_back(scene: Scene) -> None:
    job = scene.running()
    now = scene.clock.move(2)
    told = Progress(
        done=2.5,
        total=1e12,
        unit="rows",
        stage="reading",
        message="dobrý 👋",
        failed=2,
        links=(Link("File", "/files/1"), Link("ž", "/2")),
        began_at=now - timedelta(seconds=1),
    )
    assert scene.store.progress.write([ProgressWrite(job.id, 1, told)]) == {job.id}
    assert scene.get(job.id).progress == replace(told, updated_at=now)


def test_a_job_without_a_report_has_no_progress(scene: Scene) -> None:
    assert scene.get(scene.running().id).progress is None


def test_only_the_present_attempt_may_report(scene: Scene) -> None:
    worker = scene.worker()
    first = scene.running(worker)
    second = next_attempt(scene, worker, first)
    before = stored(scene, first.id)
    assert scene.store.progress.write([everything(scene, first.id, 1)]) == set()
    assert scene.store.progress.write([everything(scene, first.id, 3)]) == set()
    assert stored(scene, first.id) == before == (None, None, [], [], [])
    assert scene.store.progress.write([everything(scene, first.id, second.attempt)]) == {first.id}
    assert len(scene.store.progress.messages(first.id)) == 1


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.SUCCEEDED, JobState.BLOCKED])
def test_only_a_running_job_may_report(scene: Scene, state: JobState) -> None:
    worker = scene.worker()
    job = scene.running(worker)
    scene.settle(worker, end(job, state))
    assert scene.store.progress.write([everything(scene, job.id)]) == set()
    assert stored(scene, job.id) == (None, None, [], [], [])


def test_the_lost_ones_of_a_batch_are_left_out(scene: Scene) -> None:
    worker = scene.worker()
    scene.insert(3)
    jobs = scene.claim(worker)
    scene.settle(scene.worker(), end(jobs[1], JobState.QUEUED))
    writes = [everything(scene, job.id) for job in jobs]
    assert scene.store.progress.write(writes) == {jobs[0].id, jobs[2].id}
    assert [len(scene.store.progress.log(job.id)) for job in jobs] == [1, 0, 1]


def test_nothing_to_report_is_no_trouble(scene: Scene) -> None:
    job = scene.running()
    assert scene.store.progress.write([]) == set()
    assert scene.store.progress.write([ProgressWrite(job.id, 1)]) == {job.id}
    assert scene.get(job.id).progress is None


def test_a_checkpoint_outlives_its_attempt_what_was_shown_does_not(scene: Scene) -> None:
    worker = scene.worker()
    job = scene.running(worker)
    scene.store.progress.write([everything(scene, job.id)])
    job = next_attempt(scene, worker, job)
    assert scene.store.progress.checkpoint(job.id) == "row 3"
    assert scene.get(job.id).progress is None
    scene.store.progress.write([ProgressWrite(job.id, 2, Progress(done=4))])
    shown = scene.get(job.id).progress
    assert shown is not None
    assert (shown.done, shown.total) == (4, None)
    assert scene.store.progress.checkpoint(job.id) == "row 3"


def test_a_checkpoint_alone_leaves_what_is_shown(scene: Scene) -> None:
    job = scene.running()
    told = Progress(done=3, total=5, unit="rows", stage="s", message="m", failed=1, links=(Link("a", "/b"),))
    scene.store.progress.write([ProgressWrite(job.id, 1, told)])
    scene.store.progress.write([ProgressWrite(job.id, 1, checkpoint="row 9")])
    assert scene.get(job.id).progress == replace(told, updated_at=scene.clock.now())
    assert scene.store.progress.checkpoint(job.id) == "row 9"


def test_a_checkpoint_alone_starts_a_new_attempt_at_nothing_done(scene: Scene) -> None:
    worker = scene.worker()
    job = scene.running(worker)
    scene.store.progress.write([ProgressWrite(job.id, 1, Progress(done=3, total=5))])
    job = next_attempt(scene, worker, job)
    scene.store.progress.write([ProgressWrite(job.id, 2, checkpoint="row 4")])
    shown = scene.get(job.id).progress
    assert shown is not None
    assert (shown.done, shown.total) == (0, None)


def test_progress_and_checkpoint_of_several_jobs_in_one_flush(scene: Scene) -> None:
    worker = scene.worker()
    scene.insert(3)
    jobs = [job.id for job in scene.claim(worker)]
    scene.store.progress.write([ProgressWrite(job, 1, Progress(done=7)) for job in jobs])
    scene.store.progress.write(
        [
            ProgressWrite(jobs[0], 1, checkpoint="a"),
            ProgressWrite(jobs[1], 1, Progress(done=8)),
            ProgressWrite(jobs[2], 1, Progress(done=9), checkpoint="c"),
        ]
    )
    found = [(p.done if (p := scene.get(job).progress) else None) for job in jobs]
    assert found == [7, 8, 9]
    assert [scene.store.progress.checkpoint(job) for job in jobs] == ["a", None, "c"]


def test_when_the_work_began_is_kept(scene: Scene) -> None:
    job = scene.running()
    began = scene.clock.now()
    scene.store.progress.write([ProgressWrite(job.id, 1, Progress(done=1, began_at=began))])
    scene.clock.move(5)
    scene.store.progress.write([ProgressWrite(job.id, 1, Progress(done=2))])
    shown = scene.get(job.id).progress
    assert shown is not None
    assert (shown.began_at, shown.updated_at, shown.done) == (began, scene.clock.now(), 2)


def lines(scene: Scene, *parts: tuple[int, str]) -> tuple[LogLine, ...]:
    return tuple(LogLine(start, text, scene.clock.now()) for start, text in parts)


def test_output_is_read_by_offset(scene: Scene) -> None:
    job, rows = scene.running().id, scene.store.progress
    assert (rows.log(job), rows.log_end(job)) == ([], 0)
    rows.write([ProgressWrite(job, 1, log=lines(scene, (0, "one\n"), (4, "two 👋\n")))])
    rows.write([ProgressWrite(job, 1, log=lines(scene, (10, "three\n")))])
    assert [line.text for line in rows.log(job)] == ["one\n", "two 👋\n", "three\n"]
    assert [line.start for line in rows.log(job, after=4)] == [4, 10]
    assert [line.start for line in rows.log(job, limit=1)] == [0]
    assert rows.log_end(job) == 16


def test_output_flushed_twice_is_there_once(scene: Scene) -> None:
    job, rows = scene.running().id, scene.store.progress
    for _ in range(2):
        rows.write([ProgressWrite(job, 1, log=lines(scene, (0, "one\n")))])
    assert rows.log(job) == list(lines(scene, (0, "one\n")))


def test_the_next_attempt_goes_on_where_the_output_ended(scene: Scene) -> None:
    worker, rows = scene.worker(), scene.store.progress
    job = scene.running(worker)
    rows.write([ProgressWrite(job.id, 1, log=lines(scene, (0, "one\n")))])
    job = next_attempt(scene, worker, job)
    rows.write([ProgressWrite(job.id, 2, log=lines(scene, (rows.log_end(job.id), "two\n")))])
    assert "".join(line.text for line in rows.log(job.id)) == "one\ntwo\n"


def test_output_keeps_its_tail(scene: Scene) -> None:
    job, rows = scene.running().id, scene.store.progress
    rows.write([ProgressWrite(job, 1, log=lines(scene, (0, "aa"), (2, "bb"), (4, "cc")))])
    rows.trim_log(job, below=4)
    assert ([line.text for line in rows.log(job)], rows.log_end(job)) == (["cc"], 6)


def test_messages_stay_in_order(scene: Scene) -> None:
    job, now = scene.running().id, scene.clock.now()
    told = [Message("info", f"no. {number} 👋", now, number) for number in range(30)]
    scene.store.progress.write([ProgressWrite(job, 1, messages=tuple(told[:20]))])
    scene.store.progress.write([ProgressWrite(job, 1, messages=tuple(told[20:]))])
    assert scene.store.progress.messages(job) == told


def test_a_flush_written_again_tells_no_message_twice(scene: Scene) -> None:
    job, now = scene.running().id, scene.clock.now()
    write = ProgressWrite(job, 1, messages=(Message("info", "half way", now, 1),))
    scene.store.progress.write([write])
    scene.store.progress.write([write])
    assert [message.text for message in scene.store.progress.messages(job)] == ["half way"]


def test_a_failed_item_is_there_once_with_its_last_error(scene: Scene) -> None:
    worker, rows, now = scene.worker(), scene.store.progress, scene.clock.now()
    job = scene.running(worker)
    rows.write([ProgressWrite(job.id, 1, failed_items=(FailedItem("b", "1", now), FailedItem("a", "1", now)))])
    job = next_attempt(scene, worker, job)
    rows.write([ProgressWrite(job.id, 2, failed_items=(FailedItem("b", "2 👋", now),))])
    assert rows.failed_items(job.id) == [FailedItem("a", "1", now), FailedItem("b", "2 👋", now)]
    assert rows.failed_items(job.id, limit=1) == [FailedItem("a", "1", now)]
    assert rows.failed_count(job.id) == 2


def test_the_last_progress_goes_with_the_settlement(scene: Scene) -> None:
    worker = scene.worker()
    job = scene.running(worker)
    scene.settle(worker, end(job, result="1", progress=everything(scene, job.id)))
    shown = scene.get(job.id)
    assert (shown.state, shown.progress and shown.progress.done) == ("succeeded", 3)
    assert len(scene.store.progress.messages(job.id)) == 1


def test_the_last_progress_of_a_lost_job_goes_nowhere(scene: Scene) -> None:
    worker = scene.worker()
    job = scene.running(worker)
    scene.settle(scene.worker(), end(job, JobState.QUEUED))
    assert scene.settle(worker, end(job, progress=everything(scene, job.id))) == set()
    assert stored(scene, job.id) == (None, None, [], [], [])


def test_repeating_a_settlement_does_not_repeat_its_messages(scene: Scene) -> None:
    worker = scene.worker()
    job = scene.running(worker)
    done = end(job, progress=everything(scene, job.id))
    assert scene.settle(worker, done) == scene.settle(worker, done) == {job.id}
    assert len(scene.store.progress.messages(job.id)) == 1
