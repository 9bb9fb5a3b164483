"""Many jobs in one transaction: all or none."""

import asyncio
import json
import threading
from contextlib import suppress
from contextvars import copy_context

import pytest

from backburner import Backburner, Task
from backburner.errors import InvalidArgument, InvalidOption, WaitInsideTransaction
from tests.api.rings import Rings


@pytest.fixture
def work(jobs: Backburner) -> Task[[int], None]:
    @jobs.task
    def work(n: int) -> None: ...

    return work


def numbers(jobs: Backburner) -> list[int]:
    return sorted(json.loads(job.args)["n"] for job in jobs.find(limit=1000))


def test_enqueue_many_takes_tuples_and_dicts(jobs: Backburner, work: Task[[int], None]) -> None:
    rings = Rings(jobs)
    ids = jobs.enqueue_many(work, [(1,), {"n": 2}, [3]])  # type: ignore[list-item]
    assert [json.loads(jobs.get(job_id).args)["n"] for job_id in ids] == [1, 2, 3]
    positions = [jobs.get(job_id).position for job_id in ids]
    assert positions == sorted(positions)
    assert rings.heard == [{"default"}]
    assert jobs.enqueue_many(work, []) == []


def test_one_wrong_call_of_many_stores_none(jobs: Backburner, work: Task[[int], None]) -> None:
    with pytest.raises(InvalidArgument):
        jobs.enqueue_many(work, [(1,), ("two",)])
    with pytest.raises(InvalidArgument, match=r"\(5,\)"):
        jobs.enqueue_many(work, [5])  # type: ignore[list-item]
    assert jobs.find() == []


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_block_is_stored_at_its_end(jobs: Backburner, work: Task[[int], None], size: int) -> None:
    rings = Rings(jobs)
    with jobs.bulk(size=size) as bulk:
        made = [work.enqueue(n) for n in range(7)]
        assert bulk.ids == [job.id for job in made]
        assert jobs.find() == []
        with pytest.raises(WaitInsideTransaction):
            made[0].wait(10)
    assert numbers(jobs) == list(range(7))
    assert rings.heard == [{"default"}]
    assert not made[0].wait(0)


def test_a_block_that_raises_stores_nothing(jobs: Backburner, work: Task[[int], None]) -> None:
    with suppress(ZeroDivisionError), jobs.bulk():
        work.enqueue(1)
        raise ZeroDivisionError
    assert jobs.find() == []
    work.enqueue(2)
    assert numbers(jobs) == [2]


def test_a_block_inside_a_block_goes_with_the_outer_one(jobs: Backburner, work: Task[[int], None]) -> None:
    with suppress(ZeroDivisionError), jobs.bulk():
        with jobs.bulk():
            work.enqueue(1)
        raise ZeroDivisionError
    assert jobs.find() == []


def test_a_block_is_the_affair_of_its_thread(jobs: Backburner, work: Task[[int], None]) -> None:
    with suppress(ZeroDivisionError), jobs.bulk():
        other = threading.Thread(target=work.enqueue, args=(1,))
        other.start()
        other.join()
        work.enqueue(2)
        raise ZeroDivisionError
    assert numbers(jobs) == [1]


def test_a_block_is_the_affair_of_its_asyncio_task(jobs: Backburner, work: Task[[int], None]) -> None:
    async def collects(inside: asyncio.Event, go_on: asyncio.Event) -> None:
        with jobs.bulk():
            await work.aenqueue(1)
            inside.set()
            await go_on.wait()
            raise ZeroDivisionError

    async def both() -> None:
        inside, go_on = asyncio.Event(), asyncio.Event()
        collecting = asyncio.create_task(collects(inside, go_on))
        await inside.wait()
        await work.aenqueue(2)
        go_on.set()
        with pytest.raises(ZeroDivisionError):
            await collecting

    asyncio.run(both())
    assert numbers(jobs) == [2]


def test_a_context_that_outlives_the_block_is_outside_of_it(jobs: Backburner, work: Task[[int], None]) -> None:
    """Tasks and threads begun inside have a copy of its context, and may go on when it has ended."""

    async def begun_inside() -> None:
        over = asyncio.Event()

        async def later() -> None:
            await over.wait()
            await work.aenqueue(2)

        with jobs.bulk():
            task = asyncio.create_task(later())
            await work.aenqueue(1)
        over.set()
        await task

    asyncio.run(begun_inside())
    assert numbers(jobs) == [1, 2]
    with suppress(ZeroDivisionError), jobs.bulk():
        copied = copy_context()
        raise ZeroDivisionError
    thread = threading.Thread(target=copied.run, args=(work.enqueue, 3))
    thread.start()
    thread.join()
    assert numbers(jobs) == [1, 2, 3]


def test_a_context_of_a_block_that_is_over_goes_with_the_one_around(jobs: Backburner, work: Task[[int], None]) -> None:
    with suppress(ZeroDivisionError), jobs.bulk():
        with jobs.bulk():
            copied = copy_context()
        copied.run(work.enqueue, 1)
        raise ZeroDivisionError
    copied.run(work.enqueue, 2)
    assert numbers(jobs) == [2]


def test_a_block_is_entered_once_at_a_time(jobs: Backburner, work: Task[[int], None]) -> None:
    block = jobs.bulk()
    with block, pytest.raises(InvalidOption, match="entered already"), block:
        work.enqueue(1)
    with block:
        work.enqueue(2)
    assert numbers(jobs) == [2]


@pytest.mark.parametrize("size", [0, -1, True, "7", 10**9])
def test_a_wrong_size_is_refused(jobs: Backburner, size: int) -> None:
    with pytest.raises(InvalidOption, match="size"):
        jobs.bulk(size=size)
