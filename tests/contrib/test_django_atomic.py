"""Enqueueing inside `atomic()`: there exactly when it commits, on each database that Django has."""

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from backburner import Backburner, Task
from backburner.errors import WaitInsideTransaction
from backburner.route_jobs import RouteJobs
from tests.api.rings import Rings
from tests.contrib.django_project import use_databases

# Behind the settings, which that module makes.
from django.conf import settings  # isort: skip
from django.db import connections, transaction  # isort: skip

from backburner.contrib.django.project import project_jobs  # isort: skip


@pytest.fixture
def jobs(database_url: str) -> Iterator[Backburner]:
    yield from opened(default=database_url)


def opened(**urls: str) -> Iterator[Backburner]:
    use_databases(**urls)
    project_jobs.cache_clear()
    made = project_jobs()
    yield made
    made.close()
    connections.close_all()


@pytest.fixture
def work(jobs: Backburner) -> Task[[int], None]:
    @jobs.task
    def work(n: int) -> None: ...

    return work


class Undone(Exception):
    pass


@contextmanager
def rolled_back(using: str = "default") -> Iterator[None]:
    """A block of `atomic()` that something ends."""
    with suppress(Undone), transaction.atomic(using=using):
        yield
        raise Undone


def test_a_rollback_takes_the_job_back(jobs: Backburner, work: Task[[int], None]) -> None:
    with rolled_back():
        work.enqueue(1)
        jobs.enqueue_many(work, [(2,), (3,)])
        with jobs.bulk():
            work.enqueue(4)
    assert jobs.find() == []


def test_a_rollback_inside_a_bulk_takes_the_job_back(jobs: Backburner, work: Task[[int], None]) -> None:
    with jobs.bulk():
        first = work.enqueue(1)
        with rolled_back():
            work.enqueue(2)
        with transaction.atomic():
            second = work.enqueue(3)
    with transaction.atomic(), jobs.bulk():
        third = work.enqueue(4)
        with rolled_back():
            work.enqueue(5)
        with transaction.atomic(savepoint=False):
            fourth = work.enqueue(6)
    assert {job.id for job in jobs.find()} == {first.id, second.id, third.id, fourth.id}


def test_a_request_with_a_file_is_rolled_back_too(jobs: Backburner, tmp_path: Path) -> None:
    jobs.configure(files=str(tmp_path / "files"))
    RouteJobs(jobs, marked=["POST /build"], cookies=["session"])

    def ask() -> str:
        return jobs.route("POST", "/build", files={"f": io.BytesIO(b"1")}, with_cookies={"session": "s"}).id

    with rolled_back():
        ask()
    with transaction.atomic():
        kept = ask()
    assert [job.id for job in jobs.find()] == [kept]
    assert len(jobs.store.attachments.of_job(kept)) == 1


def test_a_commit_stores_it(jobs: Backburner, work: Task[[int], None]) -> None:
    with transaction.atomic():
        job = work.enqueue(1)
        assert jobs.find() == [], "nobody sees it before the commit"
        with pytest.raises(WaitInsideTransaction):
            job.wait(1)
    assert [found.id for found in jobs.find()] == [job.id]
    connections.close_all()
    assert [work.enqueue(2).id, job.id] == [found.id for found in jobs.find()], "outside it is there at once"


def test_a_savepoint_is_rolled_back_by_itself(jobs: Backburner, work: Task[[int], None]) -> None:
    rings = Rings(jobs)
    with transaction.atomic():
        first = work.enqueue(1)
        with rolled_back():
            work.options(queue="lost").enqueue(2)
        with transaction.atomic():
            inner = work.options(queue="inner").enqueue(3)
        last = work.options(queue="last").enqueue(4)
        assert rings.heard == [], "nobody is told before the commit"
    assert {job.id for job in jobs.find()} == {first.id, inner.id, last.id}
    assert set().union(*rings.heard) == {"default", "inner", "last"}


def test_many_of_one_transaction_are_told_together(jobs: Backburner, work: Task[[int], None]) -> None:
    rings = Rings(jobs)
    with transaction.atomic():
        for number in range(20):
            work.enqueue(number)
    assert rings.heard == [{"default"}]


def test_a_key_that_is_taken_leaves_the_transaction_usable(jobs: Backburner, work: Task[[int], None]) -> None:
    first = work.options(unique="live").enqueue(1)
    with transaction.atomic():
        assert work.options(unique="live").enqueue(1).id == first.id
        kept = work.options(unique="live").enqueue(2)
        assert work.options(unique="live").enqueue(2).id == kept.id
    assert {job.id for job in jobs.find()} == {first.id, kept.id}


def test_autocommit_switched_off_is_a_transaction(jobs: Backburner, work: Task[[int], None]) -> None:
    connection = connections["default"]
    connection.set_autocommit(False)
    try:
        work.enqueue(1)
        connection.rollback()
        kept = work.enqueue(2)
        connection.commit()
    finally:
        connection.set_autocommit(True)
    assert [job.id for job in jobs.find()] == [kept.id]


@pytest.fixture
def two(sqlite_url: str, postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backburner]:
    monkeypatch.setattr(settings, "BACKBURNER", {"DATABASE": "work"}, raising=False)
    yield from opened(default=sqlite_url, work=postgresql_url)


def test_only_the_database_with_the_jobs_counts(two: Backburner) -> None:
    @two.task
    def work(n: int) -> None: ...

    with rolled_back("default"):
        kept = work.enqueue(1)
    with rolled_back("work"):
        work.enqueue(2)
    assert [job.id for job in two.find()] == [kept.id]
