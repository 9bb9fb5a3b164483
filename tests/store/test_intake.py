"""Calls from outside on every database: keys of each principal's own, one job of requests that race, quotas."""

import threading
from collections.abc import Iterator

import pytest

from backburner import Backburner, Task
from backburner.errors import DuplicateJob, IdempotencyMismatch, UnknownTask
from backburner.intake import Call, InvalidCall, Taken, TooManyJobs
from backburner.job import JobFilter


@pytest.fixture
def jobs(database_url: str) -> Iterator[Backburner]:
    made = Backburner(database_url, auto_migrate=True, max_per_owner=4)
    yield made
    made.close()


@pytest.fixture
def price(jobs: Backburner) -> Task[[int], None]:
    @jobs.task(name="price", api=True, unique="live")
    def price(shop: int) -> None: ...

    return price


def call(owner: str, shop: int = 1, key: str | None = None, **options: object) -> Call:
    return Call("price", owner, {"shop": shop}, options, key)


def stored(jobs: Backburner) -> int:
    return jobs.control.count(JobFilter())


def test_keys_are_of_the_principal_the_task_and_the_request(jobs: Backburner, price: Task[[int], None]) -> None:
    first = jobs.intake.take(call("ada", key="k"))
    again = jobs.intake.take(call("ada", key="k"))
    assert (first.new, again) == (True, Taken(again.job, new=False))
    assert again.job.id == first.job.id
    with pytest.raises(IdempotencyMismatch):
        jobs.intake.take(call("ada", shop=2, key="k"))
    with pytest.raises(IdempotencyMismatch):
        jobs.intake.take(call("ada", key="k", delay=5))
    # Without the key it is an equal job all the same; for others, and for the app itself, it is none.
    assert jobs.intake.take(call("ada")).job.id == first.job.id
    other, own = jobs.intake.take(call("bob", key="k")), price.options(owner="ada").enqueue(1)
    assert len({first.job.id, other.job.id, own.id}) == 3
    assert price.enqueue(1).id == own.id


def test_a_key_taken_from_outside_is_free_when_its_job_has_ended(jobs: Backburner, price: Task[[int], None]) -> None:
    first = jobs.intake.take(call("ada")).job
    first.cancel()
    second = jobs.intake.take(call("ada"))
    assert second.new
    with pytest.raises(DuplicateJob):
        first.retry()
    second.job.cancel()
    assert first.retry().state == "queued"
    assert jobs.intake.take(call("ada")).job.id == first.id


def test_of_requests_that_race_one_makes_the_job(jobs: Backburner, price: Task[[int], None]) -> None:
    barrier, taken = threading.Barrier(6), list[Taken]()

    def ask() -> None:
        barrier.wait(30)
        taken.append(jobs.intake.take(call("ada", key="k")))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(one.new for one in taken) == [False] * 5 + [True]
    assert len({one.job.id for one in taken}) == stored(jobs) == 1


def test_a_quota_counts_what_is_not_finished(jobs: Backburner, price: Task[[int], None]) -> None:
    held = [jobs.intake.take(call("ada", n, key=f"k{n}")).job for n in range(3)]
    held.append(price.options(owner="ada", delay=60).enqueue(9))
    with pytest.raises(TooManyJobs):
        jobs.intake.take(call("ada", 5, key="new"))
    assert jobs.intake.take(call("ada", 0, key="k0")).job.id == held[0].id
    assert jobs.intake.take(call("ada", 1)).job.id == held[1].id
    assert jobs.intake.take(call("bob", 5)).new
    held[0].cancel()
    # Its idempotency key is kept as long as it is, its place in the quota is not.
    assert jobs.intake.take(call("ada", 0, key="k0")).job.id == held[0].id
    assert jobs.intake.take(call("ada", 5)).new
    held[0].delete()
    with pytest.raises(TooManyJobs):
        jobs.intake.take(call("ada", 0, key="k0"))
    assert stored(jobs) == 5


def test_what_is_refused_leaves_nothing(jobs: Backburner, price: Task[[int], None]) -> None:
    jobs.task(name="closed")(lambda: None)
    for name in ("closed", "nothing", "price "):
        with pytest.raises(UnknownTask):
            jobs.intake.take(Call(name, "ada"))
    for wrong in (Call("price", "ada"), call("ada", delay=-1), Call("price", "ada", {"shop": "x", "more": 1})):
        with pytest.raises(InvalidCall):
            jobs.intake.take(wrong)
    assert stored(jobs) == 0
