"""Finding jobs, looking at them and acting on them: one or all that match."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from backburner import Backburner, JobState, Task
from backburner.errors import InvalidOption, JobFailed, JobNotFound, NotFinished, WrongState
from backburner.job import ClaimedJob, Job
from backburner.outcome import Settlement
from backburner.progress import FailedItem, LogLine, Message, Progress, ProgressWrite
from backburner.store.dialects.base import ClaimOrder
from backburner.store.lane import CLAIM, Lane
from backburner.store.workers import WorkerRow
from tests.api.rings import Rings

NOBODY = "01a00000-0000-7000-8000-000000000000"


class Hand:
    """Does by hand what a worker does."""

    def __init__(self, jobs: Backburner, queues: str | None = None) -> None:
        self._store = jobs.store
        self.lane: Lane = jobs.store.lane(CLAIM)
        self.id = jobs.ids.new()
        now = self._store.clock.now()
        later = now + timedelta(minutes=5)
        self._store.workers.register(WorkerRow(self.id, self.id, "here", 1, None, queues, 1, "0", now, now, later))

    def take(self, count: int = 1, queue: str = "default") -> list[ClaimedJob]:
        order = ClaimOrder(self.id, queue, count, 0, (), self._store.clock.now())
        return self._store.claims.claim(self.lane, order)

    def end(self, job: ClaimedJob, state: JobState, result: str | None = None, error: str | None = None) -> None:
        end = Settlement(job.id, job.position, job.attempt, state, result=result, error=error)
        assert self._store.claims.settle(self.lane, [end], self.id) == {job.id}


@pytest.fixture
def work(jobs: Backburner) -> Task[[int], int]:
    @jobs.task(queue="default")
    def work(n: int) -> int:
        return n

    return work


@pytest.fixture
def hand(jobs: Backburner) -> Iterator[Hand]:
    made = Hand(jobs)
    yield made
    made.lane.close()


def test_find_by_every_keyword(jobs: Backburner, work: Task[[int], int]) -> None:
    @jobs.task(queue="other")
    def other() -> None: ...

    plain = work.enqueue(1)
    full = work.options(tags=["x", "y"], identifier="i", owner="ada").enqueue(2)
    late = other.options(delay=60).enqueue()
    jobs.cancel(plain)

    def ids(found: list[Job]) -> list[str]:
        return [job.id for job in found]

    assert ids(jobs.find()) == [late.id, full.id, plain.id]
    assert ids(jobs.find(limit=1)) == [late.id]
    assert ids(jobs.find(before=full)) == ids(jobs.find(before=full.id)) == [plain.id]
    assert ids(jobs.find(task=work.name, done=False)) == [full.id]
    assert ids(jobs.find(done=True)) == ids(jobs.find(state="cancelled")) == [plain.id]
    assert ids(jobs.find(done=True, state=["queued", JobState.SCHEDULED])) == []
    assert ids(jobs.find(state=["queued", JobState.SCHEDULED])) == [late.id, full.id]
    assert ids(jobs.find(queue="other")) == [late.id]
    assert ids(jobs.find(tag="y")) == ids(jobs.find(identifier="i")) == ids(jobs.find(owner="ada")) == [full.id]
    now = datetime.now(UTC)
    assert ids(jobs.find(created_after=now + timedelta(minutes=1))) == []
    assert len(jobs.find(created_before=now + timedelta(minutes=1))) == 3
    assert jobs.control.counts()[JobState.QUEUED] == 1


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"state": "quueed"}, "quueed"),
        ({"state": 7}, "7"),
        ({"created_after": datetime(2026, 1, 1)}, "created_after"),  # noqa: DTZ001 (that is the point)
        ({"queue": 5}, "queue"),
        ({"queu": "x"}, "queue"),
        ({"limit": 0}, "limit"),
        ({"limit": 5000}, "limit"),
    ],
)
def test_a_wrong_keyword_is_named(jobs: Backburner, wrong: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidOption, match=named):
        jobs.find(**wrong)  # type: ignore[arg-type]


def test_cancel_retry_and_delete_of_one(jobs: Backburner, work: Task[[int], int], hand: Hand) -> None:
    job = work.enqueue(1)
    assert job.cancel().state is JobState.CANCELLED
    with pytest.raises(WrongState, match="cancel"):
        jobs.cancel(job)
    rings = Rings(jobs)
    assert job.retry().state is JobState.QUEUED
    assert rings.heard == [{"default"}]
    [taken] = hand.take()
    assert jobs.cancel(job.id).cancel_requested
    with pytest.raises(WrongState, match="delete"):
        jobs.delete(job)
    hand.end(taken, JobState.CANCELLED)
    job.delete()
    for verb in (jobs.get, jobs.cancel, jobs.retry, jobs.delete):
        with pytest.raises(JobNotFound, match=job.id):
            verb(job.id)


def test_actions_on_all_that_match(jobs: Backburner, work: Task[[int], int], hand: Hand) -> None:
    jobs.enqueue_many(work, [(n,) for n in range(450)])
    keep = work.options(tags=["keep"]).enqueue(0)
    taken = hand.take(3)
    for n, job in enumerate(taken):
        hand.end(job, JobState.FAILED if n else JobState.SUCCEEDED, result="1")
    assert jobs.retry(done=True) == 2
    assert jobs.retry(state="succeeded") == 1
    assert jobs.cancel(task=work.name, queue="default", done=False) == 451
    assert jobs.retry(tag="keep") == 1
    assert jobs.delete(state=["cancelled"]) == 450
    assert [job.id for job in jobs.find()] == [keep.id]


def test_an_action_on_everything_must_be_said(jobs: Backburner, work: Task[[int], int]) -> None:
    job = work.enqueue(1)
    for verb in (jobs.cancel, jobs.retry, jobs.delete):
        with pytest.raises(InvalidOption, match="every job"):
            verb()
        with pytest.raises(InvalidOption, match="either"):
            verb(job, state="queued")  # type: ignore[call-overload]
    assert jobs.get(job.id).state is JobState.QUEUED


def test_a_result_is_of_the_type_the_task_says(jobs: Backburner, hand: Hand) -> None:
    @jobs.task
    def moment() -> datetime:
        return datetime.now(UTC)

    job = moment.enqueue()
    with pytest.raises(NotFinished, match="queued"):
        job.result()
    [taken] = hand.take()
    hand.end(taken, JobState.SUCCEEDED, result='"2026-10-01T00:00:00Z"')
    assert job.result() == datetime(2026, 10, 1, tzinfo=UTC)
    failed = moment.enqueue()
    [taken] = hand.take()
    hand.end(taken, JobState.FAILED, error="no such month")
    with pytest.raises(JobFailed, match="no such month"):
        failed.result()
    nothing = moment.enqueue()
    [taken] = hand.take()
    hand.end(taken, JobState.SUCCEEDED)
    assert nothing.result() is None


def test_a_job_shows_all_that_is_kept_of_it(jobs: Backburner, work: Task[[int], int], hand: Hand) -> None:
    job = work.enqueue(1)
    [taken] = hand.take()
    now = datetime.now(UTC)
    jobs.store.progress.write(
        [
            ProgressWrite(
                job.id,
                taken.attempt,
                Progress(done=3, total=4, failed=1),
                log=(LogLine(0, "line\n", now),),
                messages=(Message("info", "hello", now, 1),),
                failed_items=(FailedItem("k1", "broken", now), FailedItem("k2", "broken too", now)),
            )
        ]
    )
    attachment = jobs.files.keep(job.id, "a.csv", io.BytesIO(b"1;2"), None, now)
    jobs.store.attachments.add(attachment)
    hand.end(taken, JobState.FAILED, error="half of it")
    shown = jobs.control.show(job.id)
    assert shown.job.error == "half of it"
    assert [line.text for line in shown.log] == ["line\n"]
    assert shown.log_end == 5
    assert [message.text for message in shown.messages] == ["hello"]
    assert ([item.key for item in shown.failed_items], shown.failed_count) == (["k1", "k2"], 2)
    assert [(file.name, file.media_type, file.size) for file in shown.files] == [("a.csv", "text/csv", 3)]
    with jobs.files.open(shown.files[0].place) as file:
        assert file.read() == b"1;2"
    assert shown.why == ()


def test_only_the_failed_items_are_done_again(jobs: Backburner, work: Task[[int], int], hand: Hand) -> None:
    job = work.options(owner="ada", tags=["t"], timeout=9, meta={"a": 1}, queue="default").enqueue(5)
    with pytest.raises(WrongState, match="finished"):
        jobs.retry_items(job)
    [taken] = hand.take()
    now = datetime.now(UTC)
    items = (FailedItem("k1", "broken", now), FailedItem("k2", "broken", now))
    jobs.store.progress.write([ProgressWrite(job.id, taken.attempt, Progress(failed=2), failed_items=items)])
    hand.end(taken, JobState.SUCCEEDED)
    rings = Rings(jobs)
    new = jobs.get(jobs.retry_items(job).id)
    assert rings.heard == [{"default"}]
    assert new.id != job.id
    assert (new.task, new.args, new.owner, new.tags, new.meta) == (
        job.task,
        job.args,
        "ada",
        ("t",),
        '{"a": 1}',
    )
    options = work.run_options(new.options)
    assert options.items == frozenset({"k1", "k2"})
    assert options.timeout == 9
    [taken] = hand.take()
    hand.end(taken, JobState.SUCCEEDED)
    with pytest.raises(InvalidOption, match="no failed items"):
        jobs.retry_items(new)


def test_which_identifiers_are_unfinished(jobs: Backburner, work: Task[[int], int], hand: Hand) -> None:
    work.options(identifier="runs", priority=1).enqueue(1)
    hand.take()
    work.options(identifier="waits").enqueue(1)
    work.options(identifier="done").enqueue(1).cancel()
    names = ["runs", "waits", "done", "never", *(f"n{i}" for i in range(300))]
    assert jobs.unfinished_identifiers(names) == {"runs", "waits"}
    assert jobs.unfinished_identifiers(names, include_running=False) == {"waits"}


def test_why_a_job_does_not_run_whose_group_waits_for_another_queue(jobs: Backburner, work: Task[[int], int]) -> None:
    with jobs.bulk():
        head = work.options(group="g", queue="nobody").enqueue(1)
        second = work.options(group="g").enqueue(2)
    behind = [f"Behind job {head.id} of group g, which is queued."]
    assert jobs.control.why_not_running(second) == [*behind, "No worker is running.", "2nd in line in group g."]
    hand = Hand(jobs, '["default"]')
    jobs.queues.pause("nobody", reason="month end")
    found = jobs.control.why_not_running(jobs.get(second.id))
    assert [found[0], found[2], found[3]] == [*behind, "No live worker takes queue nobody.", "2nd in line in group g."]
    assert found[1].startswith("Queue nobody is paused since ")
    assert len(found) == 4
    hand.lane.close()


def test_why_a_job_does_not_run(jobs: Backburner, work: Task[[int], int]) -> None:
    first, second = work.enqueue(1), work.enqueue(2)
    assert jobs.control.why_not_running(second) == ["No worker is running.", "2nd in line in queue default."]
    narrow = Hand(jobs, '["reports"]')
    assert jobs.control.why_not_running(first) == [
        "No live worker takes queue default.",
        "1st in line in queue default.",
    ]
    hand = Hand(jobs)
    assert jobs.control.why_not_running(jobs.get(first.id)) == ["1st in line in queue default."]
    at = datetime(2099, 5, 6, 14, tzinfo=UTC)
    late = work.options(run_at=at, expires=at + timedelta(hours=1)).enqueue(3)
    assert jobs.control.why_not_running(late) == [
        "Not before 2099-05-06 14:00:00 UTC.",
        "It is skipped when it has not started by 2099-05-06 15:00:00 UTC.",
    ]
    [taken] = hand.take()
    assert jobs.control.why_not_running(jobs.get(first.id)) == []
    hold = Settlement(taken.id, taken.position, taken.attempt, JobState.BLOCKED, blocked_on="unknown task")
    jobs.store.claims.settle(hand.lane, [hold], hand.id)
    assert jobs.control.why_not_running(jobs.get(first.id)) == [
        f"Task name {work.name} is unknown to all live workers."
    ]
    [taken] = hand.take()
    again = Settlement(taken.id, taken.position, taken.attempt, JobState.RETRYING, error="boom\nat x", run_at=at)
    jobs.store.claims.settle(hand.lane, [again], hand.id)
    assert jobs.control.why_not_running(jobs.get(second.id)) == [
        "It failed (boom) and runs again at 2099-05-06 14:00:00 UTC."
    ]
    narrow.lane.close()
    hand.lane.close()
    assert jobs.control.why_not_running(jobs.get(jobs.cancel(late).id)) == []
