"""Jobs that a transaction of the caller's holds: what is done to them waits for its end, but not for ever."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, create_engine, select

from backburner import Backburner, Job, JobState, Task
from backburner.errors import JobBusy
from backburner.store import keys, patience


@pytest.fixture
def work(jobs: Backburner, monkeypatch: pytest.MonkeyPatch) -> Task[[int], None]:
    monkeypatch.setattr(patience, "WAIT", 0.2)

    @jobs.task
    def work(n: int) -> None: ...

    jobs.store.ready()
    return work


@contextmanager
def holding(database_url: str, work: Task[[int], None], number: int) -> Iterator[Connection]:
    """A transaction that has replaced the job of this number, and is still open."""
    engine = create_engine(database_url)
    with engine.connect() as connection, connection.begin():
        work.options(unique="live", on_conflict="replace", connection=connection).enqueue(number)
        yield connection
        connection.rollback()
    engine.dispose()


VERBS: dict[str, Callable[[Backburner, Job], object]] = {
    "cancel": lambda jobs, job: jobs.cancel(job),
    "delete": lambda jobs, job: jobs.delete(job),
    "edit": lambda jobs, job: jobs.edit(job, '{"n":2}'),
}


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_the_wait_for_an_open_transaction_ends(
    jobs: Backburner, work: Task[[int], None], database_url: str, verb: str
) -> None:
    job = work.options(unique="live", delay=60).enqueue(1)
    with holding(database_url, work, 1):
        with pytest.raises(JobBusy, match="still open") as caught:
            VERBS[verb](jobs, job)
        assert caught.value.job_id == job.id
    VERBS[verb](jobs, job)


def test_of_many_those_that_are_held_are_left(jobs: Backburner, work: Task[[int], None], database_url: str) -> None:
    mine = [work.options(unique="live").enqueue(number) for number in range(4)]

    # MariaDB walks over the whole of a table that has a few keys, and then waits for each that is locked.
    @jobs.task
    def other(n: int) -> None: ...

    jobs.enqueue_many(other.options(unique="live"), [(number,) for number in range(300)])
    with holding(database_url, work, 1):
        if jobs.store.dialect.single_writer:
            with pytest.raises(JobBusy):
                jobs.cancel(task=work.name)
            return
        assert jobs.cancel(task=work.name) == 3
        assert jobs.delete(task=work.name) == 3
    assert [job.id for job in jobs.find(task=work.name)] == [mine[1].id]
    assert mine[1].refresh().state is JobState.QUEUED


@pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
def test_what_was_in_hand_for_a_moment_is_not_left(
    jobs: Backburner, work: Task[[int], None], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a running job is while it reports: here until a first look has left it out."""
    mine = [work.options(unique="live").enqueue(number) for number in range(3)]
    store, asked = jobs.store, list[int]()
    free, t = store.jobs.free, store.schema.jobs.c
    with holding(database_url, work, 2), store.engine.connect() as moment:
        moment.execute(select(t.id).where(t.id == mine[0].id).with_for_update(read=True))

        def look(ids: Sequence[str]) -> list[str]:
            found = free(ids)
            asked.append(len(found))
            moment.rollback()
            return found

        monkeypatch.setattr(store.jobs, "free", look)
        assert jobs.cancel(task=work.name) == 2
    assert asked[0] == 1
    assert [job.refresh().state for job in mine] == [JobState.CANCELLED, JobState.CANCELLED, JobState.QUEUED]


@pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
def test_of_many_that_are_retried_those_whose_keys_are_held_are_left(
    jobs: Backburner, work: Task[[int], None], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "WAIT", 0.2)
    mine = [work.options(unique="live").enqueue(number) for number in range(4)]
    jobs.cancel(task=work.name)
    asked: list[str] = []
    retake = jobs.store.keys.retake

    def noted(connection: Connection, job_id: str) -> None:
        asked.append(job_id)
        retake(connection, job_id)

    monkeypatch.setattr(jobs.store.keys, "retake", noted)
    with holding(database_url, work, 3) as connection:
        work.options(unique="live", connection=connection).enqueue(2)
        assert jobs.retry(task=work.name) == 2
    assert mine[2].id not in asked, "one wait is enough"
    assert [job.refresh().state for job in mine] == [JobState.QUEUED] * 2 + [JobState.CANCELLED] * 2
