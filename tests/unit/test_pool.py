"""The pool of threads: who gets a job, and which slots bodies run in."""

import threading
from collections import deque
from typing import Any

from backburner.job import ClaimedJob
from backburner.worker.pool import Pool
from tests.waiting import wait_until


def claimed(number: int) -> ClaimedJob:
    return ClaimedJob(
        f"job {number}", number, 1, "task", "{}", "json", "default", 50, 0, 0, 0, None, True, None, None, None, None
    )


class Bodies:
    """Bodies that wait until the test lets them end; it sees in which slot each one runs."""

    def __init__(self, size: int, *, away: bool = False) -> None:
        self.pool = Pool(size, self._run, lambda: True, self._room)
        self.rings = 0
        self.slots: dict[str, int] = {}
        self._away = away
        self._ends: dict[str, threading.Event] = {}

    def add(self, number: int) -> int:
        """Have a job run; the slot it runs in."""
        job = claimed(number)
        self._ends[job.id] = threading.Event()
        self.pool.add([job], 1)
        wait_until(lambda: job.id in self.slots, f"{job.id} begins")
        return self.slots[job.id]

    def end(self, number: int) -> None:
        self._ends[f"job {number}"].set()

    def _room(self) -> None:
        self.rings += 1

    def _run(self, job: ClaimedJob, slot: int) -> bool:
        self.slots[job.id] = slot
        if self._away:
            self.pool.goes_on()
        else:
            self._ends[job.id].wait(30)
        return self._away


def test_a_job_that_a_thread_takes_is_not_given_back_as_well() -> None:
    pool = Pool(1, lambda job, slot: False, lambda: True, lambda: None)
    taken: list[ClaimedJob] = []

    class Contested(deque[ClaimedJob]):
        """A thread takes a job whenever the other side has looked at the whole, or is about to empty it."""

        def clear(self) -> None:
            taken.append(super().popleft())
            super().clear()

        def __iter__(self) -> Any:
            jobs = list(super().__iter__())
            taken.append(super().popleft())
            return iter(jobs)

    pool._ready = Contested([claimed(1), claimed(2), claimed(3)])
    assert len(pool.take_back()) + len(taken) == 3


def test_slots_of_threads_that_came_back_late_are_used_again() -> None:
    bodies = Bodies(2)
    for number in range(5):
        slot = bodies.add(number)
        assert slot < 2, "slots from 2 on belong to bodies on the loop"
        bodies.pool.write_off(slot)
        bodies.end(number)
        wait_until(lambda: bodies.pool.free == 2, "the lost thread comes back and its place is free")
    assert bodies.pool.idle


def test_a_body_on_the_loop_that_is_written_off_leaves_a_pool_that_becomes_idle() -> None:
    bodies = Bodies(1, away=True)
    bodies.add(1)

    away = 1  # the first slot of the loop
    wait_until(lambda: bodies.pool._away == 1, "it has gone on elsewhere")
    bodies.pool.write_off(away)
    wait_until(lambda: bodies.pool.idle, "nothing is counted on any more")
    assert bodies.pool.free == 0, "its place stays taken while it runs"
    bodies.pool.left(away)
    assert bodies.pool.idle
    assert bodies.pool.free == 1


def test_a_body_that_ends_elsewhere_before_its_thread_is_back() -> None:
    """As an async task does that has nothing to wait for: its place must not be given away twice."""
    taken: list[str] = []

    def run(job: ClaimedJob, slot: int) -> bool:
        taken.append(job.id)
        pool.goes_on()
        pool.left(1)
        return True

    pool = Pool(1, run, lambda: True, lambda: None)
    pool.add([claimed(number) for number in range(5)], 1)
    wait_until(lambda: len(taken) == 5, "all of them run")
    wait_until(lambda: pool.idle, "nothing runs any more")
    assert pool.free == 1


def test_the_place_of_a_job_that_has_ended_is_kept_until_its_end_is_written() -> None:
    bodies = Bodies(2)
    bodies.add(0)
    assert bodies.pool.free == 1
    bodies.pool.reserve("job 0")
    bodies.end(0)
    wait_until(lambda: bodies.pool.idle, "the body ends")
    assert bodies.pool.free == 1
    assert not bodies.pool.unreserve(["job 1"])
    assert bodies.pool.unreserve(["job 0", "job 1"])
    assert bodies.pool.free == 2
    assert not bodies.pool.unreserve(["job 0"])


def test_a_place_that_is_kept_is_no_room_for_others() -> None:
    bodies = Bodies(3)
    bodies.add(0)
    bodies.pool.reserve("job 0")
    bodies.end(0)
    wait_until(lambda: len(bodies.pool._idle) == 1, "the thread rests")
    bodies.add(1)
    bodies.end(1)
    wait_until(lambda: bodies.rings, "the place of the second is free")
    assert bodies.rings == 1
    assert bodies.pool.unreserve(["job 0", "job 1"]) == 1
