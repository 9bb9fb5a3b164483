"""The same logic at once for few, in the background for many."""

import asyncio
import threading

import pytest

from backburner import Backburner, JobState, current_job, track
from backburner.errors import InvalidArgument
from tests.parity.conftest import StartWorker
from tests.parity.running import done


def test_enq_15_one_call_decides_and_says_what_it_did(jobs: Backburner, start_worker: StartWorker) -> None:
    threads: list[str] = []

    @jobs.task
    def archive(products: list[int]) -> int:
        threads.append(threading.current_thread().name)
        return sum(1 for _ in track(products, unit="products"))

    few, many = list(range(3)), list(range(30))
    here = archive.enqueue_if(len(few) > 20, few)
    assert (here.enqueued, here.job, here.value) == (False, None, 3)
    assert jobs.find() == []
    there = archive.options(title="Archive 30 products").enqueue_if(len(many) > 20, many)
    assert (there.enqueued, there.value) == (True, None)
    assert there.job is not None
    assert there.job.title == "Archive 30 products"
    start_worker()
    assert done(there.job).result() == 30
    assert threads[0] == threading.current_thread().name
    assert threads[1] != threads[0]


def test_enq_15_what_works_with_few_works_with_many(jobs: Backburner) -> None:
    """Arguments that could not be stored are refused at once too, not first on the day when there are many."""
    ran: list[object] = []

    @jobs.task
    def archive(products: list[int]) -> None:
        ran.append(products)

    for large in (False, True):
        with pytest.raises(InvalidArgument, match="products"):
            archive.enqueue_if(large, ["one"])  # type: ignore[list-item]
    assert (ran, jobs.find()) == ([], [])


def test_enq_15_an_error_here_is_the_callers(jobs: Backburner) -> None:
    @jobs.task
    def archive() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        archive.enqueue_if(False)
    decision = archive.enqueue_if(True)
    assert decision.job is not None
    assert decision.job.state is JobState.QUEUED


def test_enq_15_for_coroutines(jobs: Backburner, start_worker: StartWorker) -> None:
    @jobs.task
    def plain(number: int) -> tuple[int, str]:
        return 2 * number, threading.current_thread().name

    @jobs.task
    async def coroutine(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number + (current_job().attempt)

    async def view() -> None:
        here = await plain.aenqueue_if(False, 4)
        assert here.value is not None
        assert here.value[0] == 8
        # A plain function must not hold up the loop.
        assert here.value[1] != threading.current_thread().name
        assert (await coroutine.aenqueue_if(False, 4)).value == 8
        there = await coroutine.aenqueue_if(True, 4)
        assert there.job is not None
        start_worker()
        assert await jobs.await_done(there.job, 30)
        assert there.job.result() == 9

    asyncio.run(view())
