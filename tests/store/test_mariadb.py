"""What only MariaDB and MySQL have: collations, types, half migrations, settings of a session, URLs."""

import sys
import threading
from contextlib import closing
from datetime import UTC, datetime

import pymysql
import pytest
from sqlalchemy import String, Text, create_engine, text

from backburner.errors import MissingExtra, StoreUnavailable, TransactionMustRetry
from backburner.job import JobFilter, Key, NewJob
from backburner.states import JobState
from backburner.store import versions
from backburner.store.dialects.base import Trouble
from backburner.store.dialects.mysql_errors import TextTooLong
from backburner.store.lane import OTHER
from backburner.store.store import Store
from tests.servers import MariaDBServer
from tests.store.conftest import OpenStore
from tests.store.scene import Crew, HandClock, Scene, end

DIFFERENT = ["straße", "strasse", "Strasse", "STRASSE", "stràsse", "strasse ", "strasse\t", "strasse\0", "ﬆrasse"]


def test_texts_that_look_alike_are_different(on_mariadb: Scene) -> None:
    """By bytes: neither case, nor accents, nor blanks at the end make two names one."""
    queues = [f"{number}" for number in range(3)]
    on_mariadb.store.limits.make([f"task:{name}" for name in DIFFERENT])
    for name in DIFFERENT:
        on_mariadb.store.queues.pause(name, None, None, None)
        on_mariadb.one(queue=queues[0], identifier=name, group_name=name)
    assert {row.name for row in on_mariadb.store.queues.all()} == set(DIFFERENT)
    for name in DIFFERENT:
        assert on_mariadb.store.jobs.unfinished_identifiers([name], include_running=True) == {name}


def test_every_text_is_compared_by_bytes(on_mariadb: Scene) -> None:
    query = text(
        "SELECT table_name, column_name, collation_name FROM information_schema.columns "
        "WHERE table_schema = DATABASE() AND collation_name IS NOT NULL AND table_name <> 'backburner_version'"
    )
    with on_mariadb.store.engine.connect() as connection:
        found = connection.execute(query).all()
    texts = [
        column
        for table in on_mariadb.store.schema.metadata.tables.values()
        for column in table.c
        if isinstance(column.type, String | Text)
    ]
    assert len(found) == len(texts) > 60
    assert {row[2] for row in found} == {"utf8mb4_nopad_bin"}


def test_what_the_server_is_set_to_does_not_matter(
    mariadb: MariaDBServer, mariadb_url: str, opened: OpenStore, clock: HandClock
) -> None:
    """A server with another time zone, weak checks, another isolation and character set."""
    odd = {
        "time_zone": "'-07:00'", "sql_mode": "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'", "tx_isolation": "'SERIALIZABLE'",
        "character_set_server": "latin1", "autocommit": "0",
    }  # fmt: skip
    with closing(mariadb.connect()) as connection, connection.cursor() as cursor:
        before = {}
        for name in odd:
            cursor.execute(f"SELECT @@GLOBAL.{name}")
            ((value,),) = cursor.fetchall()
            before[name] = f"'{value}'" if isinstance(value, str) else str(value)
        try:
            for name, value in odd.items():
                cursor.execute(f"SET GLOBAL {name} = {value}")
            scene = Scene(opened(mariadb_url), clock)
            worker = scene.worker()
            job = scene.running(worker, title="\\ '\" 😀")
            scene.settle(worker, end(job, result='"\\n😀"'))
            found = scene.get(job.id)
            assert (found.title, found.result_text, found.created_at) == ("\\ '\" 😀", '"\\n😀"', clock.now())
            asked = datetime.now(UTC)
            lane = scene.store.lane(OTHER)
            told = lane.run(scene.store.dialect.read_time, read_only=True)
            assert abs((told - asked).total_seconds()) < 600, "in UTC, whatever the zone of the server"
            query = text("SELECT @@tx_isolation, @@time_zone, @@innodb_lock_wait_timeout")
            with scene.store.engine.connect() as core:
                assert tuple(core.execute(query).one()) == ("READ-COMMITTED", "+00:00", 10)
        finally:
            for name, value in before.items():
                cursor.execute(f"SET GLOBAL {name} = {value}")


@pytest.mark.parametrize("made", [1, 7, 20, 33, -1])
def test_half_a_migration_is_taken_up(empty_mariadb_url: str, opened: OpenStore, made: int) -> None:
    """Each of its statements is committed by itself: what was made stays, the rest follows."""
    store = opened(empty_mariadb_url)
    words = ("CREATE", "INSERT", "UPDATE")
    statements = [part for part in store.migration_sql().split(";") if any(word in part for word in words)]
    assert len(statements) > 34
    assert f"'{versions.NEEDED}'" in statements[-1], "the version is written last"
    with store.engine.begin() as connection:
        for statement in statements[:made]:
            connection.exec_driver_sql(statement.replace("%", "%%"))
    assert store.version() != versions.NEEDED
    store.migrate()
    assert store.version() == versions.NEEDED
    scene = Scene(store, HandClock())
    assert scene.state(scene.one()) == "queued"


def test_printed_statements_work_by_hand(mariadb: MariaDBServer, empty_mariadb_url: str, opened: OpenStore) -> None:
    store = opened(empty_mariadb_url)
    with closing(mariadb.connect(empty_mariadb_url.rpartition("/")[2])) as connection, connection.cursor() as cursor:
        for statement in store.migration_sql().split(";"):
            if statement.strip():
                cursor.execute(statement)
    scene = Scene(store, HandClock())
    assert scene.state(scene.one()) == "queued"
    assert store.migration_sql() == ""


def test_one_migration_at_a_time(empty_mariadb_url: str, opened: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store, other = opened(empty_mariadb_url), opened(empty_mariadb_url)
    monkeypatch.setattr(versions, "_WAIT_SECONDS", 0)
    with store.engine.connect() as connection, versions._mysql_lock(connection, store.schema):
        with pytest.raises(StoreUnavailable, match="another process is making the tables"):
            other.migrate()
        assert other.version() is None
    other.migrate()
    assert other.version() == versions.NEEDED


def test_a_database_of_its_own(mariadb: MariaDBServer, empty_mariadb_url: str, opened: OpenStore) -> None:
    """`schema` is a database beside the one that the URL names."""
    yard = mariadb.create_database("Back yard")
    scene = Scene(opened(empty_mariadb_url, auto_migrate=True, schema="Back yard", prefix="b_"), HandClock())
    worker, job = scene.worker(), scene.one()
    claimed = scene.claim(worker)
    assert scene.finish(worker, claimed) == {job}
    scene.store.jobs.retry(job)
    scene.store.migrate()
    mariadb.drop_database(yard)


def test_a_text_that_no_server_takes(on_mariadb: Scene) -> None:
    worker = on_mariadb.worker()
    job = on_mariadb.running(worker)
    with pytest.raises(ValueError, match="15,728,640 at most"):
        on_mariadb.settle(worker, end(job, result="ž" * (8 * 2**20)))
    with pytest.raises(TextTooLong):
        on_mariadb.one(args="x" * (16 * 2**20))
    assert on_mariadb.state(job.id) == "running"
    fits = "x" * (15 * 2**20)
    assert on_mariadb.settle(worker, end(job, result=fits)) == {job.id}
    assert on_mariadb.get(job.id).result_text == fits


def test_what_is_too_long_for_a_column_is_refused_not_cut(on_mariadb: Scene) -> None:
    worker = on_mariadb.worker()
    job = on_mariadb.running(worker)
    with pytest.raises(ValueError, match="Data too long"):
        on_mariadb.settle(worker, end(job, JobState.BLOCKED, blocked_on="x" * 21))
    assert on_mariadb.state(job.id) == "running"


def test_positions_go_on_after_a_retry(on_mariadb: Scene) -> None:
    """A job that is retried gets a number of the counter, so no later insert meets it."""
    first = on_mariadb.ended()
    for _ in range(3):
        on_mariadb.store.jobs.retry(first)
        retried = on_mariadb.get(first).position
        following = on_mariadb.get(on_mariadb.one()).position
        assert retried < following
        worker = on_mariadb.worker()
        on_mariadb.finish(worker, on_mariadb.claim(worker))


@pytest.mark.parametrize(
    ("statement", "trouble"),
    [
        ("SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213", Trouble.BUSY),
        ("SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1205", Trouble.BUSY),
        ("SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1020", Trouble.BUSY),
        ("SIGNAL SQLSTATE '70100' SET MYSQL_ERRNO = 1927", Trouble.LOST),
        ("SIGNAL SQLSTATE '08S01' SET MYSQL_ERRNO = 1053", Trouble.LOST),
        ("SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1290", Trouble.LOST),
        ("INSERT INTO backburner_groups VALUES (repeat('x', 201))", Trouble.VALUE),
        ("INSERT INTO backburner_groups VALUES (x'ff')", Trouble.VALUE),
        ("KILL CONNECTION_ID()", Trouble.LOST),
        ("SELEC 1", Trouble.OTHER),
        ("INSERT INTO backburner_groups VALUES ('a'), ('a')", Trouble.OTHER),
    ],
)
def test_what_an_error_means(on_mariadb: Scene, statement: str, trouble: Trouble) -> None:
    lane = on_mariadb.store.engine.raw_connection()
    with pytest.raises(on_mariadb.store.engine.dialect.loaded_dbapi.Error) as caught, closing(lane.cursor()) as cursor:
        cursor.execute(statement)
    assert on_mariadb.store.dialect.trouble(caught.value) is trouble
    lane.invalidate()


def test_a_closed_connection_is_lost(on_mariadb: Scene, mariadb: MariaDBServer) -> None:
    connection = mariadb.connect()
    connection.close()
    with pytest.raises(pymysql.Error) as caught:
        connection.cursor().execute("SELECT 1")
    assert on_mariadb.store.dialect.trouble(caught.value) is Trouble.LOST


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql", "mysql+aiomysql"])
def test_schemes_that_lead_to_it(mariadb_url: str, opened: OpenStore, scheme: str) -> None:
    store = opened(f"{scheme}://{mariadb_url.partition('://')[2]}")
    scene = Scene(store, HandClock())
    assert scene.state(scene.one()) == "queued"
    assert (store.engine.driver, store.dialect.name) == ("pymysql", "mysql")


@pytest.mark.parametrize(
    ("scheme", "module", "package"),
    [("mysql", "pymysql", "pymysql"), ("mysql+mysqldb", "MySQLdb", "mysqlclient")],
)
def test_a_driver_that_is_missing(monkeypatch: pytest.MonkeyPatch, scheme: str, module: str, package: str) -> None:
    extra = {"pymysql": "mysql"}.get(package, package)
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=rf"{package}.*backburner\[{extra}\]"):
        Store(f"{scheme}://root@127.0.0.1/x")


def unique(scene: Scene, name: str = "u:t:1") -> NewJob:
    return scene.job(keys=(Key(name, "live", "existing"),), unique_key=name)


def test_a_transaction_that_sees_the_past_finds_the_winner(on_mariadb: Scene, mariadb_url: str) -> None:
    """REPEATABLE READ, the server's default: what was committed since the first look is there all the same."""
    store, winner = on_mariadb.store, unique(on_mariadb)
    engine = create_engine(mariadb_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM backburner_keys")).scalar() == 0
        store.inserts.put([winner], 100)
        job = unique(on_mariadb)
        stored = store.callers.of(connection).insert([job], 100)
        connection.commit()
    engine.dispose()
    assert stored.instead == {job.id: winner.id}
    assert store.jobs.ids(JobFilter(), 10) == [winner.id]


def test_a_transaction_that_sees_the_past_knows_that_the_winner_is_done(on_mariadb: Scene, mariadb_url: str) -> None:
    store, first, worker = on_mariadb.store, unique(on_mariadb), on_mariadb.worker()
    store.inserts.put([first], 100)
    engine = create_engine(mariadb_url)
    with engine.connect() as connection:
        connection.execute(text("SELECT count(*) FROM backburner_jobs")).scalar()
        on_mariadb.finish(worker, on_mariadb.claim(worker))
        job = unique(on_mariadb)
        assert store.callers.of(connection).insert([job], 100).instead == {}
        connection.commit()
    engine.dispose()
    assert on_mariadb.state(job.id) == "queued"


@pytest.mark.parametrize("autocommit", [True, False])
def test_keys_over_a_driver_that_commits_by_itself(
    mariadb: MariaDBServer, on_mariadb: Scene, mariadb_url: str, autocommit: bool
) -> None:
    """A savepoint outside of a transaction is forgotten without a word: then one is begun for what belongs together."""
    store, first = on_mariadb.store, unique(on_mariadb)
    with closing(mariadb.connect(mariadb_url.rpartition("/")[2])) as connection:
        connection.autocommit(autocommit)
        with closing(connection.cursor()) as cursor:
            cursor.execute("SELECT @@innodb_lock_wait_timeout")
            before = cursor.fetchall()
            store.callers.of(connection).insert([first], 100)
            loser = unique(on_mariadb)
            assert store.callers.of(connection).insert([loser], 100).instead == {loser.id: first.id}
            assert (store.jobs.states([first.id]) != {}) is autocommit
            connection.commit()
            cursor.execute("SELECT @@innodb_lock_wait_timeout")
            assert cursor.fetchall() == before
    assert store.jobs.ids(JobFilter(), 10) == [first.id]


def test_a_lock_wait_that_ended_means_run_the_transaction_again(on_mariadb: Scene, mariadb_url: str) -> None:
    engine, job = create_engine(mariadb_url), on_mariadb.job()
    with engine.connect() as early, engine.connect() as late:
        on_mariadb.store.callers.of(early).insert([job], 100)
        late.execute(text("SET SESSION innodb_lock_wait_timeout = 1"))
        with pytest.raises(TransactionMustRetry, match="Lock wait timeout"):
            on_mariadb.store.callers.of(late).insert([job], 100)
        late.rollback()
        early.commit()
    engine.dispose()
    assert on_mariadb.state(job.id) == "queued"


def test_a_deadlock_means_run_the_transaction_again(on_mariadb: Scene, mariadb_url: str) -> None:
    """Two that store the same two jobs, each in its own order: one of them has to begin again."""
    engine, jobs, told = create_engine(mariadb_url), [on_mariadb.job(), on_mariadb.job()], list[str]()
    both = threading.Barrier(2)

    def store_all(order: list[NewJob]) -> None:
        with engine.connect() as connection:
            target = on_mariadb.store.callers.of(connection)
            target.insert(order[:1], 100)
            both.wait(10)
            try:
                target.insert(order[1:], 100)
                connection.commit()
            except TransactionMustRetry as error:
                told.append(str(error))
                connection.rollback()

    crew = Crew()
    crew.add(store_all, jobs)
    crew.add(store_all, jobs[::-1])
    crew.start().join()
    engine.dispose()
    assert len(told) == 1
    assert "Deadlock" in told[0]
    assert len(on_mariadb.store.jobs.ids(JobFilter(), 10)) == 2
