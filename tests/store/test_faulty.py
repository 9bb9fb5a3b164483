"""The faults that tests ask for are what they are called: on each database, on both kinds of connection."""

import pytest

from backburner.errors import StoreUnavailable
from backburner.states import JobState
from tests.faulty import ALL, Fault, Faults, Once, faults_in
from tests.store.scene import Scene, end

LOSES = {"before": False, "after": True, "disconnect": False}
"""Faults that the caller hears of, and whether what he asked for was done all the same."""


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("door", ["lane", "pool"])
def test_each_fault_does_what_it_says(scene: Scene, kind: Fault, door: str) -> None:
    worker = scene.worker()
    job = scene.running(worker)
    done = end(job, record=scene.record("succeeded") if door == "pool" else None)
    with faults_in(Once(kind)) as faults:
        if kind in LOSES:
            with pytest.raises(StoreUnavailable):
                scene.settle(worker, done)
            assert (scene.state(job.id) == JobState.SUCCEEDED) is LOSES[kind]
        assert scene.settle(worker, done) == {job.id}
    assert faults.happened == {kind: 1}
    assert scene.state(job.id) == JobState.SUCCEEDED
    assert scene.settle(worker, done) == {job.id}


def test_the_same_seed_draws_the_same_faults() -> None:
    first, second = Faults(0.3, 7), Faults(0.3, 7)
    drawn = [first.draw() for _ in range(200)]
    assert drawn == [second.draw() for _ in range(200)]
    assert 30 < sum(fault is not None for fault in drawn) < 90
    assert set(drawn) == {None, *ALL}
