"""Rows that nobody here can run: held and visible, and the worker goes on."""

from typing import Any

import pytest
from sqlalchemy import update

from backburner import JobState
from backburner.worker import Worker
from tests.waiting import wait_until
from tests.worker.app import build
from tests.worker.conftest import EMBEDDED
from tests.worker.world import World


def change(world: World, job_id: str, **values: Any) -> None:
    """What a newer version, or a mistake, may have written into a row."""
    t = world.jobs.store.schema.jobs
    world.jobs.store.run(lambda c: c.execute(update(t).where(t.c.id == job_id).values(**values)))


def held(world: World, job_id: str) -> bool:
    return world.job(job_id).state is JobState.BLOCKED


def test_an_unknown_task_is_held_until_somebody_knows_it(world: World) -> None:
    newer = build(world.url, world.folder)
    job = newer.task(name="newer")(lambda: "new")
    job_id = job.enqueue().id
    with Worker(world.jobs, EMBEDDED):
        wait_until(lambda: held(world, job_id), "it is held")
        found = world.job(job_id)
        assert found.blocked_on == "unknown task"
        assert "newer" in (found.reason or "")
        assert (found.tries, found.crashes, found.losses) == (0, 0, 0)
        world.ends(world.enqueue("work", 1))
        with Worker(newer, EMBEDDED):
            assert world.ends(job_id).result_text == '"new"'
    newer.close()


@pytest.mark.parametrize(
    "damage",
    [
        {"args": "{"},
        {"args": '{"number": "seven"}'},
        {"args": "[[[["},
        {"codec": "pickle"},
        {"options": "{"},
        {"options": '{"timeout": "soon", "keep": 7}'},
    ],
)
def test_a_damaged_row_is_held_and_the_worker_goes_on(world: World, damage: dict[str, str]) -> None:
    before = world.enqueue("work", 1)
    damaged = world.enqueue("work", 2)
    after = world.enqueue("work", 3)
    change(world, damaged.id, **damage)
    with Worker(world.jobs, EMBEDDED):
        assert world.ends(before).result() == 1
        assert world.ends(after).result() == 3
        wait_until(lambda: held(world, damaged.id), "it is held")
        found = world.job(damaged)
        assert found.blocked_on == "damaged row"
        assert found.reason == "Its stored call cannot be read."
        assert found.error
        # A person repairs it and lets it go.
        change(world, damaged.id, args='{"number": 2}', codec="json", options=None)
        world.jobs.retry(damaged)
        assert world.ends(damaged).result() == 2
