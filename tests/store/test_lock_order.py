"""Transactions of Backburner's own lock rows in one order, so that they never wait for each other in a circle."""

import random
import threading

import pytest

from backburner.store.dialects.base import Trouble
from tests.store.scene import Crew, Scene, end


def test_overlapping_batches_of_ends_never_deadlock(on_server: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would be asked again, and nobody would see it: so it is the answers of the database that count here."""
    scene, rounds, busy = on_server, 12, list[str]()
    trouble = scene.store.dialect.trouble

    def seen(error: BaseException) -> Trouble:
        found = trouble(error)
        if found is Trouble.BUSY:
            busy.append(str(error))
        return found

    monkeypatch.setattr(scene.store.dialect, "trouble", seen)
    worker, together = scene.worker(), threading.Barrier(2)
    batches = []
    for _ in range(rounds):
        scene.insert(40)
        batches.append([end(job) for job in scene.claim(worker)])

    def settle(seed: int) -> None:
        chance, lane = random.Random(seed), scene.store.lane(1)
        for batch in batches:
            mine = chance.sample(batch, len(batch))
            together.wait(30)
            assert scene.store.claims.settle(lane, mine, worker) == {one.id for one in batch}
        lane.close()

    crew = Crew()
    for seed in range(2):
        crew.add(settle, seed)
    crew.start().join(60)
    assert busy == []
