"""Settle: the end of an attempt, fenced by (id, attempt) and still running."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from backburner.outcome import AttemptRecord, Settlement
from backburner.progress import Progress, ProgressWrite
from backburner.states import FINAL, JobState
from tests.store.scene import Scene, end

RECORDED = pytest.mark.parametrize("recorded", [False, True], ids=["plain", "recorded"])
"""With a record the settlement runs in a transaction of several statements."""


def record(scene: Scene, recorded: bool) -> AttemptRecord | None:
    return scene.record() if recorded else None


@pytest.mark.parametrize("state", sorted(FINAL))
@RECORDED
def test_a_final_state_with_all_its_words(scene: Scene, state: JobState, recorded: bool) -> None:
    worker = scene.worker()
    claimed = scene.running(worker)
    now = scene.clock.move(3)
    done = end(claimed, state, result='"👍"', reason="why ž", error="E: 🐍", record=record(scene, recorded))
    assert scene.settle(worker, done) == {claimed.id}
    job = scene.get(claimed.id)
    assert (job.state, job.finished_at, job.result_text) == (state, now, '"👍"')
    assert (job.reason, job.error, job.worker) == ("why ž", "E: 🐍", None)
    assert job.started_at == now - timedelta(seconds=3)


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.FAILED])
@pytest.mark.parametrize("count", [0, 1, 2, 9, 301, 1_001])
def test_a_batch_of_any_size(scene: Scene, count: int, state: JobState) -> None:
    worker = scene.worker()
    ids = scene.insert(count)
    jobs = scene.claim(worker, free=2_000)
    assert scene.finish(worker, reversed(jobs), state) == set(ids)
    assert set(scene.store.jobs.states(ids).values()) <= {state}
    assert scene.store.claims.owned(worker) == []


def test_results_are_kept_as_they_are(scene: Scene) -> None:
    """Also those that look like a part of the statement."""
    texts = ["", "null", "NULL", '"', "\\", '\\"', "{}", "}", ",", "' -- %s", "\n\t", " a ", "\x7f\u2028", "👍 ž", None]
    worker = scene.worker()
    scene.insert(len(texts))
    jobs = scene.claim(worker, free=len(texts))
    ends = [end(job, JobState.SUCCEEDED, result=text) for job, text in zip(jobs, texts, strict=True)]
    assert scene.settle(worker, *ends) == {job.id for job in jobs}
    assert [scene.get(job.id).result_text for job in jobs] == texts


def test_a_success_leaves_nothing_of_the_failure_before(scene: Scene) -> None:
    worker, soon = scene.worker(), scene.clock.now() + timedelta(seconds=1)
    first = scene.running(worker)
    scene.settle(worker, end(first, JobState.RETRYING, run_at=soon, tries=1, error="boom", reason="it went wrong"))
    scene.clock.move(2)
    scene.store.upkeep.promote()
    [again] = scene.claim(worker)
    assert scene.settle(worker, end(again, JobState.SUCCEEDED, result="1")) == {first.id}
    job = scene.get(first.id)
    assert (job.state, job.result_text, job.error, job.reason) == ("succeeded", "1", None, None)
    assert (job.tries, job.attempt, job.run_at, job.worker) == (1, 2, soon, None)


def test_each_job_of_a_batch_ends_its_own_way(scene: Scene) -> None:
    worker = scene.worker()
    scene.insert(4)
    a, b, c, d = scene.claim(worker)
    later = scene.clock.now() + timedelta(seconds=60)
    batch = (
        end(d, JobState.QUEUED),
        end(b, JobState.RETRYING, run_at=later, tries=1, error="boom"),
        end(a, JobState.SUCCEEDED, result="1"),
        end(c, JobState.FAILED, reason="no", tries=1),
    )
    assert scene.settle(worker, *batch) == {a.id, b.id, c.id, d.id}
    found = [scene.get(job.id) for job in (a, b, c, d)]
    assert [job.state for job in found] == ["succeeded", "retrying", "failed", "queued"]
    assert [job.finished_at is not None for job in found] == [True, False, True, False]
    assert [job.tries for job in found] == [0, 1, 1, 0]
    assert (found[0].result_text, found[1].error, found[2].reason) == ("1", "boom", "no")
    assert found[1].run_at == later
    assert found[3].run_at < later


@RECORDED
def test_a_wrong_attempt_changes_nothing(scene: Scene, recorded: bool) -> None:
    worker, colleague = scene.worker(), scene.worker()
    first = scene.running(worker)
    scene.settle(colleague, end(first, JobState.QUEUED))
    (second,) = scene.claim(colleague)
    before = scene.get(first.id)
    stale = end(first, result='"stale"', record=record(scene, recorded))
    future = end(second._replace(attempt=3), result='"future"', record=record(scene, recorded))
    assert scene.settle(worker, stale) == set()
    assert scene.settle(colleague, future) == set()
    assert scene.get(first.id) == before
    assert scene.store.jobs.attempts(first.id) == []


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.SUCCEEDED, JobState.SCHEDULED, JobState.CANCELLED])
def test_only_a_running_job_can_be_settled(scene: Scene, state: JobState) -> None:
    claimed = scene.running()
    scene.settle(scene.worker(), end(claimed, state, run_at=scene.clock.now() + timedelta(seconds=5)))
    before = scene.get(claimed.id)
    assert scene.settle(scene.worker(), end(claimed, JobState.FAILED, tries=1)) == set()
    assert scene.get(claimed.id) == before


def test_another_id_changes_nothing(scene: Scene) -> None:
    worker = scene.worker()
    claimed = scene.running(worker)
    stranger = Settlement(scene.ids.new(), claimed.position, claimed.attempt, JobState.SUCCEEDED)
    assert scene.settle(worker, stranger) == set()
    assert scene.state(claimed.id) == "running"


def test_the_good_ones_of_a_mixed_batch_are_written(scene: Scene) -> None:
    worker = scene.worker()
    scene.insert(5)
    jobs = scene.claim(worker)
    scene.settle(scene.worker(), end(jobs[1], JobState.QUEUED), end(jobs[3], JobState.QUEUED))
    assert scene.finish(worker, jobs) == {jobs[0].id, jobs[2].id, jobs[4].id}
    assert [scene.state(job.id) for job in jobs] == [
        "succeeded",
        "queued",
        "succeeded",
        "queued",
        "succeeded",
    ]


@RECORDED
def test_repeating_ones_own_commit_is_accepted_and_changes_nothing(scene: Scene, recorded: bool) -> None:
    """The commit was done, its answer was lost: the worker asks again."""
    worker = scene.worker()
    scene.insert(3)
    jobs = scene.claim(worker)
    done = [end(job, result="1", tries=1, record=record(scene, recorded)) for job in jobs]
    assert scene.settle(worker, *done[:2]) == {jobs[0].id, jobs[1].id}
    before = scene.store.jobs.get_many([job.id for job in jobs[:2]])
    scene.clock.move(9)
    assert scene.settle(worker, *done) == {job.id for job in jobs}
    assert scene.store.jobs.get_many([job.id for job in jobs[:2]]) == before
    assert scene.get(jobs[2].id).tries == 1
    assert [len(scene.store.jobs.attempts(job.id)) for job in jobs] == [int(recorded)] * 3


def test_repeating_is_accepted_even_when_a_person_put_the_job_back(scene: Scene) -> None:
    """It stands in another place of its queue then."""
    worker = scene.worker()
    claimed = scene.running(worker)
    failed = end(claimed, JobState.FAILED, tries=1)
    scene.settle(worker, failed)
    scene.store.jobs.retry(claimed.id)
    assert scene.settle(worker, failed) == {claimed.id}
    assert scene.state(claimed.id) is JobState.QUEUED


def test_repeating_is_accepted_even_when_the_job_has_moved_on(scene: Scene) -> None:
    worker = scene.worker()
    claimed = scene.running(worker)
    back = end(claimed, JobState.RETRYING, run_at=scene.clock.now(), tries=1)
    scene.settle(worker, back)
    scene.store.upkeep.promote()
    (again,) = scene.claim(scene.worker())
    assert scene.settle(worker, back) == {claimed.id}
    job = scene.get(claimed.id)
    assert (job.state, job.attempt, job.tries) == ("running", again.attempt, 1)


def test_what_another_worker_settled_is_refused(scene: Scene) -> None:
    worker, rescuer = scene.worker(), scene.worker()
    claimed = scene.running(worker)
    done = end(claimed, result="1")
    assert scene.settle(rescuer, done) == {claimed.id}
    assert scene.settle(worker, done) == set()


def test_given_back_without_blame(scene: Scene) -> None:
    worker = scene.worker()
    claimed = scene.running(worker)
    scene.settle(worker, end(claimed, JobState.QUEUED))
    job = scene.get(claimed.id)
    assert (job.state, job.worker, job.tries, job.crashes, job.losses) == ("queued", None, 0, 0, 0)
    assert (job.attempt, job.position, job.finished_at) == (1, claimed.position, None)
    (again,) = scene.claim(worker)
    assert (again.id, again.attempt) == (claimed.id, 2)


@pytest.mark.parametrize("state", [JobState.RETRYING, JobState.SCHEDULED])
def test_again_at_its_time_and_not_before(scene: Scene, state: JobState) -> None:
    worker = scene.worker()
    claimed = scene.running(worker)
    at = scene.clock.now() + timedelta(seconds=60)
    scene.settle(worker, end(claimed, state, run_at=at, reason="later"))
    assert (scene.state(claimed.id), scene.get(claimed.id).run_at) == (state, at)
    scene.clock.move(59.999999)
    assert scene.store.upkeep.promote() == {}
    assert scene.claim(worker) == []
    assert scene.store.upkeep.next_due() == at
    scene.clock.move(0.000001)
    assert scene.store.upkeep.promote() == {"default": {50: 1}}
    assert scene.claim(worker)[0].attempt == 2
    assert scene.get(claimed.id).reason is None


def test_blame_adds_up(scene: Scene) -> None:
    worker = scene.worker()
    scene.one()
    for _ in range(3):
        (claimed,) = scene.claim(worker)
        scene.settle(worker, end(claimed, JobState.QUEUED, tries=1, crashes=2, losses=3))
    (claimed,) = scene.claim(worker)
    assert (claimed.tries, claimed.crashes, claimed.losses, claimed.attempt) == (3, 6, 9, 4)


def test_held_with_its_reason(scene: Scene) -> None:
    worker = scene.worker()
    claimed = scene.running(worker)
    scene.settle(worker, end(claimed, JobState.BLOCKED, blocked_on="damaged row", reason="cannot be read"))
    job = scene.get(claimed.id)
    assert (job.state, job.blocked_on, job.reason) == ("blocked", "damaged row", "cannot be read")
    assert (job.finished_at, job.worker) == (None, None)


def test_a_record_comes_back_whole(scene: Scene) -> None:
    worker = scene.worker()
    claimed = scene.running(worker)
    kept = AttemptRecord(
        outcome="failed",
        started_at=scene.clock.now(),
        finished_at=scene.clock.move(1.5),
        host="böx",
        pid=2**31 - 1,
        reason="why",
        error_type="ValueError",
        error="no 👋",
        traceback="Traceback\n  …",
        memory_before=1,
        memory_after=2**40,
        memory_peak=2**41,
    )
    scene.settle(worker, end(claimed, JobState.FAILED, record=kept))
    assert scene.store.jobs.attempts(claimed.id) == [(1, kept)]


def test_attempts_are_listed_in_order(scene: Scene) -> None:
    worker = scene.worker()
    job_id = scene.one()
    for number in (1, 2, 3):
        (claimed,) = scene.claim(worker)
        scene.settle(worker, end(claimed, JobState.QUEUED, record=scene.record(f"try {number}")))
    found = [(attempt, kept.outcome) for attempt, kept in scene.store.jobs.attempts(job_id)]
    assert found == [(1, "try 1"), (2, "try 2"), (3, "try 3")]


@pytest.mark.parametrize("column", ["result", "reason", "error"])
@pytest.mark.parametrize("text", ["\ud800", "a\0b"], ids=["surrogate", "nul"])
@RECORDED
def test_a_value_that_cannot_be_stored(scene: Scene, column: str, text: str, recorded: bool) -> None:
    """A `ValueError` and nothing of the batch is written, or it comes back as it was; never a broken lane."""
    worker = scene.worker()
    scene.insert(3)
    jobs = scene.claim(worker)
    kept = record(scene, recorded)
    batch = [end(job, record=kept) for job in jobs]
    bad: dict[str, Any] = {column: text}
    batch[1] = end(jobs[1], record=kept, **bad)
    if _stores(scene, text):
        assert scene.settle(worker, *batch) == {job.id for job in jobs}
        shown = scene.get(jobs[1].id)
        assert {"result": shown.result_text, "reason": shown.reason, "error": shown.error}[column] == text
        return
    with pytest.raises(ValueError, match=r"(?i)nul|surrogate|encode"):
        scene.settle(worker, *batch)
    assert [scene.state(job.id) for job in jobs] == ["running"] * 3
    assert [scene.store.jobs.attempts(job.id) for job in jobs] == [[]] * 3
    assert scene.settle(worker, batch[0], batch[2]) == {jobs[0].id, jobs[2].id}


def test_a_record_that_cannot_be_stored(scene: Scene) -> None:
    worker = scene.worker()
    claimed = scene.running(worker)
    with pytest.raises(ValueError, match=r"(?i)surrogate|encode"):
        scene.settle(worker, end(claimed, record=scene.record(error="\udfff")))
    assert scene.state(claimed.id) == "running"
    assert scene.finish(worker, [claimed]) == {claimed.id}


def test_a_last_progress_that_cannot_be_stored(scene: Scene) -> None:
    worker = scene.worker()
    claimed = scene.running(worker)
    last = ProgressWrite(claimed.id, 1, Progress(message="\udfff"))
    with pytest.raises(ValueError, match=r"(?i)surrogate|encode"):
        scene.settle(worker, end(claimed, progress=last))
    assert scene.state(claimed.id) == "running"


def test_a_value_too_long_for_postgresql_is_a_value_error(on_postgresql: Scene) -> None:
    scene, worker = on_postgresql, on_postgresql.worker()
    claimed = scene.running(worker)
    with pytest.raises(ValueError, match="too long"):
        scene.settle(worker, end(claimed, record=scene.record(error_type="E" * 201)))
    assert scene.state(claimed.id) == "running"


def _stores(scene: Scene, text: str) -> bool:
    # PostgreSQL keeps no NUL inside a text, the others do; nobody keeps half a character.
    return "\0" in text and scene.store.dialect.name != "postgresql"


def test_large_values(scene: Scene) -> None:
    worker, large = scene.worker(), '"' + "ž👋" * 200_000 + '"'
    claimed = scene.running(worker, args=large)
    assert claimed.args == large
    scene.settle(worker, end(claimed, result=large, error=large))
    assert scene.get(claimed.id).result_text == large


def test_the_begin_mark(scene: Scene) -> None:
    worker = scene.worker()
    claimed = scene.running(worker, repeatable=False)
    assert scene.store.claims.begin(claimed) is True
    assert scene.store.claims.begin(claimed._replace(attempt=2)) is False
    assert scene.store.claims.begin(claimed._replace(id=scene.ids.new())) is False


def test_no_begin_mark_for_a_job_taken_over(scene: Scene) -> None:
    claimed = scene.running(repeatable=False)
    scene.settle(scene.worker(), end(claimed, JobState.QUEUED))
    assert scene.store.claims.begin(claimed) is False
    scene.claim(scene.worker())
    assert scene.store.claims.begin(claimed) is False


def test_the_begin_mark_ends_with_its_attempt(scene: Scene) -> None:
    """Else the next attempt, lost before its body, would count as begun."""
    worker, second = scene.worker(), scene.worker()
    claimed = scene.running(worker, repeatable=False)
    scene.store.claims.begin(claimed)
    scene.settle(worker, end(claimed, JobState.QUEUED))
    scene.claim(second)
    rescued = scene.rescue(second, certain=True)
    assert rescued is not None
    assert [s.state for s in rescued] == ["queued"]


@pytest.mark.parametrize("jobs", [2, 60])
@RECORDED
def test_an_end_waits_for_no_row_of_another_job(on_server: Scene, jobs: int, recorded: bool) -> None:
    """However small the table: a database that reads all of it to find a few waits for every open transaction."""
    scene, worker, t = on_server, on_server.worker(), on_server.store.schema.jobs.c
    scene.insert(jobs)
    claimed = scene.claim(worker, free=jobs)
    locked = scene.one()
    with scene.store.engine.connect() as app, app.begin():
        app.execute(select(t.id).where(t.id == locked).with_for_update())
        ends = [end(job, JobState.SUCCEEDED, record=record(scene, recorded)) for job in claimed]
        assert scene.settle(worker, *ends) == {job.id for job in claimed}
