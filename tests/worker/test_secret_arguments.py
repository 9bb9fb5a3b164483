"""Secret arguments reach the body by every way to enqueue and in every kind of process."""

import asyncio
import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from backburner import Backburner, Job, JobState, Secret, Task, track
from backburner.errors import DecodeError
from backburner.worker import Worker
from tests.waiting import wait_until
from tests.worker.app import SECRET
from tests.worker.conftest import EMBEDDED
from tests.worker.world import World

CANARY = "canary-2b90"
DIGEST = hashlib.sha256(CANARY.encode()).hexdigest()


class Keeper:
    """An app that signs its rows, with a task that keeps what it was given."""

    def __init__(self, world: World, **settings: Any) -> None:
        given: dict[str, Any] = {"secret": SECRET, "signed": True, "files": str(world.folder / "files"), **settings}
        self.jobs = Backburner(world.url, **given)
        self.seen: list[str] = []

        @self.jobs.task(name="keep", max_attempts=1)
        def keep(token: Secret[str], items: list[str] | None = None) -> None:
            self.seen.append(token.reveal())
            for item in track(items or [], key=str, on_error="collect"):
                with item:
                    raise ValueError(token)

        self.keep: Task[..., None] = keep


@pytest.fixture
def keeper(world: World) -> Iterator[Keeper]:
    made = Keeper(world)
    yield made
    made.jobs.close()


def test_in_a_thread_isolated_and_launched(world: World) -> None:
    """The row goes through pipes as it is stored."""
    tree = world.start()
    jobs = [world.enqueue("digest_of", Secret(CANARY), isolate=isolate) for isolate in (False, True)]
    launched = world.jobs.registry.require("digest_of").launch(Secret(CANARY))
    assert [world.ends(job).result() for job in (*jobs, launched)] == [DIGEST] * 3
    assert CANARY not in tree.log.read_text()
    held = "".join(path.read_bytes().decode("latin-1") for path in world.folder.rglob("*") if path.is_file())
    assert CANARY not in held


def test_by_every_way_to_enqueue(keeper: Keeper) -> None:
    jobs, keep = keeper.jobs, keeper.keep
    made: list[Job | str] = [*jobs.enqueue_many(keep, [(Secret(CANARY),), {"token": Secret(CANARY)}])]
    with jobs.bulk():
        made.append(keep.enqueue(Secret(CANARY)))
    with jobs.store.engine.begin() as connection, jobs.transaction(connection):
        made.append(keep.enqueue(token=Secret(CANARY)))
    made.append(asyncio.run(keep.options(priority=1).aenqueue(Secret(CANARY))))
    jobs.schedules.add(keep, name="nightly", cron="0 2 * * *", args={"token": Secret(CANARY)})
    made.append(jobs.schedules.run("nightly"))
    failed_items = keep.enqueue(Secret(CANARY), ["a", "b"])
    with Worker(jobs, EMBEDDED):
        wait_until(lambda: all(jobs.get(_id(job)).done for job in (*made, failed_items)), "all end")
        again = jobs.retry_items(failed_items)
        assert again.wait(60)
    states = {jobs.get(_id(job)).state for job in (*made, failed_items, again)}
    assert states == {JobState.SUCCEEDED}
    assert keeper.seen == [CANARY] * (len(made) + 2)
    items = jobs.control.show(failed_items.id).failed_items
    assert [item.error for item in items] == ["***", "***"]


def _id(job: Job | str) -> str:
    return job if isinstance(job, str) else job.id


def test_a_definition_stays_the_same_until_its_secret_is_another_one(world: World, keeper: Keeper) -> None:
    """Encrypted, its arguments differ each time: workers would redefine it for each other for ever."""
    keeper.jobs.schedule(keeper.keep, every=3600, args=(Secret(CANARY),), name="hourly")
    (declaration,) = keeper.jobs.schedules.declared
    now = keeper.jobs.store.clock.now()
    first, second = declaration.at(now), declaration.at(now + timedelta(seconds=5))
    assert (first.digest, first.options) == (second.digest, second.options)
    assert CANARY not in repr([first, second]) + first.args
    other = replace(declaration, args=(Secret("another"),)).at(now)
    assert other.digest != first.digest
    with Worker(keeper.jobs, EMBEDDED):
        wait_until(lambda: bool(keeper.jobs.schedules.list()), "it is stored")
    with Worker(Keeper(world).jobs, EMBEDDED):
        pass
    assert keeper.jobs.schedules.get("hourly").version == 1


def test_a_worker_that_cannot_open_it_leaves_a_schedule_to_others(
    world: World, keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = keeper.jobs
    jobs.schedules.add(keeper.keep, name="often", every=1, args=(Secret(CANARY),))
    stranger = Keeper(world, secret="another secret, long enough")
    with caplog.at_level(logging.INFO), Worker(stranger.jobs, EMBEDDED):
        wait_until(lambda: "schedule often cannot be fired here" in caplog.text, "it says so")
        with pytest.raises(DecodeError, match="does not open with the setting secret"):
            stranger.jobs.schedules.run("often")
    assert (jobs.find(), stranger.seen) == ([], [])
    with Worker(jobs, EMBEDDED):
        wait_until(lambda: CANARY in keeper.seen, "another one fires it")
    assert CANARY not in caplog.text
    stranger.jobs.close()


def test_requests_that_come_twice_are_known(keeper: Keeper) -> None:
    jobs, keep = keeper.jobs, keeper.keep
    once = keep.options(idempotency_key="a")
    first = once.enqueue(Secret(CANARY))
    assert once.enqueue(Secret(CANARY)).id == first.id
    keys = jobs.store.schema.keys
    stored = jobs.store.read(lambda c: c.execute(select(keys)).all())
    guess = hashlib.sha256(json.dumps({"token": CANARY}, separators=(",", ":")).encode()).hexdigest()
    assert guess not in repr(stored), "no digest that somebody could try values with"
