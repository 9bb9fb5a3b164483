"""Retry by hand: a finished or held job goes back in line with fresh counters; its past stays visible."""

from datetime import timedelta

import pytest

from backburner.errors import WrongState
from backburner.states import FINAL, JobState
from tests.store.scene import Scene, end, ids_of


@pytest.mark.parametrize("state", sorted(FINAL))
def test_every_final_state_can_be_retried(scene: Scene, state: JobState) -> None:
    job_id = scene.ended(state)
    scene.store.jobs.retry(job_id)
    assert scene.state(job_id) == "queued"
    (claimed,) = scene.claim(scene.worker())
    assert (claimed.id, claimed.attempt) == (job_id, 2)


def test_it_stands_at_the_end_of_the_line(scene: Scene) -> None:
    first = scene.ended()
    waiting = scene.insert(2)
    scene.store.jobs.retry(first)
    after = scene.one()
    assert ids_of(scene.claim(scene.worker())) == [*waiting, first, after]
    positions = [scene.get(job).position for job in (*waiting, first, after)]
    assert positions == sorted(set(positions))


def test_counters_start_afresh_and_the_old_end_is_gone(scene: Scene) -> None:
    worker = scene.worker()
    claimed = scene.running(worker, expires_at=scene.clock.now() + timedelta(seconds=1))
    scene.store.jobs.cancel(claimed.id, "stop")
    scene.settle(worker, end(claimed, JobState.FAILED, result="1", reason="r", error="e", tries=3, crashes=2, losses=1))
    now = scene.clock.move(100)
    scene.store.jobs.retry(claimed.id)
    job = scene.get(claimed.id)
    assert (job.tries, job.crashes, job.losses, job.attempt) == (0, 0, 0, 1)
    assert (job.result_text, job.reason, job.error, job.finished_at, job.started_at) == (None,) * 5
    assert (job.cancel_requested, job.run_at, job.expires_at) == (False, now, None)
    assert scene.store.upkeep.expire().count == 0


def test_the_old_outcome_is_kept_as_an_attempt(scene: Scene) -> None:
    worker = scene.worker()
    claimed = scene.running(worker)
    began, ended = scene.clock.now(), scene.clock.move(7)
    scene.settle(worker, end(claimed, JobState.FAILED, reason="why", error="E"))
    scene.clock.move(100)
    scene.store.jobs.retry(claimed.id)
    ((number, kept),) = scene.store.jobs.attempts(claimed.id)
    assert (number, kept.outcome, kept.reason, kept.error) == (1, "failed", "why", "E")
    assert (kept.started_at, kept.finished_at) == (began, ended)


def test_an_attempt_already_recorded_is_left_as_it_is(scene: Scene) -> None:
    worker = scene.worker()
    claimed = scene.running(worker)
    kept = scene.record("timed out", traceback="T")
    scene.settle(worker, end(claimed, JobState.FAILED, record=kept))
    scene.store.jobs.retry(claimed.id)
    assert scene.store.jobs.attempts(claimed.id) == [(1, kept)]


def test_a_job_cancelled_before_any_attempt(scene: Scene) -> None:
    job_id = scene.one()
    scene.store.jobs.cancel(job_id, "stop")
    scene.store.jobs.retry(job_id)
    assert (scene.state(job_id), scene.store.jobs.attempts(job_id)) == ("queued", [])


def test_a_held_job_is_freed(scene: Scene) -> None:
    worker = scene.worker()
    claimed = scene.running(worker)
    scene.settle(worker, end(claimed, JobState.BLOCKED, blocked_on="damaged row", reason="cannot be read"))
    scene.store.jobs.retry(claimed.id)
    job = scene.get(claimed.id)
    assert (job.state, job.blocked_on, job.reason) == ("queued", None, None)


@pytest.mark.parametrize("state", ["queued", "scheduled", "running", "retrying"])
def test_a_live_job_cannot_be_retried(scene: Scene, state: str) -> None:
    worker, later = scene.worker(), scene.clock.now() + timedelta(seconds=9)
    job_id = scene.one(run_at=later if state == "scheduled" else scene.clock.now())
    if state in {"running", "retrying"}:
        (claimed,) = scene.claim(worker)
        if state == "retrying":
            scene.settle(worker, end(claimed, JobState.RETRYING, run_at=later, tries=1))
    before = scene.get(job_id)
    with pytest.raises(WrongState, match=f"{job_id} is {state}; retry needs a finished or held job"):
        scene.store.jobs.retry(job_id)
    assert scene.get(job_id) == before


def test_an_old_settlement_stays_stale_after_a_retry(scene: Scene) -> None:
    worker, slow = scene.worker(), scene.worker()
    claimed = scene.running(slow)
    scene.settle(worker, end(claimed, JobState.FAILED))
    scene.store.jobs.retry(claimed.id)
    assert scene.settle(slow, end(claimed)) == set()
    scene.claim(worker)
    assert scene.settle(slow, end(claimed)) == set()
    assert scene.state(claimed.id) == "running"


@pytest.mark.parametrize("waits_for", ["group", "launch", "launch with secrets"])
def test_what_has_its_turn_to_come_cannot_be_retried(scene: Scene, waits_for: str) -> None:
    """It would lose its place in the line of its group, or be taken by a worker that does not have its secrets."""
    job_id = scene.one(group_name="g" if waits_for == "group" else None, blocked_on=waits_for)
    before = scene.get(job_id)
    with pytest.raises(WrongState, match=f"{job_id} is blocked; retry needs a finished or held job"):
        scene.store.jobs.retry(job_id)
    assert scene.get(job_id) == before
