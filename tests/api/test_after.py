"""`after=`: stored with its job, wherever that goes, and refused when there is no such parent."""

from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from backburner import Backburner, JobState, Task
from backburner.errors import UnknownParent
from tests.api.drivers import driver
from tests.api.rings import Rings

S = JobState
NOBODY = "01900000-0000-7000-8000-000000000000"


@pytest.fixture
def work(jobs: Backburner) -> Task[[int], None]:
    @jobs.task
    def work(n: int) -> None: ...

    jobs.store.ready()
    return work


def core(url: str) -> Any:
    return create_engine(url).connect()


def session(url: str) -> Any:
    return Session(create_engine(url))


ALL = [driver, core, session]


def test_it_waits_for_all_of_them(jobs: Backburner, work: Task[[int], None]) -> None:
    first, second = work.enqueue(1), work.enqueue(2)
    job = work.options(after=[first, second.id, first]).enqueue(3)
    assert (job.state, job.blocked_on) == (S.BLOCKED, "parents")
    assert (job.refresh().state, job.refresh().blocked_on) == (S.BLOCKED, "parents")


def test_many_calls_come_after_the_same(jobs: Backburner, work: Task[[int], None]) -> None:
    first = work.enqueue(0)
    ids = jobs.enqueue_many(work.options(after=first), [(1,), (2,)])
    assert {jobs.get(job).state for job in ids} == {S.BLOCKED}


def test_a_bulk_block_may_hold_both(jobs: Backburner, work: Task[[int], None]) -> None:
    with jobs.bulk(size=2):
        first = work.enqueue(0)
        rest = [work.options(after=first).enqueue(n) for n in range(5)]
    assert {job.refresh().state for job in rest} == {S.BLOCKED}


def test_an_unknown_parent_is_refused(jobs: Backburner, work: Task[[int], None]) -> None:
    with pytest.raises(UnknownParent, match=NOBODY) as caught:
        work.options(after=NOBODY).enqueue(1)
    assert caught.value.parent == NOBODY

    def two() -> None:
        with jobs.bulk():
            work.enqueue(1)
            work.options(after=NOBODY).enqueue(2)

    with pytest.raises(UnknownParent):
        two()
    assert jobs.find() == []


@pytest.mark.parametrize("how", ["cancel", "run"])
def test_parents_that_are_done_already(jobs: Backburner, work: Task[[int], None], how: Any) -> None:
    rings = Rings(jobs)
    first = work.enqueue(1).cancel()
    rings.heard.clear()
    job = work.options(after=first, after_failed=how, queue="mail").enqueue(2)
    state = {"cancel": S.CANCELLED, "run": S.QUEUED}[how]
    assert job.refresh().state is state
    assert rings.heard == ([{"mail"}] if how == "run" else [])


@pytest.mark.parametrize("open_it", ALL)
def test_in_the_callers_transaction(jobs: Backburner, work: Task[[int], None], database_url: str, open_it: Any) -> None:
    stored = work.enqueue(0)
    connection = open_it(database_url)
    with jobs.transaction(connection):
        first = work.enqueue(1)
        job = work.options(after=[stored, first]).enqueue(2)
        with pytest.raises(UnknownParent):
            work.options(after=NOBODY).enqueue(3)
        connection.commit()
    connection.close()
    # What was refused left nothing behind in the transaction.
    assert len(jobs.find()) == 3
    assert job.refresh().state is S.BLOCKED


def test_workers_are_told_of_parents_that_were_done(
    jobs: Backburner, work: Task[[int], None], database_url: str
) -> None:
    first = work.enqueue(1).cancel()
    with session(database_url) as connection:
        job = work.options(after=first, after_failed="run", connection=connection).enqueue(2)
        connection.commit()
    assert job.refresh().state is S.QUEUED


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_a_transaction_that_sees_an_old_database_may_name_a_newer_parent(
    server: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(f"{server}_url")
    made = Backburner(url)

    @made.task
    def late(n: int) -> None: ...

    made.store.migrate()
    engine = create_engine(url, isolation_level="REPEATABLE READ")
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1 FROM backburner_jobs")
        first = late.enqueue(1)
        job = late.options(after=first, connection=connection).enqueue(2)
        connection.commit()
    assert job.refresh().state is S.BLOCKED
    made.close()
