"""The notes of a job, changed beside whatever else happens to it."""

from backburner.states import JobState
from tests.store.scene import Scene


def test_notes_are_changed_in_any_state_and_nothing_else_is(scene: Scene) -> None:
    worker = scene.worker()
    claimed = scene.running(worker)
    edits = scene.store.edits
    edits.meta(claimed.id, lambda meta: f"{meta or ''}a")
    assert scene.store.jobs.get(claimed.id).state is JobState.RUNNING
    assert scene.finish(worker, [claimed]) == {claimed.id}
    edits.meta(claimed.id, lambda meta: f"{meta}b")
    job = scene.store.jobs.get(claimed.id)
    assert (job.state, job.meta, edits.meta_of(claimed.id)) == (JobState.SUCCEEDED, "ab", "ab")


def test_a_job_that_is_gone_has_none(scene: Scene) -> None:
    claimed = scene.running()
    changed: list[str | None] = []

    def change(meta: str | None) -> str:
        changed.append(meta)
        return "x"

    for gone in ("0190" + claimed.id[4:], "nothing", ""):
        scene.store.edits.meta(gone, change)
        assert scene.store.edits.meta_of(gone) is None
    assert (changed, scene.store.edits.meta_of(claimed.id)) == ([], None)
