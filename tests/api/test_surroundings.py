"""What is around a call that enqueues: the owner and the transaction that an adapter knows of."""

import asyncio
from collections.abc import Iterator
from contextvars import ContextVar

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from backburner import Backburner, Task
from backburner.errors import InvalidOption

PERSON: ContextVar[str | None] = ContextVar("person", default=None)


@pytest.fixture
def work(jobs: Backburner) -> Task[[int], None]:
    @jobs.task
    def work(n: int) -> None: ...

    jobs.store.ready()
    return work


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    engine = create_engine(database_url)
    with Session(engine) as made:
        yield made
    engine.dispose()


def test_who_is_signed_in_owns_what_is_enqueued(jobs: Backburner, work: Task[[int], None]) -> None:
    jobs.surroundings.add(owner=lambda: None)
    jobs.surroundings.add(owner=PERSON.get)
    before = work.enqueue(1)
    token = PERSON.set("ada")
    mine, named = work.enqueue(2), work.options(owner="bob").enqueue(3)
    from_a_coroutine = asyncio.run(work.aenqueue(4))
    (listed,) = jobs.enqueue_many(work, [(5,)])
    PERSON.reset(token)
    found = [jobs.get(job.id).owner for job in (before, mine, named, from_a_coroutine)]
    assert (found, jobs.get(listed).owner) == ([None, "ada", "bob", "ada"], "ada")


def test_a_coroutine_loads_the_owner_before_a_thread_asks(jobs: Backburner, work: Task[[int], None]) -> None:
    loaded: dict[str, str] = {}

    async def load() -> None:
        loaded["owner"] = "ada"

    jobs.surroundings.add(owner=lambda: loaded.get("owner"), load=load)
    assert jobs.get(work.enqueue(1).id).owner is None
    assert jobs.get(asyncio.run(work.aenqueue(2)).id).owner == "ada"


def test_what_is_enqueued_joins_the_open_transaction(
    jobs: Backburner, work: Task[[int], None], session: Session
) -> None:
    opened = [session]
    jobs.surroundings.add(connection=lambda: opened[0] if opened else None)
    lost = work.enqueue(1)
    with jobs.bulk():
        work.enqueue(2)
    session.rollback()
    kept = [work.enqueue(3).id, *jobs.enqueue_many(work, [(4,)])]
    with jobs.bulk() as block:
        work.enqueue(5)
    kept += block.ids
    assert jobs.find() == [], "nothing is there before the commit"
    session.commit()
    opened.clear()
    kept.append(work.enqueue(6).id)
    assert {job.id for job in jobs.find()} == set(kept)
    assert lost.id not in kept


def test_a_transaction_that_begins_in_a_bulk_has_its_own(
    jobs: Backburner, work: Task[[int], None], session: Session
) -> None:
    opened: list[Session] = []
    jobs.surroundings.add(connection=lambda: opened[0] if opened else None)
    with jobs.bulk() as block:
        before = work.enqueue(1)
        opened.append(session)
        lost = work.enqueue(2)
        session.rollback()
        kept = work.enqueue(3)
        session.commit()
        opened.clear()
        after = work.enqueue(4)
        assert [job.id for job in jobs.find()] == [kept.id], "there with its own commit, and not with the block's end"
    assert block.ids == [before.id, after.id]
    assert {job.id for job in jobs.find()} == {before.id, kept.id, after.id}
    assert lost.id not in block.ids


def test_what_the_call_says_comes_first(jobs: Backburner, work: Task[[int], None], session: Session) -> None:
    """A session that is asked for nothing must not be touched: it would begin a transaction."""
    jobs.surroundings.add(connection=lambda: pytest.fail("nobody needs it"))
    with jobs.transaction(session):
        work.enqueue(1)
    work.options(connection=session).enqueue(2)
    session.commit()
    assert len(jobs.find()) == 2


@pytest.mark.parametrize("name", ["owner", "connection"])
def test_a_value_in_place_of_a_function_is_refused(name: str) -> None:
    jobs = Backburner("sqlite:///never-opened.db")
    with pytest.raises(InvalidOption, match=f"'{name}' = 'ada'.*Pass a function"):
        jobs.surroundings.add(**{name: "ada"})  # type: ignore[arg-type]
