"""Apps of different age on one queue: each worker takes what it knows, and leaves the rest to others."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from backburner import Backburner, JobState
from backburner.worker import Worker
from tests.waiting import wait_until
from tests.worker.app import build
from tests.worker.conftest import EMBEDDED
from tests.worker.world import World

MANY = 40


@pytest.fixture
def newer(world: World) -> Iterator[Backburner]:
    """The app of the next release: it knows one task more."""
    app = build(world.url, world.folder)
    app.task(name="fresh")(lambda: "fresh")
    yield app
    app.close()


def fresh(app: Backburner, **options: object) -> list[str]:
    """Jobs of the task that only the newer app knows."""
    task = app.registry.require("fresh").options(**options)  # type: ignore[arg-type]
    return [task.enqueue().id for _ in range(MANY)]


def introduced(world: World, count: int) -> None:
    """Wait until so many workers have said what they know."""
    workers = world.jobs.store.workers
    wait_until(lambda: sum(1 for one in workers.live() if one.tasks) == count, f"{count} workers say what they know")


@pytest.mark.parametrize("group", [None, "line"])
def test_a_mixed_fleet_delivers_to_who_knows(world: World, newer: Backburner, group: str | None) -> None:
    with Worker(world.jobs, EMBEDDED), Worker(newer, EMBEDDED):
        introduced(world, 2)
        made = fresh(newer, group=group) if group else fresh(newer)
        for job_id in made:
            world.ends(job_id)
        t = world.jobs.store.schema.jobs.c
        query = select(t.attempt).where(t.id.in_(made))
        attempts = world.jobs.store.read(lambda c: c.execute(query).scalars().all())
    # Each was run once; few went through the hands of the worker that does not know it, none in circles.
    assert max(attempts) <= 4
    assert sum(attempts) < 2 * MANY


def test_what_nobody_live_knows_any_more_is_held(
    world: World, newer: Backburner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backburner.worker.strangers.LOOK_SECONDS", 0.1)
    with Worker(world.jobs, EMBEDDED):
        with Worker(newer, EMBEDDED):
            introduced(world, 2)
            for job_id in fresh(newer):
                world.ends(job_id)
        late = fresh(newer)
        wait_until(lambda: all(world.job(job_id).blocked_on == "unknown task" for job_id in late), "they are held")
        world.ends(world.enqueue("work", 1))


def test_who_serves_another_queue_is_no_help(world: World, newer: Backburner) -> None:
    elsewhere = type(EMBEDDED)(concurrency=4, poll=0.05, queues=("elsewhere",))
    with Worker(world.jobs, EMBEDDED), Worker(newer, elsewhere):
        introduced(world, 2)
        job_id = fresh(newer)[0]
        wait_until(lambda: world.job(job_id).state is JobState.BLOCKED, "it is held")
