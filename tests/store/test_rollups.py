"""Rollups: what was counted is read as the same, however often it is merged."""

from datetime import timedelta

import pytest

from backburner.context import JobContext
from backburner.errors import StoreUnavailable
from backburner.fault import fault_at
from backburner.histogram import BUCKETS, Histogram
from backburner.rollup import Rollup, minute_of
from backburner.states import JobState
from backburner.store.rollups import KEPT, KEYS_KEPT, PARTS
from backburner.worker.bookkeeper import Bookkeeper
from backburner.worker.ledger import Ledger
from backburner.worker.reporter import Running
from tests.faulty import Fault, Once, faults_in
from tests.store.scene import Crew, Scene, end

TIMES = Histogram((0, 3, *[0] * (BUCKETS - 2)))


def counted(minute: int, queue: str = "default", task: str = "t", ends: tuple[int, ...] = (3, 1, 2, 0, 0, 0)) -> Rollup:
    return Rollup(minute, queue, task, ends, TIMES, TIMES)


def rows(scene: Scene) -> list[tuple[int, int]]:
    with scene.store.engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT span, minute FROM backburner_rollups ORDER BY minute, span").all()
    return [(int(span), int(minute)) for span, minute in found]


def test_what_several_workers_counted_is_added_up(scene: Scene) -> None:
    now = minute_of(scene.clock.now())
    door = scene.store.rollups
    door.write([counted(now), counted(now, "mail"), counted(now - 1)], scene.worker())
    door.write([counted(now)], scene.worker())
    before, present = door.series(now - 1, 1)
    assert (before.ends, before.waits) == ((3, 1, 2, 0, 0, 0), TIMES)
    assert (present.minute, present.ends, present.runs) == (now, (9, 3, 6, 0, 0, 0), TIMES + TIMES + TIMES)
    assert [one.succeeded for one in door.series(now, 1, queue="mail")] == [3]
    assert door.series(now, 1, task="other") == []
    assert {name: one.succeeded for name, one in door.by_queue(now).items()} == {"default": 6, "mail": 3}
    assert {name: one.failed for name, one in door.by_task(now - 1).items()} == {"t": 4}


def test_old_rows_become_few_and_keep_their_sum(scene: Scene) -> None:
    now = minute_of(scene.clock.now())
    door, first = scene.store.rollups, now - 180
    for minute in range(first, first + 10):
        door.write([counted(minute), counted(minute, "mail")], scene.worker())
        door.write([counted(minute)], scene.worker())
    door.write_depths(first, {"mail": 5})
    door.write([counted(now)], None)
    before = door.series(first, 1)
    while door.merge(now):
        pass
    assert {span for span, _ in rows(scene)} == {0, 5}
    # Of two queues and of everything, in two periods of five minutes; a depth; and what is too young.
    assert len(rows(scene)) == 3 * 2 + 1 + 1
    assert sum(one.succeeded for one in before) == sum(one.succeeded for one in door.series(first, 1)) == 93
    assert sum(one.succeeded for one in door.series(first, 1, queue="mail")) == 30
    assert door.by_queue(first)["mail"].waits.total == 30
    assert {name: one.succeeded for name, one in door.by_task(first).items()} == {"t": 93}
    assert door.depths(first - first % 5, 5) == {"mail": {first - first % 5: 5}}
    # And on, level by level, until it is forgotten.
    for _, longer, age in PARTS[2:]:
        while door.merge(now + age + 20 * longer):
            pass
    assert {span for span, _ in rows(scene)} == {PARTS[-1][1]}
    assert sum(one.succeeded for one in door.series(0, 1440)) == 93
    assert sum(one.succeeded for one in door.series(0, 1440, queue="default")) == 63
    door.merge(now + KEPT + 2 * PARTS[-1][1])
    assert rows(scene) == []


def test_two_that_merge_at_once_lose_and_double_nothing(scene: Scene, elsewhere: Scene) -> None:
    now = minute_of(scene.clock.now())
    for minute in range(now - 30, now - 10):
        scene.store.rollups.write([counted(minute) for _ in range(5)], None)
    crew = Crew()
    for one in (scene, elsewhere):
        crew.add(one.store.rollups.merge, now)
    crew.start().join()
    assert sum(one.succeeded for one in scene.store.rollups.series(now - 60, 1)) == 300
    assert sum(one.succeeded for one in scene.store.rollups.series(now - 60, 1, task="t")) == 300


@pytest.mark.parametrize("kind", ["before", "after", "disconnect"])
def test_what_was_counted_is_written_once_whatever_the_database_says(scene: Scene, kind: Fault) -> None:
    """Also when it was written, and the answer lost."""
    ledger, now = Ledger(scene.clock), minute_of(scene.clock.now())
    fault = fault_at("KeyError", "a.py:1 in f", "'x'", "t", "default", "box", line="f")
    keeper = Bookkeeper(scene.store, ledger, scene.worker)
    worker = scene.worker()

    def fail() -> None:
        job = scene.running(worker)
        ledger.ran(Running(job, JobContext(), 0, 0.0, None), 0.5)
        ledger.settled([end(job, JobState.FAILED, fault=fault)], {job.id})

    fail()
    with faults_in(Once(kind)), pytest.raises(StoreUnavailable):
        keeper.last()
    fail()
    keeper.last()
    keeper.last()
    assert [one.failed for one in scene.store.rollups.series(now, 1)] == [2]
    assert [one.attempts for one in scene.store.failures.groups()] == [2]
    assert scene.store.failures.hours([fault.fingerprint], scene.clock.now()) == {fault.fingerprint: {now // 60: 2}}


def test_that_it_is_written_is_forgotten_in_the_end(scene: Scene) -> None:
    now, key = minute_of(scene.clock.now()), scene.ids.new()
    for _ in range(2):
        scene.store.rollups.write([counted(now)], None, key=key)
    assert [one.succeeded for one in scene.store.rollups.series(now, 1)] == [3]
    scene.store.rollups.merge(now + KEYS_KEPT)
    assert -1 in {span for span, _ in rows(scene)}
    scene.store.rollups.merge(now + KEYS_KEPT + 1)
    assert -1 not in {span for span, _ in rows(scene)}


def test_the_depth_of_a_queue_is_written_once_a_minute(scene: Scene) -> None:
    door, minute = scene.store.rollups, minute_of(scene.clock.now())
    door.write_depths(minute, {"mail": 7, "web": 0})
    door.write_depths(minute, {"mail": 9})
    assert door.depths(minute, 1) == {"mail": {minute: 7}, "web": {minute: 0}}
    assert door.series(minute, 1) == []


def test_how_many_wait_is_counted_with_a_bound(scene: Scene) -> None:
    scene.insert(3, queue="mail")
    scene.one(queue="mail", group_name="g")
    scene.one(queue="mail", run_at=scene.clock.now() + timedelta(seconds=9))
    assert scene.store.reports.queued(["mail", "none"], 100) == {"mail": 4, "none": 0}
    assert scene.store.reports.queued(["mail"], 2) == {"mail": 2}


def test_a_claim_knows_how_long_the_job_waited(scene: Scene) -> None:
    worker = scene.worker()
    scene.one()
    scene.clock.move(1.5)
    (job,) = scene.claim(worker)
    assert job.waited == 1500
    scene.settle(worker, end(job))
    later = scene.clock.now() + timedelta(seconds=10)
    scene.one(run_at=later)
    scene.clock.move(12)
    scene.store.upkeep.promote()
    assert [one.waited for one in scene.claim(worker)] == [2000]
