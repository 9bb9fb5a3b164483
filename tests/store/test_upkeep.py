"""Chores: promote, expire, unhold, prune; each does its own and nothing more."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from backburner.errors import JobNotFound
from backburner.files import open_files
from backburner.job import JobFilter, Parent
from backburner.notify.polling import PollingBell
from backburner.relations import PARENTS
from backburner.seams import Seams
from backburner.settings import Settings
from backburner.states import FINAL, JobState
from backburner.store.dialects.base import ClaimOrder
from backburner.store.single import LAUNCH_SECONDS
from backburner.store.upkeep import BATCH, EXPIRED, UNKNOWN_TASK
from backburner.worker.promoter import Expirer, Promoter, Unholder
from backburner.worker.pruner import Pruner
from tests.store.scene import Scene, end
from tests.store.test_delete import full_job, rows


def test_promote_takes_what_is_due_and_names_its_queues(scene: Scene) -> None:
    now = scene.clock.now()
    a, b, later = (
        scene.one(queue=queue, run_at=now + timedelta(seconds=seconds))
        for queue, seconds in (("a", 1), ("b", 2), ("c", 3))
    )
    assert (scene.store.upkeep.promote(), scene.store.upkeep.next_due()) == (
        {},
        now + timedelta(seconds=1),
    )
    scene.clock.move(2)
    assert scene.store.upkeep.promote() == {"a": {50: 1}, "b": {50: 1}}
    assert [scene.state(job) for job in (a, b, later)] == ["queued", "queued", "scheduled"]
    assert scene.store.upkeep.promote() == {}
    assert scene.store.upkeep.next_due() == now + timedelta(seconds=3)


def test_nothing_is_due_where_nothing_waits(scene: Scene) -> None:
    scene.one()
    scene.ended()
    assert (scene.store.upkeep.promote(), scene.store.upkeep.next_due()) == ({}, None)


def test_promote_in_batches_the_earliest_first(scene: Scene) -> None:
    now = scene.clock.now()
    jobs = [scene.job(run_at=now + timedelta(seconds=1 + n % 7)) for n in range(BATCH + 30)]
    scene.store.jobs.insert(jobs)
    scene.clock.move(60)
    queued = JobFilter(states=frozenset({JobState.QUEUED}))
    scene.store.upkeep.promote()
    assert scene.store.jobs.count(queued, 10_000) == BATCH
    promoted = set(scene.store.jobs.ids(queued, 10_000))
    left = [job.run_at for job in jobs if job.id not in promoted]
    assert min(left) >= max(job.run_at for job in jobs if job.id in promoted)
    scene.store.upkeep.promote()
    assert scene.store.jobs.count(queued, 10_000) == BATCH + 30


def test_promoted_jobs_keep_their_place(scene: Scene) -> None:
    early = scene.one(run_at=scene.clock.now() + timedelta(seconds=1))
    scene.one()
    scene.clock.move(1)
    scene.store.upkeep.promote()
    assert scene.claim(scene.worker())[0].id == early


def test_expire_skips_what_waits_too_long(scene: Scene) -> None:
    at, worker = scene.clock.now() + timedelta(seconds=10), scene.worker()
    running, done = scene.running(worker, expires_at=at), scene.running(worker, expires_at=at)
    scene.finish(worker, [done])
    again = scene.running(worker, expires_at=at)
    scene.settle(worker, end(again, JobState.RETRYING, run_at=at, tries=1))
    queued, later = scene.one(expires_at=at), scene.one(expires_at=at + timedelta(seconds=1))
    scheduled, never = scene.one(expires_at=at, run_at=at + timedelta(days=1)), scene.one()
    scene.clock.move(9.999999)
    assert scene.store.upkeep.expire().count == 0
    now = scene.clock.move(0.000001)
    assert scene.store.upkeep.expire().count == 3
    assert [scene.state(job) for job in (queued, scheduled, again.id)] == ["skipped"] * 3
    assert [scene.state(job) for job in (later, never)] == ["queued"] * 2
    assert [scene.state(job.id) for job in (running, done)] == ["running", "succeeded"]
    job = scene.get(queued)
    assert (job.reason, job.finished_at) == (EXPIRED, now)
    assert scene.store.upkeep.expire().count == 0


def test_what_goes_on_behind_an_expired_job_is_rung_for(scene: Scene) -> None:
    """The next of its group, and what comes after it: nobody waits for a poll."""
    worker, at = scene.worker(), scene.clock.now() + timedelta(seconds=10)
    holder = scene.one(group_name="g")
    late, following = scene.one(group_name="g", expires_at=at), scene.one(group_name="g", queue="groups")
    parent = scene.one(expires_at=at)
    child = scene.job(
        queue="children", blocked_on=PARENTS, parents_left=1, parents=(Parent(parent, policy="run"),)
    )  # fmt: skip
    scene.store.inserts.put([child], 1)
    groups = scene.store.groups
    order = ClaimOrder(worker, "default", 1, 0, (), scene.clock.now())
    step = groups.claim(order, groups.arrivals(order), lambda _: None)
    assert [job.id for job in step.taken] == [holder]
    elsewhere = order._replace(queue="groups")
    assert groups.claim(elsewhere, groups.arrivals(elsewhere), lambda _: None).parked == 1
    scene.finish(worker, step.taken)
    groups.advance(["g"])
    assert scene.state(late) == "queued"
    scene.clock.move(11)
    bell, heard = PollingBell(), list[set[str]]()
    bell.ring = lambda queues: heard.append(set(queues))  # type: ignore[method-assign]
    assert Expirer(scene.store, bell).once() is None
    assert heard == [{"groups", "children"}]
    assert [scene.state(job) for job in (late, following, parent, child.id)] == ["skipped", "queued"] * 2


def test_expire_in_batches(scene: Scene) -> None:
    scene.insert(BATCH + 7, expires_at=scene.clock.now())
    assert [scene.store.upkeep.expire().count for _ in range(3)] == [BATCH, 7, 0]


def held(scene: Scene, task: str, blocked_on: str = UNKNOWN_TASK) -> str:
    worker = scene.worker()
    job = scene.running(worker, task=task)
    scene.settle(worker, end(job, JobState.BLOCKED, blocked_on=blocked_on, reason="held"))
    return job.id


def test_unhold_frees_the_tasks_that_are_known_now(scene: Scene) -> None:
    known, unknown = held(scene, "shop.new"), held(scene, "shop.other")
    damaged = held(scene, "shop.new", blocked_on="damaged row")
    assert scene.store.upkeep.unhold(["shop.new", "shop.else"]) == 1
    assert [scene.state(job) for job in (known, unknown, damaged)] == ["queued", "blocked", "blocked"]
    assert (scene.get(known).blocked_on, scene.get(known).reason) == (None, None)
    assert scene.store.upkeep.unhold([]) == 0
    assert scene.claim(scene.worker())[0].id == known


@pytest.mark.parametrize("state", sorted(FINAL))
def test_prune_takes_one_state_past_its_age(scene: Scene, state: JobState) -> None:
    ids = {each: scene.ended(each) for each in sorted(FINAL)}
    scene.clock.move(10)
    young = scene.ended(state)
    scene.clock.move(5)
    assert scene.store.upkeep.prune(state, 15) == 0
    scene.clock.move(0.000001)
    assert scene.store.upkeep.prunable(state, 15, 100) == 1
    assert scene.store.upkeep.prune(state, 15) == 1
    left = set(scene.store.jobs.ids(JobFilter(), 100))
    assert left == ({*ids.values(), young} - {ids[state]})


def test_prune_never_touches_what_is_not_finished(scene: Scene) -> None:
    later = scene.clock.now() + timedelta(days=1)
    running = scene.running().id
    ids = {scene.one(), scene.one(run_at=later), held(scene, "t"), running}
    retried = scene.ended()
    scene.store.jobs.retry(retried)
    scene.clock.move(10**7)
    assert [scene.store.upkeep.prune(state, 0) for state in sorted(JobState)] == [0] * len(JobState)
    assert set(scene.store.jobs.ids(JobFilter(), 100)) == {*ids, retried}


def test_prune_leaves_a_job_that_is_retried_meanwhile(
    scene: Scene, elsewhere: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody retries an old job between the pruner's look and its deletion: the job must live."""
    job = scene.ended()
    scene.clock.move(10)
    run = scene.store.run

    def retried_first(*arguments: object, **options: object) -> object:
        monkeypatch.setattr(scene.store, "run", run)
        elsewhere.store.jobs.retry(job)
        return run(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(scene.store, "run", retried_first)
    assert scene.store.upkeep.prune(JobState.SUCCEEDED, 0) == 0
    assert scene.state(job) == "queued"


def test_prune_takes_all_that_is_kept_of_a_job(scene: Scene) -> None:
    job = full_job(scene)
    scene.clock.move(1)
    assert scene.store.upkeep.prune(JobState.SUCCEEDED, 0) == 1
    assert set(rows(scene.store, job).values()) == {0}
    assert len(scene.store.upkeep.expired_files()) == 1


def test_prune_in_batches_the_oldest_first(scene: Scene) -> None:
    worker = scene.worker()
    scene.insert(BATCH + 5)
    first = scene.claim(worker, free=5)
    scene.clock.move(1)
    scene.finish(worker, scene.claim(worker, free=BATCH))
    scene.clock.move(1)
    scene.finish(worker, first)
    scene.clock.move(1)
    assert scene.store.upkeep.prunable(JobState.SUCCEEDED, 0, 100) == 100
    assert scene.store.upkeep.prune(JobState.SUCCEEDED, 0) == BATCH
    assert set(scene.store.jobs.ids(JobFilter(), 1000)) == {job.id for job in first}
    assert [scene.store.upkeep.prune(JobState.SUCCEEDED, 0) for _ in range(2)] == [5, 0]


def test_what_was_held_is_freed_batch_by_batch(scene: Scene) -> None:
    """However many they are: each transaction locks no more than a batch, and a single look leaves none."""
    held = [scene.job(task="shop.new", blocked_on=UNKNOWN_TASK) for _ in range(BATCH + 3)]
    scene.store.inserts.put(held, 1000)
    assert scene.store.upkeep.unhold(["shop.new"]) == BATCH
    chore = Unholder(scene.store, PollingBell(), lambda: ["shop.new"])
    assert chore.once() == Unholder.soon
    assert len(scene.claim(scene.worker(), free=1000)) == BATCH + 3
    scene.store.inserts.put([job._replace(id=scene.ids.new()) for job in held], 1000)
    assert chore.once() == Unholder.soon
    assert len(scene.claim(scene.worker(), free=1000)) == BATCH + 3
    assert chore.once() is None


def test_a_chore_steps_over_rows_that_others_hold(on_postgresql: Scene) -> None:
    scene = on_postgresql
    now = scene.clock.now()
    busy, due = scene.one(run_at=now + timedelta(seconds=1)), scene.one(run_at=now + timedelta(seconds=2))
    scene.clock.move(5)
    jobs = scene.store.schema.qualified("jobs")
    with scene.store.engine.connect() as connection:
        connection.exec_driver_sql(f"SELECT 1 FROM {jobs} WHERE id = '{busy}' FOR UPDATE")
        scene.store.upkeep.promote()
    assert [scene.state(job) for job in (busy, due)] == ["scheduled", "queued"]


def test_what_is_due_and_locked_by_others_does_not_keep_the_chores_running(on_server: Scene) -> None:
    scene, promoter = on_server, Promoter(on_server.store, PollingBell(), 1.0, Seams())
    busy = scene.one(run_at=scene.clock.now() + timedelta(seconds=1))
    scene.clock.move(5)
    jobs = scene.store.schema.jobs
    with scene.store.engine.begin() as connection:
        connection.execute(select(jobs.c.id).where(jobs.c.id == busy).with_for_update())
        pause = promoter.once()
        assert pause is not None
        assert pause >= Promoter.soon
    assert promoter.once() is None
    assert scene.state(busy) == "queued"


def test_launched_jobs_that_others_hold_are_stepped_over(on_postgresql: Scene) -> None:
    scene = on_postgresql
    busy, free = scene.one(blocked_on="launch"), scene.one(blocked_on="launch")
    scene.clock.move(LAUNCH_SECONDS + 1)
    jobs = scene.store.schema.jobs
    with scene.store.engine.begin() as connection:
        connection.execute(select(jobs.c.id).where(jobs.c.id == busy).with_for_update())
        assert scene.store.single.release_launches() == 1
        assert [scene.state(job) for job in (busy, free)] == ["blocked", "queued"]
    assert scene.store.single.release_launches() == 1
    assert scene.state(busy) == "queued"


def test_a_job_that_says_until_when_it_is_kept(scene: Scene) -> None:
    worker, until = scene.worker(), scene.clock.now() + timedelta(seconds=10)
    scene.insert(3)
    mine, short, plain = scene.claim(worker)
    scene.settle(worker, end(mine, keep_until=until), end(short, keep_until=scene.clock.now()), end(plain))
    scene.clock.move(9.999999)
    assert scene.store.upkeep.prunable(JobState.SUCCEEDED, 0, 10) == 1
    assert (scene.store.upkeep.prune(JobState.SUCCEEDED, 0), scene.store.upkeep.prune_kept()) == (1, 1)
    assert scene.store.jobs.ids(JobFilter(), 10) == [mine.id]
    scene.clock.move(0.000001)
    assert scene.store.upkeep.prune_kept() == 1
    assert scene.store.jobs.ids(JobFilter(), 10) == []


def test_a_retried_job_forgets_until_when_it_was_kept(scene: Scene) -> None:
    worker = scene.worker()
    job = scene.running(worker)
    scene.settle(worker, end(job, keep_until=scene.clock.now()))
    scene.store.jobs.retry(job.id)
    scene.clock.move(1)
    assert scene.store.upkeep.prune_kept() == 0
    scene.finish(worker, scene.claim(worker))
    assert scene.store.upkeep.prune_kept() == 0
    assert scene.state(job.id) == "succeeded"


def test_prune_kept_never_touches_what_is_not_finished(scene: Scene) -> None:
    worker = scene.worker()
    job = scene.running(worker)
    scene.settle(worker, end(job, JobState.QUEUED, keep_until=scene.clock.now()))
    scene.clock.move(1)
    assert scene.store.upkeep.prune_kept() == 0
    assert scene.state(job.id) == "queued"


def test_cleaning_has_a_switch_of_its_own(scene: Scene, tmp_path: Path) -> None:
    job = scene.ended()
    scene.clock.move(100)
    files = open_files(str(tmp_path / "files"), scene.ids)
    Pruner(scene.store, files, Settings(cleaning=False, keep_succeeded=10.0)).once()
    assert scene.state(job) is JobState.SUCCEEDED
    Pruner(scene.store, files, Settings(keep_succeeded=10.0)).once()
    with pytest.raises(JobNotFound):
        scene.get(job)


def test_a_time_of_cleaning_that_nobody_was_there_for_is_made_up_for(scene: Scene, tmp_path: Path) -> None:
    """As where jobs are run by cron, and no process lives at that minute."""
    files = open_files(str(tmp_path / "files"), scene.ids)
    settings = Settings(keep_succeeded=3600.0, clean_cron="0 3 * * *")

    def till(day: int, hour: int, minute: int = 0) -> None:
        scene.clock.move((datetime(2030, 5, day, hour, minute, tzinfo=UTC) - scene.clock.now()).total_seconds())

    def left() -> list[str]:
        # Of a process that comes and goes before its round would be due.
        Pruner(scene.store, files, settings, at_end=True).last()
        return scene.store.jobs.ids(JobFilter(), 10)

    till(18, 1, 59)
    old = scene.ended()
    till(18, 2, 1)
    young = scene.ended()
    till(18, 2, 59)
    assert left() == [young, old]
    till(18, 8)
    assert left() == [young], "at three it was not an hour old"
    till(19, 2, 30)
    another = scene.ended()
    assert left() == [another, young]
    till(19, 3)
    assert left() == [another]
    till(19, 12)
    scene.store.runtime.say("keep_succeeded", 60, "lena")
    assert left() == [another], "what is said at noon is not meant for last night"
    till(20, 3)
    assert left() == []


def test_a_file_that_cannot_be_deleted_keeps_no_other_one(scene: Scene, tmp_path: Path) -> None:
    files, now = open_files(str(tmp_path)), scene.clock.now()
    job = scene.one()
    stuck, other = (
        replace(files.keep(job, name, io.BytesIO(b"bytes"), None, now), expires_at=now) for name in ("a", "b")
    )
    for file in (stuck, other):
        scene.store.attachments.add(file, None)
    # No user may unlink a folder.
    (tmp_path / stuck.place).unlink()
    (tmp_path / stuck.place).mkdir()
    scene.clock.move(1)
    Pruner(scene.store, files, Settings()).once()
    assert not (tmp_path / other.place).exists()
    assert scene.store.upkeep.expired_files() == [(stuck.id, stuck.place)]
