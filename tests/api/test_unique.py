"""What enqueueing answers when an equal job is there already."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from backburner import Backburner, JobState, Task
from backburner.errors import DuplicateJob, IdempotencyMismatch
from tests.api.drivers import asynchronous, driver
from tests.api.rings import Rings
from tests.api.test_transaction import ALL, core, opened, session

Open = Callable[[str], Any]


@pytest.fixture
def work(jobs: Backburner) -> Task[[int], None]:
    @jobs.task(unique="live")
    def work(n: int) -> None: ...

    jobs.store.ready()
    return work


def test_the_winner_comes_back(jobs: Backburner, work: Task[[int], None]) -> None:
    first = work.options(title="first").enqueue(1)
    second = work.options(title="second").enqueue(1)
    assert (second.id, second.title, second.uncommitted) == (first.id, "first", False)
    assert asyncio.run(work.aenqueue(1)).id == first.id
    assert work.enqueue(2).id != first.id
    assert len(jobs.find()) == 2


def test_an_identifier_says_what_is_equal(jobs: Backburner, work: Task[[int], None]) -> None:
    first = work.options(identifier="invoice-7").enqueue(1)
    assert work.options(identifier="invoice-7").enqueue(2).id == first.id
    assert work.enqueue(1).id != first.id
    assert jobs.unfinished_identifiers(["invoice-7", "invoice-8"]) == {"invoice-7"}


def test_what_comes_back_is_as_it_is_stored(jobs: Backburner, work: Task[[int], None]) -> None:
    first = work.enqueue(1)
    skipped = work.options(on_conflict="skip").enqueue(1)
    assert (skipped.state, skipped.done) == (JobState.SKIPPED, True)
    assert first.id in (skipped.reason or "")
    with pytest.raises(DuplicateJob) as caught:
        work.options(on_conflict="reject").enqueue(1)
    assert caught.value.job_id == first.id


def test_many_have_the_winners_in_their_places(jobs: Backburner, work: Task[[int], None]) -> None:
    rings = Rings(jobs)
    first = work.enqueue(1)
    one, two, again = jobs.enqueue_many(work, [(1,), (2,), (2,)])
    assert (one, again) == (first.id, two)
    rings.heard.clear()
    assert jobs.enqueue_many(work, [(1,), (2,)]) == [one, two]
    assert rings.heard == []


def test_a_block_has_the_winners_after_it(jobs: Backburner, work: Task[[int], None]) -> None:
    first = work.enqueue(1)
    with jobs.bulk() as outer:
        with jobs.bulk() as inner:
            made = [work.enqueue(n) for n in (1, 2, 2)]
        assert outer.ids == inner.ids == [job.id for job in made]
    assert outer.ids == inner.ids == [first.id, made[1].id, made[1].id]


def test_what_comes_after_a_loser_comes_after_the_winner(jobs: Backburner, work: Task[[int], None]) -> None:
    @jobs.task
    def follow() -> None: ...

    first = work.enqueue(1)
    with jobs.bulk():
        loser = work.enqueue(1)
        follower = follow.options(after=loser).enqueue()
    assert (follower.refresh().state, follower.refresh().blocked_on) == (JobState.BLOCKED, "parents")
    d = jobs.store.schema.dependencies.c
    query = select(d.parent).where(d.child == follower.id)
    assert jobs.store.read(lambda c: c.execute(query).scalars().all()) == [first.id]


@pytest.mark.parametrize("open_it", ALL)
def test_in_the_callers_transaction_too(
    jobs: Backburner, work: Task[[int], None], database_url: str, open_it: Open
) -> None:
    committed = work.enqueue(1)
    with opened(open_it, database_url) as connection:
        with jobs.transaction(connection):
            assert work.enqueue(1).id == committed.id
            mine = work.enqueue(2)
            again = work.enqueue(2)
            assert (again.id, again.uncommitted) == (mine.id, True)
            with pytest.raises(DuplicateJob):
                work.options(on_conflict="reject").enqueue(2)
            replaced = work.options(on_conflict="replace", delay=60).enqueue(1)
            assert jobs.enqueue_many(work, [(3,), (1,), (3,)])[1] == replaced.id
            connection.commit()
        assert committed.refresh().state is JobState.CANCELLED
        assert len(jobs.find()) == 4
        work.options(connection=connection).enqueue(9)
        connection.rollback()
    assert len(jobs.find()) == 4
    assert work.enqueue(9).state is JobState.QUEUED


def test_in_an_async_session_too(jobs: Backburner, work: Task[[int], None], database_url: str) -> None:
    committed = work.enqueue(1)

    async def handler() -> None:
        engine = create_async_engine(asynchronous(database_url))
        async with AsyncSession(engine) as session:
            async with jobs.transaction(session):
                assert (await work.aenqueue(1)).id == committed.id
                mine = await work.aenqueue(2)
                assert (await work.aenqueue(2)).id == mine.id
                with pytest.raises(DuplicateJob):
                    await work.options(on_conflict="reject").aenqueue(2)
            await session.commit()
        await engine.dispose()

    asyncio.run(handler())
    assert len(jobs.find()) == 2


def test_a_connection_that_commits_by_itself(jobs: Backburner, work: Task[[int], None], database_url: str) -> None:
    engine = create_engine(database_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        job = work.options(connection=connection).enqueue(1)
        assert work.options(connection=connection).enqueue(1).id == job.id
    engine.dispose()
    assert [found.id for found in jobs.find()] == [job.id]


def test_a_request_that_comes_twice(jobs: Backburner, database_url: str) -> None:
    @jobs.task
    def pay(order: int) -> None: ...

    ada, ben = pay.options(owner="ada", idempotency_key="k"), pay.options(owner="ben", idempotency_key="k")
    first = ada.enqueue(1)
    assert first.unique_key is None
    first.cancel()
    assert ada.enqueue(1).id == first.id
    assert ben.enqueue(1).id != first.id
    with pytest.raises(IdempotencyMismatch, match=first.id):
        ada.enqueue(2)
    with opened(core, database_url) as connection:
        assert ada.options(connection=connection).enqueue(1).id == first.id
        connection.rollback()
    assert len(jobs.find()) == 2


def test_retry_of_many_leaves_out_what_has_an_equal(jobs: Backburner, work: Task[[int], None]) -> None:
    old = work.enqueue(1)
    old.cancel()
    new = work.enqueue(1)
    other = work.enqueue(2)
    other.cancel()
    with pytest.raises(DuplicateJob, match=new.id):
        jobs.retry(old)
    assert jobs.retry(state="cancelled") == 1
    assert [job.refresh().state for job in (old, new, other)] == ["cancelled", "queued", "queued"]


@pytest.mark.parametrize("open_it", [driver, core, session])
def test_a_group_goes_on_when_its_head_is_pushed_back_in_the_callers_transaction(
    jobs: Backburner, work: Task[[int], None], database_url: str, open_it: Open
) -> None:
    """Nothing new is stored then, and all the same there is something to tell."""
    head = work.options(group="g", on_conflict="debounce")
    with jobs.bulk():
        first, second = head.enqueue(1), work.options(group="g").enqueue(2)
    later = work.options(on_conflict="debounce", delay=60, queue="later").enqueue(3)
    rings = Rings(jobs)
    with opened(open_it, database_url) as connection:
        with jobs.transaction(connection):
            assert head.options(delay=60).enqueue(1).id == first.id
            connection.commit()
        assert (first.refresh().state, second.refresh().state) == (JobState.SCHEDULED, JobState.QUEUED)
        assert rings.heard == [{"default"}]
        rings.heard.clear()
        with jobs.transaction(connection):
            assert work.options(on_conflict="debounce").enqueue(3).id == later.id
            connection.commit()
        assert later.refresh().state is JobState.QUEUED
        assert rings.heard == [{"later"}]
