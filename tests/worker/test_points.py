"""kill -9 of a real process at every named point, under load: nothing lost, one recorded success each."""

from typing import Any

import pytest

from backburner.seams import SeamName
from tests.waiting import wait_until
from tests.worker.world import World

IN_CHILD: list[tuple[SeamName, int]] = [
    ("before claim", 3),
    ("after claim", 3),
    ("before body", 10),
    ("after body", 10),
    ("before finish", 2),
    ("after finish", 2),
]
AT_LENGTH: list[tuple[SeamName, int]] = [
    # One look may come to all that arrives.
    ("before park", 1),
    ("after park", 1),
    ("before promote", 2),
    ("after promote", 2),
]
IN_SUPERVISOR: list[tuple[SeamName, int]] = [("before beat", 2), ("before rescue", 1)]
SUPERVISOR_AT_LENGTH: list[tuple[SeamName, int]] = [("after beat", 2), ("after rescue", 1)]


def marked(points: list[tuple[SeamName, int]]) -> list[Any]:
    return [pytest.param(*point, marks=pytest.mark.long) for point in points]


def check_all(world: World, ids: list[str]) -> None:
    """Every job has ended well, exactly once on the record, and nobody owns or runs anything."""
    assert world.all_done() == {"succeeded": len(ids)}
    began = world.history.begun()
    assert all(began[job_id] >= 1 for job_id in ids)
    for job_id in ids:
        successes = [record for record in world.attempts(job_id) if record.outcome == "succeeded"]
        assert len(successes) <= 1
        assert world.job(job_id).result() == 7
    assert world.owned() == []


@pytest.mark.parametrize(("point", "times"), [*IN_CHILD, *marked(AT_LENGTH)])
def test_child_killed_at(world: World, point: SeamName, times: int) -> None:
    ids = world.enqueue_many("work", [(7, 0.002)] * 44)
    ids += [world.enqueue("work", 7, 0.002, group=f"g{n % 3}").id for n in range(8)]
    ids += [world.enqueue("work", 7, 0.002, delay=0.5).id for _ in range(8)]
    world.arm(point, times)
    tree = world.start(processes=1)
    wait_until(lambda: world.fired(point), f"a worker is killed {point}")
    check_all(world, ids)
    assert len(tree.children()) == 1
    wait_until(lambda: len(world.jobs.store.workers.live()) == 1, "the dead worker is marked dead")


@pytest.mark.parametrize(("point", "times"), [*IN_SUPERVISOR, *marked(SUPERVISOR_AT_LENGTH)])
def test_supervisor_killed_at(world: World, point: SeamName, times: int) -> None:
    """Its children end by themselves; another tree takes what they leave."""
    ids = world.enqueue_many("work", [(7, 0.02)] * 60)
    world.arm(point, times)
    if point in ("before rescue", "after rescue"):
        # Somebody must die for a supervisor to come to the rescue.
        world.arm("before body", 5)
    tree = world.start()
    wait_until(lambda: world.fired(point), f"a supervisor is killed {point}")
    assert tree.ended() == -9
    other = world.start()
    check_all(world, ids)
    wait_until(lambda: len(world.jobs.store.workers.live()) == 1, "the dead workers are marked dead")
    assert [w.pid for w in world.jobs.store.workers.live()] == other.children()
