"""Claim: best first, exactly of one queue, to one worker only."""

import threading
from datetime import timedelta
from typing import Any

import pytest

from backburner.job import ClaimedJob
from backburner.run_options import Cap
from backburner.states import JobState
from backburner.store.store import Store
from tests.store.scene import Crew, HandClock, Scene, end, ids_of


def test_a_claim_gives_what_a_worker_needs(scene: Scene) -> None:
    now = scene.clock.now()
    job = scene.job(
        task="t",
        args='["👋"]',
        codec="pickle",
        priority=3,
        title="T",
        context="c",
        options="o",
        max_attempts=9,
        repeatable=False,
        expires_at=now + timedelta(hours=1),
    )
    scene.store.jobs.insert([job])
    worker = scene.worker()
    assert scene.claim(worker) == [
        ClaimedJob(
            id=job.id,
            position=1,
            attempt=1,
            task="t",
            args='["👋"]',
            codec="pickle",
            queue="default",
            priority=3,
            tries=0,
            crashes=0,
            losses=0,
            max_attempts=9,
            repeatable=False,
            options="o",
            context="c",
            title="T",
            expires_at=now + timedelta(hours=1),
        )
    ]


def test_types_are_the_same_on_every_database(scene: Scene) -> None:
    (job,) = [scene.running(expires_at=None)]
    assert job.repeatable is True
    assert job.expires_at is None
    assert type(job.id) is str


def test_a_claimed_job_runs_under_its_worker(scene: Scene) -> None:
    worker = scene.worker()
    job_id = scene.one()
    scene.clock.move(5)
    scene.claim(worker)
    job = scene.get(job_id)
    assert (job.state, job.worker, job.attempt, job.started_at) == ("running", worker, 1, scene.clock.now())


def test_priority_then_position(scene: Scene) -> None:
    late, first, second, best = (scene.one(priority=p) for p in (60, 50, 50, -5))
    assert ids_of(scene.claim(scene.worker())) == [best, first, second, late]


def test_a_large_claim_comes_best_first(scene: Scene) -> None:
    jobs = [scene.job(priority=number * 7 % 5) for number in range(120)]
    scene.store.jobs.insert(jobs)
    best_first = [job.id for job in sorted(jobs, key=lambda job: job.priority)]
    assert ids_of(scene.claim(scene.worker(), free=500)) == best_first


@pytest.mark.parametrize("free", [0, 1, 3])
def test_no_more_than_asked_for(scene: Scene, free: int) -> None:
    ids = scene.insert(5)
    assert ids_of(scene.claim(scene.worker(), free=free)) == ids[:free]


def test_only_the_queue_asked_for(scene: Scene) -> None:
    scene.one(queue="default2")
    scene.one(queue="Default")
    mine = scene.one(queue="default")
    assert ids_of(scene.claim(scene.worker())) == [mine]
    assert scene.claim(scene.worker(), queue="") == []


def test_only_queued_jobs(scene: Scene) -> None:
    scene.one(run_at=scene.clock.now() + timedelta(seconds=1))
    scene.ended()
    scene.running()
    assert scene.claim(scene.worker()) == []


def test_free_slots_take_any_task_ahead_only_short_ones(scene: Scene) -> None:
    long, short1, long2, short2 = (scene.one(task=task) for task in ("long", "short", "long", "short"))
    worker = scene.worker()
    assert ids_of(scene.claim(worker, free=1, ahead=3, short=["short"])) == [long, short1, short2]
    assert ids_of(scene.claim(worker, free=0, ahead=3, short=["short"])) == []
    assert ids_of(scene.claim(worker, free=1, ahead=3, short=[])) == [long2]


def test_ahead_counts_what_it_looks_at(scene: Scene) -> None:
    """A worker looks `free + ahead` deep: it does not walk over a thousand long jobs to find a short one."""
    ids = [scene.one(task=task) for task in ("long", "long", "long", "short")]
    assert ids_of(scene.claim(scene.worker(), free=1, ahead=2, short=["short"])) == ids[:1]


def test_ahead_leaves_what_must_not_run_twice(scene: Scene) -> None:
    first, _, last = scene.one(task="s"), scene.one(task="s", repeatable=False), scene.one(task="s")
    assert ids_of(scene.claim(scene.worker(), free=1, ahead=5, short=["s"])) == [first, last]


@pytest.mark.parametrize("blame", ["crashes", "losses"])
def test_ahead_leaves_what_has_crashed_or_was_lost(scene: Scene, blame: str) -> None:
    worker = scene.worker()
    job = scene.running(worker, task="s", priority=1)
    scene.settle(worker, end(job, JobState.QUEUED, **{blame: 1}))
    light = scene.one(task="s")
    assert ids_of(scene.claim(worker, free=0, ahead=5, short=["s"])) == [light]
    (suspect,) = scene.claim(worker, free=1)
    assert (suspect.id, suspect.attempt, getattr(suspect, blame)) == (job.id, 2, 1)


def test_a_task_name_is_compared_whole(scene: Scene) -> None:
    scene.one(task="short.er")
    assert scene.claim(scene.worker(), free=0, ahead=5, short=["short", 'x"],["y']) == []


def test_a_worker_marked_dead_claims_nothing(scene: Scene) -> None:
    dead, alive = scene.worker(), scene.worker()
    (job,) = scene.insert(1)
    assert scene.rescue(dead, certain=True) == []
    assert scene.claim(dead) == []
    assert ids_of(scene.claim(alive)) == [job]


def test_a_worker_that_ended_or_was_never_registered_claims_nothing(scene: Scene) -> None:
    ended = scene.worker()
    job = scene.one()
    scene.store.workers.end(ended, "stopped")
    assert scene.claim(ended) == []
    assert scene.claim(scene.ids.new()) == []
    assert scene.state(job) == "queued"


def test_a_lapsed_lease_alone_does_not_stop_a_claim(scene: Scene) -> None:
    """Lease trust is the worker's own business; the row says only what somebody marked."""
    worker = scene.worker()
    job = scene.one()
    scene.clock.move(3600)
    assert ids_of(scene.claim(worker)) == [job]


def test_from_a_lower_bound_on(on_postgresql: Scene) -> None:
    scene = on_postgresql
    ids = [scene.one(priority=priority) for priority in (10, 10, 10, 5, 20)]
    second = scene.get(ids[1])
    assert ids_of(scene.claim(scene.worker(), bound=(10, second.position))) == [ids[1], ids[2], ids[4]]
    assert ids_of(scene.claim(scene.worker())) == [ids[3], ids[0]]


def test_a_lower_bound_never_changes_who_is_best(scene: Scene) -> None:
    """SQLite needs no bound and may ignore it; nobody may skip what stands behind it."""
    ids = scene.insert(4)
    bound = (50, scene.get(ids[0]).position)
    assert ids_of(scene.claim(scene.worker(), free=2, bound=bound)) == ids[:2]


def test_each_claim_counts_an_attempt(scene: Scene) -> None:
    worker = scene.worker()
    job_id = scene.one()
    for attempt in (1, 2, 3):
        (job,) = scene.claim(worker)
        assert (job.id, job.attempt, job.tries) == (job_id, attempt, 0)
        scene.settle(worker, end(job, JobState.QUEUED))


def test_two_stores_never_get_the_same_job(scene: Scene, elsewhere: Scene) -> None:
    ids, rounds = set(scene.insert(300)), 12
    start, got = threading.Barrier(4), [list[str]() for _ in range(4)]

    def work(store: Store, clock: HandClock, found: list[str]) -> None:
        mine = Scene(store, clock)
        worker = mine.worker()
        start.wait(30)
        for _ in range(rounds):
            found += ids_of(mine.claim(worker, free=10))

    crew = Crew()
    for number, place in enumerate((scene, elsewhere, scene, elsewhere)):
        crew.add(work, place.store, place.clock, got[number])
    crew.start().join()
    claimed = [job for found in got for job in found]
    assert len(claimed) == len(set(claimed)), "a job was given to two workers"
    assert set(claimed) == ids


def test_a_claim_steps_over_rows_that_others_hold(on_postgresql: Scene) -> None:
    scene = on_postgresql
    held, free = scene.insert(2)
    jobs = scene.store.schema.qualified("jobs")
    with scene.store.engine.connect() as connection:
        connection.exec_driver_sql(f"SELECT 1 FROM {jobs} WHERE id = '{held}' FOR UPDATE")
        assert ids_of(scene.claim(scene.worker())) == [free]
    assert ids_of(scene.claim(scene.worker())) == [held]


def test_queues_with_ready_jobs(scene: Scene) -> None:
    assert scene.store.claims.ready_queues(scene.lane) == []
    for queue in ("b", "a", "ž", "a", "B"):
        scene.one(queue=queue)
    scene.one(queue="later", run_at=scene.clock.now() + timedelta(seconds=9))
    assert sorted(scene.store.claims.ready_queues(scene.lane)) == ["B", "a", "b", "ž"]
    scene.claim(scene.worker(), queue="b")
    assert sorted(scene.store.claims.ready_queues(scene.lane)) == ["B", "a", "ž"]


def test_what_a_worker_owns(scene: Scene) -> None:
    worker, colleague = scene.worker(), scene.worker()
    ids = scene.insert(3)
    jobs = scene.claim(worker, free=2)
    scene.claim(colleague)
    assert sorted(scene.store.claims.owned(worker)) == sorted((j.id, j.position, 1) for j in jobs)
    scene.finish(worker, jobs)
    assert scene.store.claims.owned(worker) == []
    assert [job[0] for job in scene.store.claims.owned(colleague)] == ids[2:]


def lost(scene: Scene, count: int, **changes: Any) -> list[str]:
    """Jobs that were lost before: each is to run in a process of its own."""
    ids, jobs = scene.insert(count, **changes), scene.store.schema.jobs
    scene.store.run(lambda c: c.execute(jobs.update().where(jobs.c.id.in_(ids)).values(losses=1)))
    return ids


def lone_claim(scene: Scene, worker: str, free: int, lone: int) -> list[str]:
    return ids_of(scene.store.claims.claim(scene.lane, scene.order(worker, free)._replace(lone=lone)))


def test_of_those_that_were_lost_only_so_many_are_taken(scene: Scene) -> None:
    worker = scene.worker()
    suspects, plain = lost(scene, 6), scene.insert(3)
    assert lone_claim(scene, worker, 5, 2) == suspects[:2]
    assert lone_claim(scene, worker, 2, 0) == plain[:2], "and they hide nothing that comes behind them"
    assert lone_claim(scene, worker, 9, 1) == [suspects[2], plain[2]]
    assert lone_claim(scene, worker, 9, 0) == []
    assert lone_claim(scene, worker, 9, 9) == suspects[3:]


def test_a_crash_counts_like_a_loss(scene: Scene) -> None:
    worker, jobs = scene.worker(), scene.store.schema.jobs
    scene.insert(2)
    scene.store.run(lambda c: c.execute(jobs.update().values(crashes=1)))
    assert lone_claim(scene, worker, 5, 0) == []
    assert len(lone_claim(scene, worker, 5, 1)) == 1


def test_of_capped_ones_that_were_lost_only_so_many_are_taken(scene: Scene) -> None:
    worker = scene.worker()
    suspects, plain = lost(scene, 4, task="capped"), scene.insert(2, task="capped")

    def claim(lone: int) -> list[str]:
        order = scene.order(worker, 5)._replace(lone=lone)
        return ids_of(scene.store.limits.claim(order, ["capped"], lambda name: Cap((name,), 100)))

    assert claim(0) == plain
    assert claim(3) == suspects[:3]


def test_the_look_behind_a_task_without_room_takes_no_more_that_were_lost(scene: Scene) -> None:
    worker = scene.worker()
    (running,) = scene.insert(1, task="full")
    assert lone_claim(scene, worker, 1, 0) == [running]
    suspects, _ = lost(scene, 4, task="capped"), scene.insert(1, task="full")
    order = scene.order(worker, 9)._replace(lone=2)
    room = {"full": 1, "capped": 100}
    taken = scene.store.limits.claim(order, list(room), lambda name: Cap((name,), room[name]))
    assert ids_of(taken) == suspects[:2]
