"""One call becomes one stored row, at once and completely."""

import asyncio
import json
import os
import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest

from backburner import Backburner, JobState
from backburner.errors import InvalidArgument, InvalidOption, StoreUnavailable, TooLarge, UnknownTask
from backburner.job import NewJob
from backburner.states import FINAL
from tests.api.rings import Rings


def test_a_job_is_stored_when_enqueue_returns(jobs: Backburner) -> None:
    @jobs.task(title="Export {month}", queue="reports", priority=7)
    def export(month: str, copies: int = 2) -> int:
        return copies

    job = export.enqueue("May")
    found = jobs.get(job.id)
    assert (found.task, found.title, found.queue, found.priority) == (
        "test_enqueue.test_a_job_is_stored_when_enqueue_returns.export".replace("test_enqueue", export.__module__),
        "Export May",
        "reports",
        7,
    )
    assert found.state is JobState.QUEUED
    assert json.loads(found.args) == {"month": "May"}
    assert (job.state, job.args, job.created_at, job.run_at) == (
        found.state,
        found.args,
        found.created_at,
        found.run_at,
    )
    assert not job.uncommitted


def test_every_option_is_stored(jobs: Backburner) -> None:
    @jobs.task
    def work() -> None: ...

    at = datetime.now(UTC) + timedelta(hours=2)
    job = work.options(
        queue="slow", priority=-3, run_at=at, expires=at + timedelta(hours=1), identifier="order 7",
        title="Braces {stay}", tags=["b", "a", "b"], owner="ada", visibility="users", timeout=60,
        stall_timeout=timedelta(seconds=5), max_attempts=2, repeatable=False, isolate=True,
        keep={"succeeded": 0, "failed": timedelta(days=1)}, meta={"order": 7},
    ).enqueue()  # fmt: skip
    found = jobs.get(job.id)
    assert found.state is JobState.SCHEDULED
    assert (found.queue, found.priority, found.run_at, found.expires_at) == (
        "slow",
        -3,
        at,
        at + timedelta(hours=1),
    )
    assert (found.identifier, found.title, found.tags) == ("order 7", "Braces {stay}", ("b", "a"))
    assert (found.owner, found.visibility, found.max_attempts, found.repeatable) == ("ada", "users", 2, False)
    assert json.loads(found.meta or "") == {"order": 7}
    run = work.run_options(found.options)
    assert (run.timeout, run.stall_timeout, run.isolate) == (60.0, 5.0, True)
    assert run.keep == {JobState.SUCCEEDED: 0.0, JobState.FAILED: 86_400.0}
    assert work.defaults.timeout is None


def test_a_time_of_another_zone_is_the_same_moment(jobs: Backburner) -> None:
    @jobs.task
    def work() -> None: ...

    there = datetime(2099, 1, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    job = work.options(run_at=there).enqueue()
    assert jobs.get(job.id).run_at == there
    assert job.run_at.tzinfo is UTC


def test_a_delay_counts_from_the_enqueue(jobs: Backburner) -> None:
    @jobs.task(delay=60, expires=timedelta(minutes=2))
    def work() -> None: ...

    found = jobs.get(work.enqueue().id)
    assert found.run_at - found.created_at == timedelta(seconds=60)
    assert found.expires_at is not None
    assert found.expires_at - found.created_at == timedelta(seconds=120)
    at_once = jobs.get(work.options(delay=0).enqueue().id)
    assert at_once.state is JobState.QUEUED


def test_what_is_wrong_is_refused_and_nothing_is_stored(jobs: Backburner) -> None:
    @jobs.task
    def work(n: int) -> None: ...

    with pytest.raises(InvalidArgument, match="'n'"):
        work.enqueue("seven")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument):
        work.enqueue()  # type: ignore[call-arg]
    with pytest.raises(InvalidOption, match="expires"):
        work.options(delay=60, expires=30).enqueue(1)
    assert jobs.find() == []


def test_too_large_arguments_are_refused(database_url: str) -> None:
    small = Backburner(database_url, max_args_bytes=100)

    @small.task
    def work(text: str) -> None: ...

    with pytest.raises(TooLarge):
        work.enqueue("x" * 100)
    assert small.find() == []
    small.close()


def test_the_bell_rings_after_the_commit_and_only_for_what_is_ready(jobs: Backburner) -> None:
    @jobs.task(queue="q")
    def work() -> None: ...

    rings = Rings(jobs)
    seen = []
    heard = rings.ring
    rings.ring = lambda queues: (seen.append(len(jobs.find())), heard(queues))  # type: ignore[method-assign, assignment, func-returns-value]
    work.options(delay=60).enqueue()
    assert rings.heard == []
    work.enqueue()
    assert (rings.heard, seen) == ([{"q"}], [2])


def test_aenqueue_stores_as_enqueue_does(jobs: Backburner) -> None:
    @jobs.task
    async def work(n: int) -> int:
        return n

    async def handler() -> str:
        job = await work.aenqueue(3)
        assert (await jobs.aget(job.id)).state is JobState.QUEUED
        assert [found.id for found in await jobs.afind(task=work.name)] == [job.id]
        assert not await jobs.await_done(job, 0.01)
        assert (await jobs.acancel(job)).state is JobState.CANCELLED
        assert await jobs.await_done(job.id, 10)
        assert (await jobs.aretry(job)).state is JobState.QUEUED
        await jobs.acancel(job)
        await jobs.adelete(job)
        return job.id

    job_id = asyncio.run(handler())
    with pytest.raises(LookupError):
        jobs.get(job_id)


def test_a_lost_answer_neither_loses_nor_doubles_a_job(jobs: Backburner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database stored the row and the connection died before it could say so."""

    @jobs.task
    def work() -> None: ...

    work.enqueue()
    insert = jobs.store.dialect.insert
    calls: list[int] = []

    def broken(connection: object, new: list[NewJob], now: datetime) -> None:
        calls.append(len(new))
        if len(calls) == 1:
            raise _lost(jobs)
        insert(connection, new, now)

    monkeypatch.setattr(jobs.store.dialect, "insert", broken)
    before = work.enqueue()
    assert len(calls) == 2
    assert jobs.get(before.id).state is JobState.QUEUED
    calls.clear()

    def unsure(connection: object, new: list[NewJob], now: datetime) -> None:
        jobs.store.jobs.get_many([])
        calls.append(len(new))
        other = jobs.store.engine.raw_connection()
        insert(other.driver_connection, new, now)
        other.commit()
        other.close()
        raise _lost(jobs)

    if jobs.store.dialect.name == "postgresql":
        monkeypatch.setattr(jobs.store.dialect, "insert", unsure)
        after = work.enqueue()
        assert calls == [1]
        assert len(jobs.find(state="queued")) == 3
        assert jobs.get(after.id).state is JobState.QUEUED


def _lost(jobs: Backburner) -> Exception:
    if jobs.store.dialect.name == "mysql":
        import pymysql

        return pymysql.OperationalError(2013, "the connection is lost")
    if jobs.store.dialect.name == "postgresql":
        import psycopg

        return psycopg.OperationalError("the connection is lost")
    import sqlite3

    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    return error


def test_a_database_that_stays_away_is_a_typed_error(jobs: Backburner, monkeypatch: pytest.MonkeyPatch) -> None:
    @jobs.task
    def work() -> None: ...

    work.enqueue()

    def broken(*_: object) -> None:
        raise _lost(jobs)

    monkeypatch.setattr(jobs.store.dialect, "insert", broken)
    with pytest.raises(StoreUnavailable):
        work.enqueue()
    assert len(jobs.find()) == 1


def test_threads_enqueue_side_by_side(jobs: Backburner) -> None:
    @jobs.task
    def work(n: int) -> None: ...

    threads = [threading.Thread(target=lambda: [work.enqueue(i) for i in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(jobs.find(limit=1000)) == 80


def test_a_child_of_a_fork_enqueues_with_ids_of_its_own(jobs: Backburner) -> None:
    @jobs.task
    def work(who: str) -> None: ...

    work.enqueue("parent")
    children = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            try:
                work.enqueue("child")
                os._exit(0)
            except BaseException:
                os._exit(1)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0]
    work.enqueue("parent again")
    assert sorted(json.loads(job.args)["who"] for job in jobs.find()) == [
        "child",
        "child",
        "parent",
        "parent again",
    ]


def test_a_name_nobody_registered_is_unknown(jobs: Backburner) -> None:
    with pytest.raises(UnknownTask, match="nothing"):
        jobs.registry.require("nothing")


def test_the_states_that_end_are_those_that_wait_returns_for(jobs: Backburner) -> None:
    @jobs.task
    def work() -> None: ...

    job = work.enqueue()
    assert not job.wait(0)
    job.cancel()
    assert job.wait(0)
    assert job.refresh().state in FINAL
