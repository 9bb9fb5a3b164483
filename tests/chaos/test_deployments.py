"""The same jobs give the same results, whether workers run all the time, from cron only, or both."""

from collections.abc import Callable

import pytest

from backburner.errors import JobFailed
from tests.waiting import wait_until
from tests.worker.world import World


def _mixed(world: World, count: int) -> dict[str, str]:
    """Enqueue jobs of all kinds; what each is called, by its id."""
    named: dict[str, str] = {}
    work = world.jobs.registry.get("work")
    assert work is not None
    with world.jobs.bulk():
        for n in range(count):
            kind = n % 20
            if kind == 0:
                job = world.enqueue("fail_once")
            elif kind == 1:
                job = world.enqueue("fail_for_good")
            elif kind == 2:
                job = world.enqueue("work", n, delay=0.2)
            elif kind in (3, 4, 5):
                job = work.options(group=f"g{n % 7}", priority=kind * 10).enqueue(n)
            elif kind == 6:
                job = work.options(queue="other").enqueue(n)
            else:
                job = work.enqueue(n)
            named[job.id] = f"{n}"
    return named


def _worker_only(world: World) -> None:
    world.start(processes=2)


def _cron_only(world: World) -> None:
    while any(not state.startswith(("succeeded", "failed")) for state in world.states()):
        assert world.start(burst=True).ended(60) == 0


def _both(world: World) -> None:
    world.start()
    _cron_only(world)


def _results(world: World, named: dict[str, str]) -> dict[str, tuple[str, object, int]]:
    found: dict[str, tuple[str, object, int]] = {}
    for start in range(0, len(named), 500):
        for job_id, job in world.jobs.control.get_many(list(named)[start : start + 500]).items():
            try:
                value = job.result()
            except JobFailed:
                value = job.reason
            found[named[job_id]] = (job.state.value, value, job.tries)
    return found


@pytest.mark.parametrize("count", [300, pytest.param(2_000, marks=pytest.mark.long)])
def test_worker_cron_and_both_give_the_same(world: World, count: int) -> None:
    seen = []
    deployments: list[Callable[[World], None]] = [_worker_only, _cron_only, _both]
    for deploy in deployments:
        named = _mixed(world, count)
        deploy(world)
        world.all_done(60.0)
        for tree in world.trees:
            tree.end()
        world.trees.clear()
        wait_until(lambda: not world.owned(), "nothing is owned any more")
        seen.append(_results(world, named))
        assert len(seen[-1]) == count
        assert world.jobs.delete(done=True) == count
    assert seen[0] == seen[1] == seen[2]
