"""Workers go on beside tables of a later release of the same generation, which adds to them while they work."""

from sqlalchemy import text

from backburner.store.versions import NEEDED
from tests.worker.world import World

LATER = f"{NEEDED[0]}999"


def _migrate_further(world: World) -> None:
    """What a later release's migration may do: columns and tables more, and its number."""
    jobs, version = (world.jobs.store.schema.qualified(name) for name in ("jobs", "version"))
    with world.jobs.store.engine.begin() as connection:
        for order in (
            f"ALTER TABLE {jobs} ADD COLUMN added_later VARCHAR(20)",
            "CREATE TABLE backburner_later (id INTEGER PRIMARY KEY)",
            f"UPDATE {version} SET version_num = '{LATER}'",
        ):
            connection.execute(text(order))


def test_workers_of_the_release_before_go_on_beside_later_tables(world: World) -> None:
    running = world.enqueue("hold", "go on")
    ids = world.enqueue_many("work", [(7, 0.01)] * 30)
    ids += [world.enqueue("work", 7, group="g").id for _ in range(5)]
    early = world.start()
    world.begun(running)
    _migrate_further(world)
    ids += world.enqueue_many("work", [(7, 0.01)] * 30)
    ids += [world.enqueue("work", 7, delay=0.1).id, world.enqueue("fail_once").id]
    world.ready(world.start())
    world.say("go on")
    assert world.all_done() == {"succeeded": len(ids) + 1}
    assert world.jobs.store.version() == LATER
    assert all(len(world.history.of(job)) == 1 for job in ids[:-1])
    assert early.process.poll() is None
