"""Cancel: at once while a job waits, by request while it runs, and never in between."""

import threading
from datetime import timedelta

import pytest

from backburner.errors import WrongState
from backburner.states import FINAL, JobState
from tests.store.scene import Crew, Scene, end


@pytest.mark.parametrize("state", ["scheduled", "queued", "retrying", "blocked"])
def test_a_waiting_job_is_cancelled_at_once(scene: Scene, state: str) -> None:
    job_id = waiting(scene, state)
    now = scene.clock.move(2)
    scene.store.jobs.cancel(job_id, "changed my mind ž")
    job = scene.get(job_id)
    assert (job.state, job.finished_at, job.reason) == ("cancelled", now, "changed my mind ž")
    assert (job.blocked_on, job.worker) == (None, None)
    scene.clock.move(9999)
    assert scene.store.upkeep.promote() == {}
    assert scene.claim(scene.worker()) == []


def waiting(scene: Scene, state: str) -> str:
    later = scene.clock.now() + timedelta(seconds=60)
    if state in {"scheduled", "queued"}:
        return scene.one(run_at=later if state == "scheduled" else scene.clock.now())
    worker = scene.worker()
    job = scene.running(worker)
    scene.settle(worker, end(job, JobState(state), run_at=later, blocked_on="x" if state == "blocked" else None))
    assert scene.state(job.id) == state
    return job.id


def test_a_running_job_is_asked(scene: Scene) -> None:
    worker, colleague = scene.worker(), scene.worker()
    asked, left = scene.running(worker), scene.running(worker)
    foreign = scene.running(colleague)
    scene.store.jobs.cancel(asked.id, "stop")
    scene.store.jobs.cancel(foreign.id, "stop")
    assert scene.store.claims.cancelled(worker) == {asked.id}
    assert (scene.state(asked.id), scene.get(asked.id).cancel_requested) == ("running", True)
    assert scene.get(left.id).cancel_requested is False
    scene.store.jobs.cancel(asked.id, "stop, please")
    assert scene.store.claims.cancelled(worker) == {asked.id}


def test_a_finish_wins_over_a_late_request(scene: Scene) -> None:
    worker = scene.worker()
    job = scene.running(worker)
    scene.store.jobs.cancel(job.id, "stop")
    assert scene.finish(worker, [job]) == {job.id}
    assert scene.state(job.id) == "succeeded"
    assert scene.store.claims.cancelled(worker) == set()


def test_a_request_ends_a_job_that_is_given_back(scene: Scene) -> None:
    worker, colleague = scene.worker(), scene.worker()
    job = scene.running(worker)
    scene.store.jobs.cancel(job.id, "stop")
    scene.settle(worker, end(job, JobState.QUEUED))
    assert scene.claim(colleague) == []
    assert scene.state(job.id) == "cancelled"


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_final_job_cannot_be_cancelled(scene: Scene, state: JobState) -> None:
    job_id = scene.ended(state)
    before = scene.get(job_id)
    with pytest.raises(WrongState, match=f"{job_id} is {state}; cancel needs"):
        scene.store.jobs.cancel(job_id, "stop")
    assert scene.get(job_id) == before


def test_cancel_against_claim(scene: Scene, elsewhere: Scene) -> None:
    """Whoever comes first, the request is seen: cancelled and never run, or running and asked to stop."""
    ids = scene.insert(60)
    worker = elsewhere.worker()
    start, claimed = threading.Barrier(2), list[str]()

    def cancel() -> None:
        start.wait(30)
        for job in ids:
            scene.store.jobs.cancel(job, "stop")

    def claim() -> None:
        start.wait(30)
        for _ in ids:
            claimed.extend(job.id for job in elsewhere.claim(worker, free=1))

    crew = Crew()
    crew.add(cancel)
    crew.add(claim)
    crew.start().join()
    states = scene.store.jobs.states(ids)
    assert {job for job in ids if states[job] == "running"} == set(claimed)
    assert scene.store.claims.cancelled(worker) == set(claimed)
    assert all(states[job] == "cancelled" for job in ids if job not in claimed)


def test_cancel_waits_for_a_claim_under_way(on_postgresql: Scene) -> None:
    """The claim's transaction is still open when the cancel comes: it must not be missed by both."""
    scene = on_postgresql
    job_id, worker = scene.one(), scene.worker()
    with scene.store.engine.connect() as connection, connection.begin():
        driver = connection.connection.driver_connection
        (job,) = scene.store.dialect.claim(driver, scene.order(worker))
        crew = Crew()
        crew.add(scene.store.jobs.cancel, job_id, "stop")
        crew.start()
        scene.wait_for_waiter()
        connection.commit()
    crew.join()
    assert job.id == job_id
    assert scene.store.claims.cancelled(worker) == {job_id}
