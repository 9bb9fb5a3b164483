"""Asked to stop while it ran, and about to run again: it ends there, whatever its worker knew."""

from datetime import timedelta

import pytest

from backburner.states import JobState
from tests.store.scene import Scene, end


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RETRYING, JobState.SCHEDULED, JobState.BLOCKED], ids=str)
def test_what_would_run_again_is_cancelled(scene: Scene, state: JobState) -> None:
    worker = scene.worker()
    job, other = scene.running(worker), scene.running(worker)
    scene.store.jobs.cancel(job.id, "stop")
    later = scene.clock.now() + timedelta(seconds=60)
    held = "unknown task" if state is JobState.BLOCKED else None
    ends = [
        end(one, state, run_at=later, tries=1, error="OSError", reason="It failed.", blocked_on=held)
        for one in (job, other)
    ]
    assert scene.settle(worker, *ends) == {job.id, other.id}
    found = scene.get(job.id)
    assert (found.state, found.finished_at) == (JobState.CANCELLED, scene.clock.now())
    assert (found.reason, found.error, found.tries, found.blocked_on) == (
        "Cancelled on request.",
        "OSError",
        1,
        None,
    )
    assert (scene.state(other.id), scene.get(other.id).finished_at) == (state, None)
    assert scene.get(other.id).reason == "It failed."


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.FAILED, JobState.INTERRUPTED], ids=str)
def test_what_has_ended_has_ended(scene: Scene, state: JobState) -> None:
    worker = scene.worker()
    job = scene.running(worker)
    scene.store.jobs.cancel(job.id, "stop")
    assert scene.settle(worker, end(job, state, reason="so it was")) == {job.id}
    assert (scene.state(job.id), scene.get(job.id).reason) == (state, "so it was")
