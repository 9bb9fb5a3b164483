"""Enqueueing in the caller's transaction: there exactly when it commits, whatever the connection is."""

import asyncio
import io
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from backburner import Backburner, JobState, Task
from backburner.errors import (
    ForeignTransaction,
    InvalidOption,
    SchemaMissing,
    TransactionMustRetry,
    WaitInsideTransaction,
)
from backburner.route_jobs import RouteJobs
from tests.api.drivers import asynchronous, driver, driver_with_dict_rows
from tests.api.rings import Rings
from tests.servers import MariaDBServer, PostgresServer

Open = Callable[[str], Any]


@pytest.fixture
def work(jobs: Backburner) -> Task[[int], None]:
    @jobs.task
    def work(n: int) -> None: ...

    jobs.store.ready()
    return work


def plain(url: str) -> str:
    return url.replace("+psycopg", "")


def core(url: str) -> Any:
    return create_engine(url).connect()


def raw(url: str) -> Any:
    return create_engine(url).raw_connection()


def session(url: str) -> Any:
    return Session(create_engine(url))


def scoped(url: str) -> Any:
    return scoped_session(sessionmaker(create_engine(url)))


ALL = [driver, driver_with_dict_rows, core, raw, session, scoped]


@contextmanager
def opened(open_it: Open, url: str) -> Iterator[Any]:
    connection = open_it(url)
    try:
        yield connection
    finally:
        connection.close()


@pytest.mark.parametrize("open_it", ALL)
def test_a_commit_stores_and_a_rollback_does_not(
    jobs: Backburner, work: Task[[int], None], database_url: str, open_it: Open
) -> None:
    with opened(open_it, database_url) as connection:
        with jobs.transaction(connection):
            kept = work.enqueue(1)
            ids = jobs.enqueue_many(work, [(2,), (3,)])
            assert jobs.find() == []
            assert kept.uncommitted
            with pytest.raises(WaitInsideTransaction):
                kept.wait(10)
            connection.commit()
        assert {job.id for job in jobs.find()} == {kept.id, *ids}
        assert {job.state for job in jobs.find()} == {JobState.QUEUED}
        with jobs.transaction(connection):
            work.enqueue(4)
            connection.rollback()
        assert len(jobs.find()) == 3


@pytest.mark.parametrize("open_it", ALL)
def test_the_option_says_the_same_of_one_job(
    jobs: Backburner, work: Task[[int], None], database_url: str, open_it: Open
) -> None:
    with opened(open_it, database_url) as connection:
        job = work.options(connection=connection, delay=60, tags=["t"]).enqueue(1)
        assert jobs.find() == []
        connection.commit()
        assert [(found.id, found.state, found.tags) for found in jobs.find()] == [(job.id, JobState.SCHEDULED, ("t",))]


def test_the_caller_s_own_rows_and_jobs_go_together(
    jobs: Backburner, work: Task[[int], None], database_url: str
) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS orders"))
        connection.execute(text("CREATE TABLE orders (n integer)"))
    with suppress(ZeroDivisionError), engine.begin() as connection, jobs.transaction(connection):
        connection.execute(text("INSERT INTO orders VALUES (1)"))
        work.enqueue(1)
        raise ZeroDivisionError
    with engine.begin() as connection, jobs.transaction(connection):
        connection.execute(text("INSERT INTO orders VALUES (2)"))
        work.enqueue(2)
    with engine.connect() as connection:
        assert [*connection.execute(text("SELECT n FROM orders")).scalars()] == [2]
    assert len(jobs.find()) == 1
    engine.dispose()


def test_a_savepoint_takes_its_jobs_back(jobs: Backburner, work: Task[[int], None], database_url: str) -> None:
    with opened(session, database_url) as connection, connection.begin():
        kept = work.options(connection=connection).enqueue(1)
        savepoint = connection.begin_nested()
        work.options(connection=connection).enqueue(2)
        savepoint.rollback()
    assert [job.id for job in jobs.find()] == [kept.id]


def test_a_session_tells_workers_after_its_outer_commit(
    jobs: Backburner, work: Task[[int], None], database_url: str
) -> None:
    rings = Rings(jobs)
    with opened(session, database_url) as connection:
        for n in range(2):
            with connection.begin_nested():
                work.options(connection=connection, queue=f"q{n}").enqueue(n)
        assert rings.heard == []
        connection.commit()
        assert rings.heard == [{"q0"}, {"q1"}] or rings.heard == [{"q0", "q1"}]
        heard = len(rings.heard)
        work.options(connection=connection).enqueue(3)
        connection.rollback()
        assert len(rings.heard) == heard


@pytest.mark.parametrize("open_it", [driver, core])
def test_the_block_tells_workers_when_the_caller_committed_in_it(
    jobs: Backburner, work: Task[[int], None], database_url: str, open_it: Open
) -> None:
    rings = Rings(jobs)
    with opened(open_it, database_url) as connection:
        with jobs.transaction(connection):
            work.enqueue(1)
            connection.commit()
        assert rings.heard == [{"default"}]
        with jobs.transaction(connection):
            work.enqueue(2)
        assert rings.heard == [{"default"}]
        connection.rollback()


def test_a_bulk_block_in_a_transaction_belongs_to_it(
    jobs: Backburner, work: Task[[int], None], database_url: str
) -> None:
    with opened(core, database_url) as connection:
        with jobs.transaction(connection), jobs.bulk(size=2):
            for n in range(5):
                work.enqueue(n)
        assert jobs.find() == []
        connection.commit()
    assert len(jobs.find()) == 5


def test_a_context_that_outlives_the_block_is_outside_of_it(
    jobs: Backburner, work: Task[[int], None], database_url: str
) -> None:
    """Tasks and threads begun inside have a copy of its context; the connection is somebody else's by then."""
    with opened(core, database_url) as connection:
        with jobs.transaction(connection):
            copied = copy_context()
            work.enqueue(1)
        connection.rollback()
        job = copied.run(work.enqueue, 2)
        assert not job.uncommitted
        assert [found.id for found in jobs.find()] == [job.id]


@pytest.mark.parametrize("open_it", ALL)
def test_a_request_comes_and_goes_with_its_files_and_cookies(
    jobs: Backburner, work: Task[[int], None], database_url: str, open_it: Open
) -> None:
    jobs.configure(secret="a secret of this test alone")
    RouteJobs(jobs, marked=["POST /build"], cookies=["session"])

    def ask() -> str:
        file = io.BytesIO(b"rows")
        return jobs.route("POST", "/build", files={"f": ("f.csv", file)}, with_cookies={"session": "s-1"}).id

    with opened(open_it, database_url) as connection, jobs.transaction(connection):
        lost = ask()
        assert jobs.find() == []
        connection.rollback()
        kept = ask()
        connection.commit()
    store = jobs.store
    assert [job.id for job in jobs.find()] == [kept]
    assert [len(store.attachments.of_job(job_id)) for job_id in (lost, kept)] == [0, 1]
    assert store.grants.cookies(lost) is None
    assert store.grants.cookies(kept) is not None
    (file,) = store.attachments.of_job(kept)
    with jobs.files.open(file.place) as stored:
        assert stored.read() == b"rows"


def test_a_connection_that_commits_by_itself_has_all_of_a_job_or_nothing(
    jobs: Backburner, work: Task[[int], None], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.configure(secret="a secret of this test alone")
    RouteJobs(jobs, marked=["POST /build"], cookies=["session"])
    engine = create_engine(database_url, isolation_level="AUTOCOMMIT")

    def broken(*_: object) -> None:
        raise OSError("the network is gone")

    with engine.connect() as connection:
        monkeypatch.setattr(jobs.store.grants, "write", broken)
        with pytest.raises(OSError, match="network"):
            jobs.route("POST", "/build", with_cookies={"session": "s-1"}, connection=connection)
        assert jobs.find() == []
        monkeypatch.undo()
        job = jobs.route("POST", "/build", with_cookies={"session": "s-1"}, connection=connection)
    engine.dispose()
    assert [found.id for found in jobs.find()] == [job.id]
    assert jobs.store.grants.cookies(job.id) is not None


@pytest.mark.parametrize("open_it", ALL)
def test_another_database_is_refused(
    jobs: Backburner,
    work: Task[[int], None],
    database_url: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    open_it: Open,
) -> None:
    if database_url.startswith("sqlite"):
        other = f"sqlite:///{tmp_path / 'other.db'}"
        Backburner(other).store.ready()
    else:
        name = "mariadb" if database_url.startswith("mariadb") else "postgres"
        server: PostgresServer | MariaDBServer = request.getfixturevalue(name)
        other = server.create_database()
    with opened(open_it, other) as connection:
        with pytest.raises(ForeignTransaction), jobs.transaction(connection):
            work.enqueue(1)
        connection.rollback()
    assert jobs.find() == []


def test_another_kind_of_database_is_refused(
    jobs: Backburner,
    work: Task[[int], None],
    database_url: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    if database_url.startswith("sqlite"):
        server: PostgresServer = request.getfixturevalue("postgres")
        other = server.create_database()
    else:
        other = f"sqlite:///{tmp_path / 'other.db'}"
    for open_it in (core, driver):
        with opened(open_it, other) as connection, pytest.raises(ForeignTransaction):
            work.options(connection=connection).enqueue(1)


def test_what_is_no_connection_is_refused(jobs: Backburner, work: Task[[int], None], database_url: str) -> None:
    engine: Engine = create_engine(database_url)
    for wrong in (engine, "sqlite:///x", 7):
        with pytest.raises(InvalidOption, match="connection"):
            work.options(connection=wrong).enqueue(1)
    assert jobs.find() == []


def test_an_async_session_commits_and_rolls_back_jobs(
    jobs: Backburner, work: Task[[int], None], database_url: str
) -> None:
    async def handler() -> str:
        engine = create_async_engine(asynchronous(database_url))
        async with AsyncSession(engine) as current:
            async with jobs.transaction(current):
                job = await work.aenqueue(1)
                assert await jobs.afind() == []
            await current.commit()
            await work.options(connection=current).aenqueue(2)
            await current.rollback()
            with pytest.raises(InvalidOption, match="aenqueue"):
                work.options(connection=current).enqueue(3)
        async with engine.begin() as connection, jobs.transaction(connection):
            await work.aenqueue(4)
        await engine.dispose()
        return job.id

    job_id = asyncio.run(handler())
    found = jobs.find()
    assert len(found) == 2
    assert found[-1].id == job_id


def test_a_busy_database_means_run_the_transaction_again(
    sqlite_url: str,
) -> None:
    jobs = Backburner(sqlite_url)

    @jobs.task
    def work() -> None: ...

    work.enqueue()
    holder = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    late = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), timeout=0)
    with pytest.raises(TransactionMustRetry, match="locked"):
        work.options(connection=late).enqueue()
    holder.execute("ROLLBACK")
    work.options(connection=late).enqueue()
    late.commit()
    assert len(jobs.find()) == 2
    jobs.close()


def test_a_serialisation_failure_means_run_the_transaction_again(empty_postgresql_url: str) -> None:
    jobs = Backburner(empty_postgresql_url, auto_migrate=True)

    @jobs.task
    def work() -> None: ...

    jobs.store.ready()
    with psycopg.connect(plain(empty_postgresql_url), autocommit=True) as setup:
        setup.execute("CREATE TABLE t (n integer)")
        setup.execute("INSERT INTO t VALUES (1)")
        # The insert itself meets the conflict: a trigger of the app's touches the row somebody changed.
        setup.execute(
            "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN UPDATE t SET n = n + 1; RETURN NEW; END'"
        )
        setup.execute("CREATE TRIGGER touch AFTER INSERT ON backburner_jobs EXECUTE FUNCTION touch()")
    with psycopg.connect(plain(empty_postgresql_url)) as late:
        late.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        late.execute("SELECT n FROM t")
        with psycopg.connect(plain(empty_postgresql_url)) as early:
            early.execute("UPDATE t SET n = 5")
        with pytest.raises(TransactionMustRetry):
            work.options(connection=late).enqueue()
        late.rollback()
    assert jobs.find() == []
    jobs.close()


def test_tables_are_never_made_inside_the_caller_s_transaction(empty_sqlite_url: str) -> None:
    """The caller holds the only write lock: waiting for it would take for ever."""
    jobs = Backburner(empty_sqlite_url)

    @jobs.task
    def work() -> None: ...

    connection = sqlite3.connect(empty_sqlite_url.removeprefix("sqlite:///"))
    connection.execute("CREATE TABLE mine (n integer)")
    connection.commit()
    connection.execute("INSERT INTO mine VALUES (1)")
    with pytest.raises(SchemaMissing, match="backburner migrate"):
        work.options(connection=connection).enqueue()
    connection.rollback()
    work.options(connection=connection).enqueue()
    connection.commit()
    assert len(jobs.find()) == 1
    jobs.close()
