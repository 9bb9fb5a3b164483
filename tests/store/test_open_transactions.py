"""What an app keeps open holds up nothing but what it has written itself, however small the tables are.

A database that finds it quicker to read all of a small table than to ask an index for a few rows, and locks what it
reads, waits for each open transaction of anybody.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import update

from backburner.job import ClaimedJob, Parent
from backburner.progress import Progress, ProgressWrite
from backburner.states import JobState
from tests.store.scene import LEASE, Scene, end


@dataclass
class Cast:
    """Who is there before the transaction begins."""

    scene: Scene
    worker: str
    running: ClaimedJob
    queued: str
    failed: str
    old: str
    in_group: list[str]

    def heads(self) -> list[ClaimedJob]:
        groups, order = self.scene.store.groups, self.scene.order(self.worker)
        return groups.claim(order, groups.arrivals(order), lambda task: None).taken

    def next_of_group(self) -> set[str]:
        self.scene.finish(self.worker, self.heads())
        return self.scene.store.groups.advance(["g"])

    def meta(self) -> str | None:
        self.scene.store.edits.meta(self.queued, lambda meta: "{}")
        return self.scene.store.edits.meta_of(self.queued)

    def retry(self) -> JobState:
        self.scene.store.jobs.retry(self.failed)
        return self.scene.state(self.failed)


def _cast(scene: Scene) -> Cast:
    old, failed = scene.ended(), scene.ended(JobState.FAILED)
    worker = scene.worker()
    running = scene.running(worker)
    return Cast(scene, worker, running, scene.one(), failed, old, scene.insert(2, group_name="g"))


@contextmanager
def _open_transaction(scene: Scene) -> Iterator[None]:
    """It has changed a waiting job and enqueued another, in a group of its own, and takes its time."""
    locked, t = scene.one(), scene.store.schema.jobs
    with scene.store.engine.connect() as app, app.begin():
        app.execute(update(t).where(t.c.id == locked).values(meta="{}"))
        scene.store.jobs.insert_on(app, [scene.job(), scene.job(group_name="h")])
        yield


STEPS: dict[str, Callable[[Cast], Any]] = {
    "enqueue": lambda c: c.scene.one(),
    "enqueue in a group": lambda c: c.scene.one(group_name="g"),
    "enqueue after another": lambda c: c.scene.one(parents=(Parent(c.running.id),)),
    "get": lambda c: c.scene.get(c.queued),
    "claim": lambda c: [job.id for job in c.scene.claim(c.worker)] == [c.queued],
    "claim of a group": lambda c: [job.id for job in c.heads()] == c.in_group[:1],
    "begin": lambda c: c.scene.store.claims.begin(c.running),
    "succeed": lambda c: c.scene.finish(c.worker, [c.running]) == {c.running.id},
    "fail": lambda c: c.scene.settle(c.worker, end(c.running, JobState.FAILED, record=c.scene.record())),
    "go on with a group": lambda c: c.next_of_group() == {"default"},
    "report": lambda c: c.scene.store.progress.write(
        [ProgressWrite(c.running.id, c.running.attempt, Progress(1, 2, message="half"))]
    ),
    "reach a milestone": lambda c: c.scene.store.waits.reach(c.running.id, c.running.attempt, "half"),
    "meta": lambda c: c.meta() == "{}",
    "cancel what waits": lambda c: c.scene.store.jobs.cancel(c.queued, "enough") == set(),
    "cancel what runs": lambda c: c.scene.store.jobs.cancel(c.running.id, "enough") == set(),
    "retry": lambda c: c.retry() is JobState.QUEUED,
    "delete": lambda c: c.scene.store.jobs.delete_many([c.old, c.queued])[0] == 2,
    "beat": lambda c: set(c.scene.store.workers.beat([c.worker], LEASE)) == {c.worker},
    "rescue": lambda c: [s.id for s in c.scene.rescue(c.worker, certain=True) or ()] == [c.running.id],
    "expire": lambda c: c.scene.store.upkeep.expire(),
    "promote": lambda c: c.scene.store.upkeep.promote() == {},
    "clean": lambda c: c.scene.clock.move(60) and c.scene.store.upkeep.prune(JobState.SUCCEEDED, 30),
    "sweep groups": lambda c: c.scene.store.groups.sweep(""),
    "sweep dependencies": lambda c: c.scene.store.dependencies.sweep(""),
}


@pytest.mark.parametrize("name", STEPS)
def test_it_waits_for_nobody_else(name: str, on_server: Scene) -> None:
    cast = _cast(on_server)
    with _open_transaction(on_server):
        assert STEPS[name](cast)
