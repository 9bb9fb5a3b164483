"""Milestones and waits of running jobs: what they wait for, once, and never in a circle."""

from typing import Any

import pytest

from backburner.errors import WrongState
from backburner.job import ClaimedJob, Parent
from backburner.outcome import Settlement
from backburner.states import JobState, allowed
from backburner.store.groups import Arrival
from tests.store.scene import Crew, Scene, end
from tests.store.test_dependencies import after, dependencies, finish, join, left, swept

S = JobState


def waits(job: ClaimedJob, *others: str, milestone: str = "", **changes: Any) -> Settlement:
    """The end of an attempt that waits for these."""
    parents = tuple(Parent(one, milestone, "wait") for one in others)
    return end(job, S.BLOCKED, blocked_on="parents", parents=parents, **changes)


def held(scene: Scene, worker: str, **changes: Any) -> ClaimedJob:
    """A running job that holds its group."""
    job_id = scene.one(**changes)
    step = scene.store.groups.claim(
        scene.order(worker), [Arrival(job_id, changes["group_name"], "shop.price")], lambda task: None
    )
    assert [job.id for job in step.taken] == [job_id]
    return step.taken[0]


# Milestones


def test_a_milestone_is_stored_once_and_stays(scene: Scene) -> None:
    job = scene.running(scene.worker())
    assert scene.store.waits.reach(job.id, 1, "imported")
    first = scene.store.waits.milestones(job.id)
    scene.clock.move(5)
    assert scene.store.waits.reach(job.id, 1, "imported")
    assert scene.store.waits.milestones(job.id) == first == {"imported": scene.clock.move(-5)}


def test_an_attempt_that_was_taken_over_reaches_nothing(scene: Scene) -> None:
    worker = scene.worker()
    job = scene.running(worker)
    scene.settle(worker, end(job, S.QUEUED))
    assert not scene.store.waits.reach(job.id, 1, "imported")
    scene.claim(worker)
    assert not scene.store.waits.reach(job.id, 1, "imported")
    assert scene.store.waits.milestones(job.id) == {}


# Waits


def test_a_wait_blocks_the_job_and_uses_no_try(scene: Scene) -> None:
    worker, other = scene.worker(), scene.one(queue="slow")
    job = scene.running(worker)
    assert scene.settle(worker, waits(job, other)) == {job.id}
    found = scene.get(job.id)
    assert (found.state, found.blocked_on, found.tries, found.worker) == (S.BLOCKED, "parents", 0, None)
    assert (dependencies(scene), left(scene, job.id)) == ([(job.id, other, False)], 1)


def test_it_goes_on_when_the_other_is_done_however(scene: Scene) -> None:
    worker = scene.worker()
    other = scene.running(worker)
    job = scene.running(worker)
    scene.settle(worker, waits(job, other.id))
    scene.finish(worker, [other], S.FAILED)
    assert join(scene, other.id) == {"default"}
    assert scene.state(job.id) is S.QUEUED
    parent = Parent(other.id, "", "wait")
    assert scene.store.waits.standing(job.id, parent) == (S.FAILED, False, "reached")


def test_a_wait_is_written_once_however_often_its_end_is_repeated(scene: Scene) -> None:
    worker = scene.worker()
    other, job = scene.running(worker), scene.running(worker)
    wait = waits(job, other.id)
    scene.settle(worker, wait)
    scene.finish(worker, [other])
    join(scene, other.id)
    # Its answer had been lost: what was written is not written again.
    assert scene.settle(worker, wait) == {job.id}
    assert (dependencies(scene), scene.state(job.id)) == ([(job.id, other.id, True)], S.QUEUED)


def test_a_job_that_was_asked_to_stop_does_not_wait(scene: Scene) -> None:
    worker = scene.worker()
    other, job = scene.one(queue="slow"), scene.running(worker)
    scene.store.jobs.cancel(job.id, "enough")
    scene.settle(worker, waits(job, other))
    assert (scene.state(job.id), dependencies(scene)) == (S.CANCELLED, [])


def test_a_milestone_that_is_missed_stays_known(scene: Scene) -> None:
    worker = scene.worker()
    other, job, third = (scene.running(worker) for _ in range(3))
    scene.settle(worker, waits(job, other.id, milestone="imported"), waits(third, other.id, milestone="half"))
    scene.store.waits.reach(other.id, 1, "half")
    scene.finish(worker, [other])
    join(scene, other.id)
    scene.store.jobs.delete(other.id)
    assert scene.store.waits.standing(job.id, Parent(other.id, "imported")) == (None, False, "missed")
    assert scene.store.waits.standing(third.id, Parent(other.id, "half")) == (None, False, "reached")


def test_a_wait_that_is_over_begins_again(scene: Scene) -> None:
    """The other one was retried: a second wait for the same is a wait."""
    worker = scene.worker()
    other, job = scene.running(worker), scene.running(worker)
    scene.settle(worker, waits(job, other.id))
    scene.finish(worker, [other])
    join(scene, other.id)
    scene.store.jobs.retry(other.id)
    (again,) = [one for one in scene.claim(worker) if one.id == job.id]
    assert scene.settle(worker, waits(again, other.id)) == {job.id}
    assert (dependencies(scene), left(scene, job.id)) == ([(job.id, other.id, False)], 1)


def test_a_waiting_job_frees_its_group_or_keeps_it(scene: Scene) -> None:
    worker, other = scene.worker(), scene.one(queue="slow")
    for policy, holder in (("skip", False), ("block", True), ("stop", True)):
        job = held(scene, worker, group_name=policy, group_policy=policy)
        scene.settle(worker, waits(job, other))
        assert scene.store.groups.holder(policy) == (job.id if holder else None), policy
    scene.store.jobs.cancel(other, "enough")
    assert join(scene, other) == {"default"}
    order = scene.order(worker)
    arrived = scene.store.groups.arrivals(order)
    assert sorted(job.group for job in arrived) == ["block", "skip", "stop"]
    assert len(scene.store.groups.claim(order, arrived, lambda task: None).taken) == 3


def test_a_cancelled_wait_gives_up_its_group(scene: Scene) -> None:
    worker, other = scene.worker(), scene.one(queue="slow")
    job = held(scene, worker, group_name="g", group_policy="block")
    scene.settle(worker, waits(job, other))
    scene.store.jobs.cancel(job.id, "enough")
    assert scene.store.groups.holder("g") is None


# Circles


def test_two_that_would_wait_for_each_other(scene: Scene) -> None:
    worker = scene.worker()
    one, two = scene.running(worker), scene.running(worker)
    scene.settle(worker, waits(one, two.id))
    assert scene.store.waits.circle(two.id, one.id) == [one.id, two.id]
    scene.settle(worker, waits(two, one.id))
    assert (scene.state(one.id), scene.state(two.id)) == (S.BLOCKED, S.QUEUED)


def test_two_in_one_batch(scene: Scene) -> None:
    worker = scene.worker()
    one, two = scene.running(worker), scene.running(worker)
    scene.settle(worker, waits(one, two.id), waits(two, one.id))
    assert (scene.state(one.id), scene.state(two.id)) == (S.BLOCKED, S.QUEUED)


def test_two_at_the_same_moment(scene: Scene, elsewhere: Scene) -> None:
    worker = scene.worker()
    for _ in range(5):
        one, two = scene.running(worker), scene.running(worker)
        crew = Crew()
        crew.add(scene.settle, worker, waits(one, two.id))
        crew.add(elsewhere.settle, worker, waits(two, one.id))
        crew.start().join()
        states = sorted(scene.state(job.id) for job in (one, two))
        assert states == [S.BLOCKED, S.QUEUED]
        scene.store.jobs.delete_many([one.id, two.id])


def test_a_long_way_round(scene: Scene) -> None:
    worker = scene.worker()
    job = scene.running(worker)
    way = [job.id]
    for _ in range(5):
        way.append(after(scene, way[-1]))
    assert scene.store.waits.circle(job.id, way[-1]) == way[::-1]
    assert scene.store.waits.circle(job.id, scene.one()) == []
    assert scene.store.waits.circle(job.id, job.id) == [job.id]


def test_what_has_ended_waits_for_nobody(scene: Scene) -> None:
    job = scene.running(scene.worker())
    stopped = after(scene, job.id)
    last = after(scene, stopped)
    scene.store.jobs.cancel(stopped, "enough")
    assert scene.store.waits.circle(job.id, last) == []


@pytest.mark.parametrize("policy", ["skip", "block", "stop"])
def test_a_job_behind_in_a_group_that_keeps_its_slot(scene: Scene, policy: str) -> None:
    worker = scene.worker()
    job = held(scene, worker, group_name="g", group_policy=policy)
    behind = scene.one(group_name="g", group_policy=policy)
    far = after(scene, behind)
    assert scene.store.waits.circle(job.id, far) == ([] if policy == "skip" else [far, behind, job.id])


# Retry


def test_retry_lets_a_waiting_child_go(scene: Scene) -> None:
    first = scene.one()
    one = after(scene, first)
    scene.store.jobs.retry(one)
    assert (scene.state(one), left(scene, one), dependencies(scene)) == (S.QUEUED, 0, [(one, first, True)])
    finish(scene, first)
    assert join(scene, first) == set()


def test_retry_of_many_leaves_waiting_children_alone(scene: Scene) -> None:
    one = after(scene, scene.one())
    with pytest.raises(WrongState):
        scene.store.jobs.retry(one, waiting=False)
    assert scene.state(one) is S.BLOCKED


def test_a_cancelled_child_is_retried_without_parents_that_are_done(scene: Scene) -> None:
    first = scene.one()
    one = after(scene, first)
    finish(scene, first, S.FAILED)
    join(scene, first)
    scene.store.jobs.retry(one)
    assert scene.state(one) is S.QUEUED


def test_a_cancelled_child_waits_again_for_parents_that_are_retried(scene: Scene) -> None:
    first, second = scene.insert(2)
    one = after(scene, first, second)
    finish(scene, first, S.FAILED)
    join(scene, first)
    finish(scene, second)
    scene.store.jobs.retry(first)
    scene.store.jobs.retry(one)
    assert (scene.state(one), scene.get(one).blocked_on, left(scene, one)) == (S.BLOCKED, "parents", 1)
    finish(scene, first)
    assert join(scene, first) == {"default"}
    assert scene.state(one) is S.QUEUED
    assert {S.QUEUED, S.BLOCKED} <= allowed("retry", S.CANCELLED)


def test_retry_forgets_what_attempts_had_waited_for(scene: Scene) -> None:
    worker = scene.worker()
    other, job = scene.running(worker), scene.running(worker)
    scene.settle(worker, waits(job, other.id))
    scene.finish(worker, [other])
    join(scene, other.id)
    finish(scene, job.id)
    scene.store.jobs.retry(job.id)
    assert (scene.state(job.id), dependencies(scene)) == (S.QUEUED, [])


def test_retry_of_a_success_forgets_its_milestones(scene: Scene) -> None:
    worker = scene.worker()
    good, bad = scene.running(worker), scene.running(worker)
    for job, state in ((good, S.SUCCEEDED), (bad, S.FAILED)):
        scene.store.waits.reach(job.id, 1, "half")
        scene.finish(worker, [job], state)
        scene.store.jobs.retry(job.id)
    assert scene.store.waits.milestones(good.id) == {}
    assert list(scene.store.waits.milestones(bad.id)) == ["half"]


def test_retry_makes_no_circle(scene: Scene) -> None:
    """`first` waits for its child, which is retried: the child does not wait for it again."""
    worker = scene.worker()
    first = scene.running(worker)
    one = after(scene, first.id)
    scene.store.jobs.cancel(one, "enough")
    behind = after(scene, one, policy="run")
    scene.settle(worker, waits(first, behind))
    assert scene.state(first.id) is S.BLOCKED
    scene.store.jobs.retry(one)
    assert scene.state(one) is S.QUEUED
    finish(scene, one)
    assert swept(scene) == {"default"}
    assert scene.state(behind) is S.QUEUED
