"""What is enqueued is stored: all of it, at once, or nothing."""

from datetime import timedelta

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.exc import IntegrityError

from backburner.errors import JobNotFound
from backburner.job import Job, JobFilter, NewJob
from backburner.states import JobState
from backburner.store.store import Store
from tests.store.scene import Scene

MANY = 150
"""Enough that PostgreSQL uses COPY."""


def full(scene: Scene) -> NewJob:
    now = scene.clock.now()
    return scene.job(
        task="shop.výkaz",
        args='{"text":"dobrý den 👋🏽 \\"quoted\\" \\n %s {} \'"}',
        codec="json",
        queue="slow",
        priority=-7,
        created_at=now - timedelta(seconds=1),
        run_at=now + timedelta(seconds=90),
        title="Report 📈 of Zoë",
        identifier="report:7",
        owner="user:ž",
        visibility="public",
        tags='["red","a b"]',
        meta='{"k":"v 🐍"}',
        context='{"trace":1}',
        options='{"timeout":5}',
        max_attempts=3,
        repeatable=False,
        expires_at=now + timedelta(days=9, microseconds=1),
    )


def expected(job: NewJob) -> Job:
    fields = job._asdict() | {"state": JobState.SCHEDULED, "tags": ("red", "a b"), "position": 1}
    fields["group"] = fields.pop("group_name")
    for beside in ("keys", "parents", "parents_left", "files", "cookies", "mac"):
        del fields[beside]
    return Job(**fields)


def test_one_job_comes_back_with_every_column(scene: Scene) -> None:
    job = full(scene)
    scene.store.jobs.insert([job])
    assert scene.get(job.id) == expected(job)


def test_every_column_survives_copy(scene: Scene) -> None:
    job = full(scene)
    scene.store.jobs.insert([job, *(scene.job() for _ in range(MANY))])
    assert scene.get(job.id) == expected(job)


NOT_UNIQUE = r"(?i)unique|duplicate entry"


@pytest.mark.parametrize("count", [0, 1, 2, 19, 20, MANY])
def test_any_number_of_jobs_in_the_order_given(scene: Scene, count: int) -> None:
    ids = scene.insert(count)
    found = scene.store.jobs.find(JobFilter(), count + 1)
    assert [job.id for job in sorted(found, key=lambda job: job.position)] == ids
    assert len({job.position for job in found}) == count


def test_due_jobs_are_queued_and_later_ones_scheduled(scene: Scene) -> None:
    now = scene.clock.now()
    past, present = scene.one(run_at=now - timedelta(seconds=1)), scene.one(run_at=now)
    future = scene.one(run_at=now + timedelta(microseconds=1))
    assert [scene.state(job) for job in (past, present, future)] == ["queued", "queued", "scheduled"]


@pytest.mark.parametrize("count", [2, MANY])
def test_all_or_none(scene: Scene, count: int) -> None:
    jobs = [scene.job() for _ in range(count)]
    with pytest.raises(Exception, match=NOT_UNIQUE):
        scene.store.jobs.insert([*jobs, jobs[0]])
    assert scene.store.jobs.count(JobFilter(), 10) == 0


@pytest.mark.parametrize("count", [1, 2, MANY])
def test_an_id_is_there_once_also_after_its_job_is_done(scene: Scene, count: int) -> None:
    done = scene.ended()
    again = [scene.job(id=done), *(scene.job() for _ in range(count - 1))]
    with pytest.raises(Exception, match=NOT_UNIQUE):
        scene.store.jobs.insert(again)
    assert scene.state(done) == "succeeded"
    assert scene.store.jobs.count(JobFilter(), 10) == 1


def test_a_failed_insert_leaves_the_connection_usable(scene: Scene) -> None:
    job = scene.job()
    scene.store.jobs.insert([job])
    for _ in range(3):
        with pytest.raises(Exception, match=NOT_UNIQUE):
            scene.store.jobs.insert([job, scene.job()])
    assert scene.state(scene.one()) == "queued"


@pytest.mark.parametrize("count", [1, 3])
def test_in_the_callers_transaction(scene: Scene, database_url: str, count: int) -> None:
    """On a plain engine of the application's own, which knows nothing of ours."""
    engine = create_engine(database_url)
    kept, dropped = [full(scene) for _ in range(count)], [scene.job() for _ in range(count)]
    with engine.connect() as connection:
        scene.store.jobs.insert_on(connection, kept)
        scene_sees = scene.store.jobs.states([job.id for job in kept])
        connection.commit()
        scene.store.jobs.insert_on(connection, dropped)
        connection.rollback()
    engine.dispose()
    assert scene_sees == {}
    assert scene.get(kept[0].id) == expected(kept[0])
    assert set(scene.store.jobs.ids(JobFilter(), 10)) == {job.id for job in kept}


def test_the_callers_transaction_keeps_its_own_error(scene: Scene, database_url: str) -> None:
    taken = scene.one()
    engine = create_engine(database_url)
    with engine.connect() as connection, pytest.raises(IntegrityError):
        scene.store.jobs.insert_on(connection, [scene.job(id=taken)])
    engine.dispose()


def test_times_keep_their_microseconds(store: Store, scene: Scene) -> None:
    job_id = scene.one()
    with store.engine.connect() as connection:
        stored = connection.scalar(select(store.schema.jobs.c.created_at))
    assert stored == scene.clock.now() == scene.get(job_id).created_at
    assert scene.clock.now().microsecond == 123456


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "7",
        "nonsense",
        "x" * 36,
        "-" * 36,
        "0-1-9-0aaaaaaa-bbbb-cccc-dddddddddddd",
        "\0" * 36,
        "' OR 1=1 --",
    ],
)
def test_what_is_no_id_belongs_to_no_job(scene: Scene, wrong: str) -> None:
    jobs, there = scene.store.jobs, scene.one()
    doors = (jobs.get, lambda text: jobs.cancel(text, "why"), jobs.retry, jobs.delete)
    for door in doors:
        with pytest.raises(JobNotFound):
            door(wrong)
    assert jobs.get_many([wrong, there]).keys() == {there}
    assert jobs.states([wrong, there]) == {there: "queued"}
    assert jobs.attempts(wrong) == []


def test_an_unknown_id_belongs_to_no_job(scene: Scene) -> None:
    jobs, unknown = scene.store.jobs, scene.ids.new()
    for door in (jobs.get, lambda text: jobs.cancel(text, "why"), jobs.retry, jobs.delete):
        with pytest.raises(JobNotFound, match=unknown):
            door(unknown)
    assert jobs.get_many([unknown]) == {}


def test_many_by_id(scene: Scene) -> None:
    ids = scene.insert(3)
    assert scene.store.jobs.get_many(ids[:2]).keys() == set(ids[:2])
    assert scene.store.jobs.get_many([]) == {}
    assert scene.store.jobs.states(ids) == dict.fromkeys(ids, "queued")
    assert scene.store.jobs.states([]) == {}
