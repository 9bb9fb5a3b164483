"""The private servers themselves: what the other tests rely on."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import amqp
import psutil
import psycopg
import pytest
import redis
from sqlalchemy import create_engine, text

from tests.private_server import frozen
from tests.servers import PostgresServer, RabbitServer, RedisServer, ServerFailed
from tests.waiting import NeverHappened, wait_until

ROOT = Path(__file__).parent.parent

# So that all of these are left out, and said to be, where PostgreSQL is not installed.
pytestmark = pytest.mark.usefixtures("postgres")


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def ask(server: PostgresServer, statement: str) -> object:
    with psycopg.connect(server.url().replace("+psycopg", "")) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return row[0] if row else None


def test_a_fresh_database_is_empty_and_writable(empty_database_url: str) -> None:
    engine = create_engine(empty_database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE only_mine (id INTEGER)"))
        connection.execute(text("INSERT INTO only_mine VALUES (1)"))
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM only_mine")) == 1
    engine.dispose()


def test_the_next_fresh_database_does_not_see_the_last_ones_tables(postgres: PostgresServer) -> None:
    first, second = postgres.create_database(), postgres.create_database()
    with create_engine(first).begin() as connection:
        connection.execute(text("CREATE TABLE only_mine (id INTEGER)"))
    with create_engine(second).begin() as connection:
        assert connection.scalar(text("SELECT to_regclass('only_mine')")) is None
    for url in (first, second):
        postgres.drop_database(url)
        name = url.rpartition("/")[2]
        assert ask(postgres, f"SELECT count(*) FROM pg_database WHERE datname = '{name}'") == 0


def test_a_database_copied_from_a_template_has_its_tables(postgres: PostgresServer) -> None:
    template = postgres.create_database("pattern")
    engine = create_engine(template)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE shared (id INTEGER)"))
    engine.dispose()
    copy = postgres.create_database(template="pattern")
    engine = create_engine(copy)
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM shared")) == 0
    engine.dispose()
    for url in (copy, template):
        postgres.drop_database(url)


def test_the_server_takes_the_unprivileged_account(postgres: PostgresServer) -> None:
    assert psutil.Process(postgres.pid).uids().effective != 0


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_data_and_port_survive_a_restart(own_postgres: PostgresServer, mode: str) -> None:
    with psycopg.connect(own_postgres.url().replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    before = own_postgres.url()
    own_postgres.restart(mode)  # type: ignore[arg-type]
    assert own_postgres.url() == before
    assert ask(own_postgres, "SELECT number FROM kept") == 7


def test_a_stopped_server_refuses_connections(own_postgres: PostgresServer) -> None:
    own_postgres.stop()
    own_postgres.stop()
    assert not own_postgres.running
    with pytest.raises(psycopg.OperationalError, match="refused"):
        ask(own_postgres, "SELECT 1")
    with pytest.raises(ServerFailed, match="stopped"):
        own_postgres.pause()


def test_a_paused_server_freezes_whole_and_goes_on(own_postgres: PostgresServer) -> None:
    with psycopg.connect(own_postgres.url().replace("+psycopg", ""), autocommit=True) as connection:
        own_postgres.pause()
        first = psutil.Process(own_postgres.pid)
        family = [first, *first.children(recursive=True)]
        assert len(family) > 3
        assert first.status() == psutil.STATUS_STOPPED
        # A helper that ended just before it could be frozen waits for its frozen parent to fetch it.
        assert {p.status() for p in family} <= {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}
        own_postgres.resume()
        row = connection.execute("SELECT 42").fetchone()
    assert row == (42,)


def test_a_process_that_ended_under_a_frozen_parent_counts_as_frozen() -> None:
    with subprocess.Popen(["true"]) as ended:
        wait_until(lambda: psutil.Process(ended.pid).status() == psutil.STATUS_ZOMBIE, "it has ended")
        assert frozen(ended.pid)


def test_a_paused_server_can_be_stopped(own_postgres: PostgresServer) -> None:
    own_postgres.pause()
    own_postgres.stop("immediate")
    assert not own_postgres.running


def test_settings_reach_the_server() -> None:
    with PostgresServer(fsync=True, settings={"max_connections": "17"}) as server:
        assert ask(server, "SHOW fsync") == "on"
        assert ask(server, "SHOW max_connections") == "17"


def test_a_wrong_setting_shows_the_servers_own_words() -> None:
    server = PostgresServer(settings={"no_such_setting": "1"})
    with pytest.raises(ServerFailed, match="no_such_setting"):
        server.start()
    server.close()
    assert not server.folder.exists()


def test_close_leaves_nothing_behind() -> None:
    server = PostgresServer()
    server.start()
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children()]
    server.close()
    server.close()
    assert not server.folder.exists()
    wait_until(lambda: all(gone(p) for p in family), "all its processes are gone")


def test_a_killed_test_run_leaves_nothing_behind() -> None:
    program = (
        "from tests.servers import PostgresServer\n"
        "server = PostgresServer()\n"
        "server.start()\n"
        "print(server.pid, server.folder, flush=True)\n"
        "input()\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    pid, _, folder = run.stdout.readline().strip().partition(" ")
    server = psutil.Process(int(pid))
    run.kill()
    run.communicate()
    wait_until(lambda: gone(server), "the server of the killed run is gone")
    wait_until(lambda: not os.path.exists(folder), "its folder is gone")


def test_waiting_for_what_never_happens_names_it() -> None:
    with pytest.raises(NeverHappened, match="pigs fly"):
        wait_until(lambda: False, "pigs fly", seconds=0.05)


def test_a_private_rabbitmq_answers_and_leaves_nothing_behind() -> None:
    with RabbitServer() as server:
        with amqp.Connection(f"127.0.0.1:{server.port}", "guest", "guest", connect_timeout=5) as connection:
            assert connection.server_properties["product"] == "RabbitMQ"
        family = processes_of(server.folder)
        assert len(family) >= 2
    assert not server.folder.exists()
    wait_until(lambda: all(gone(one) for one in family), "every process of it is gone")


def test_a_private_redis_forgets_everything_when_it_is_stopped() -> None:
    with RedisServer() as server, redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
        assert client.get("key") == b"value"
        server.restart()
        assert client.get("key") is None
    assert not server.folder.exists()


@pytest.mark.parametrize("kind", [pytest.param("RabbitServer", marks=pytest.mark.long), "RedisServer"])
def test_a_broker_server_does_not_outlive_a_run_that_is_killed(kind: str) -> None:
    program = (
        f"import sys\nfrom tests.servers import {kind}\nserver = {kind}()\nserver.start()\n"
        "print(server.folder, flush=True)\nsys.stdin.read()\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    folder = Path(run.stdout.readline().strip())
    family = processes_of(folder)
    assert family
    run.kill()
    run.communicate()
    wait_until(lambda: all(gone(one) for one in family), "every process of it is gone")
    wait_until(lambda: not folder.exists(), "its folder is gone")


def processes_of(folder: Path) -> list[psutil.Process]:
    """The processes that work in this folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if Path(process.cwd()) == folder:
                found.append(process)
    return found
