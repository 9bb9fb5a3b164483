"""Caps: no more at once than was said, by whatever name, and what is at its cap keeps nobody else out."""

from collections.abc import Sequence

import pytest

from backburner.job import ClaimedJob
from backburner.run_options import Cap
from tests.store.scene import Scene, end, ids_of

ONE = Cap(("one", "old one"), 1)
MORE = Cap(("more",), 50)
CAPS = {name: cap for cap in (ONE, MORE) for name in cap.names}


def take(scene: Scene, worker: str, free: int = 5, tasks: Sequence[str] | None = tuple(CAPS)) -> list[ClaimedJob]:
    return scene.store.limits.claim(scene.order(worker, free), tasks, CAPS.get)


def test_no_more_than_there_may_be(scene: Scene) -> None:
    worker, jobs = scene.worker(), scene.insert(3, task="one")
    (running,) = take(scene, worker)
    assert running.id == jobs[0]
    assert take(scene, worker) == []
    scene.finish(worker, [running])
    assert ids_of(take(scene, worker)) == [jobs[1]]


def test_an_older_name_counts_as_well(scene: Scene) -> None:
    worker = scene.worker()
    old, new = scene.one(task="old one"), scene.one(task="one")
    (running,) = take(scene, worker)
    assert running.id == old
    assert take(scene, worker) == []
    assert scene.store.limits.running("task", ONE.names) == 1
    scene.finish(worker, [running])
    assert ids_of(take(scene, worker)) == [new]


@pytest.mark.parametrize("free", [1, 5])
def test_what_is_at_its_cap_does_not_hide_what_comes_behind(scene: Scene, free: int) -> None:
    """However many of it wait in front."""
    worker = scene.worker()
    scene.insert(150, task="one")
    behind = scene.one(task="more")
    first = take(scene, worker, 1)
    assert ids_of(take(scene, worker, free)) == [behind]
    assert take(scene, worker, free) == []
    assert scene.settle(worker, *(end(job) for job in first)) == {first[0].id}


def test_a_capped_queue_counts_every_task(scene: Scene) -> None:
    worker = scene.worker()
    scene.store.limits.make(["task:one", "task:more"])
    scene.store.queues.limit("default", 2)
    scene.insert(150, task="one")
    others = [scene.one(task=task) for task in ("free", "more")]
    taken = take(scene, worker, tasks=None)
    assert [job.task for job in taken] == ["one", "free"]
    assert scene.store.limits.running("queue", ["default"]) == 2
    assert take(scene, worker, tasks=None) == []
    scene.finish(worker, taken[:1])
    assert [job.task for job in take(scene, worker, tasks=None)] == ["one"]
    scene.finish(worker, taken[1:])
    assert ids_of(take(scene, worker, tasks=None)) == others[1:]


def test_a_plain_claim_takes_nothing_of_a_capped_queue(scene: Scene) -> None:
    """A worker that has not noticed the limit yet: it holds from the moment it was said."""
    worker, job = scene.worker(), scene.one()
    scene.store.queues.limit("default", 1)
    assert scene.claim(worker) == []
    scene.store.queues.limit("default", None)
    assert ids_of(scene.claim(worker)) == [job]


def test_a_job_of_its_own_process_by_an_older_name(scene: Scene) -> None:
    worker = scene.worker()
    first, second = scene.one(task="old one"), scene.one(task="one")
    assert scene.store.single.claim(first, worker, CAPS.get) is not None
    assert scene.store.single.claim(second, worker, CAPS.get) is None


def test_heads_of_groups_say_which_tasks_are_at_their_cap(scene: Scene) -> None:
    worker = scene.worker()
    scene.store.limits.make(["task:one"])
    jobs = [scene.one(task="one", group_name=f"g{n}") for n in range(2)]
    order = scene.order(worker)
    step = scene.store.groups.claim(order, scene.store.groups.arrivals(order), CAPS.get)
    assert ids_of(step.taken) == jobs[:1]
    assert step.full == {"one", "old one"}
