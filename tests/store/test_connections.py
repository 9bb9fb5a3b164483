"""Connections: as many as it takes, looked after while others come and go, and missed as soon as they are gone."""

import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text

from backburner.errors import StoreUnavailable
from backburner.store.dialects.base import Trouble
from backburner.store.lane import BEAT, CLAIM, FINISH, OTHER
from tests.store.scene import Crew, Scene
from tests.waiting import wait_until


@pytest.fixture
def restless() -> Iterator[None]:
    """The interpreter changes threads a thousand times as often as usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 1000)
    yield
    sys.setswitchinterval(usual)


def test_many_open_transactions_do_not_keep_a_beat_waiting(scene: Scene) -> None:
    """Each body may have a transaction of its own open."""
    worker, store = scene.worker(), scene.store
    alive: list[set[str]] = []
    with ExitStack() as held:
        for _ in range(20):
            held.enter_context(store.engine.connect())
        crew = Crew()
        crew.add(lambda: alive.append(set(store.workers.beat([worker], 30.0))))
        crew.start().join(10)
    assert alive == [{worker}]


def test_lanes_come_while_others_are_looked_after(scene: Scene, restless: None) -> None:
    """The look used to fail when another thread opened a lane meanwhile, and a worker process ended by it."""
    store, over, come = scene.store, threading.Event(), list[int]()
    # Or all would be looked at before the first one came.
    store.ready()

    def come_and_go() -> None:
        while not over.is_set():
            come.append(len([store.lane(OTHER) for _ in range(20)]))

    crew = Crew()
    for _ in range(3):
        crew.add(come_and_go)
    crew.start()
    looks = 0
    try:
        while crew.busy and (looks < 10_000 or len(come) < 100):
            store.abandon_overdue(20.0)
            looks += 1
    finally:
        over.set()
    crew.join()
    assert len(come) >= 100, "lanes came while others were looked after"


def test_a_connection_in_use_is_closed_when_that_use_ends(scene: Scene) -> None:
    """SQLite's, closed under a call of a worker's thread, took the whole process along."""
    lane, rows = scene.store.lane(OTHER), scene.store.dialect.rows
    used: list[Any] = []

    def ask(connection: Any) -> Any:
        crew = Crew()
        crew.add(scene.store.close)
        crew.start().join(10)
        used.append(connection)
        return rows(connection, "SELECT 1")[0][0]

    assert lane.run(ask, atomic=False) == 1
    with pytest.raises(Exception, match=r"(?i)closed|\((0|2006), ''\)"):
        rows(used[0], "SELECT 1")
    assert lane.run(lambda connection: rows(connection, "SELECT 2")[0][0], atomic=False) == 2


def test_claims_and_ends_share_a_connection_where_one_writes_at_a_time(scene: Scene) -> None:
    """SQLite forgets the pages it holds at each write of another connection; on servers each writes on its own."""
    store = scene.store
    claims, ends, beats = store.lane(CLAIM), store.lane(FINISH), store.lane(BEAT)
    used = [lane.run(lambda connection: connection, atomic=False) for lane in (claims, ends, beats)]
    reads = claims.run(lambda connection: connection, read_only=True)
    one_writer = store.dialect.single_writer
    assert (used[0] is used[1], used[0] is reads) == (one_writer, not one_writer)
    assert used[2] not in used[:2]
    # A reader is not in the way of who writes meanwhile, and who closes not in the way of the others.
    inside = claims.run(lambda _: ends.run(lambda connection: connection, atomic=False), read_only=True)
    assert inside is used[1]
    ends.close()
    assert claims.run(lambda connection: store.dialect.rows(connection, "SELECT 1")[0][0], atomic=False) == 1


def test_a_session_the_server_ended_for_being_idle_is_a_lost_connection(on_postgresql: Scene) -> None:
    store = on_postgresql.store
    lane = store.lane(OTHER)

    def leave_idle(connection: Any) -> int:
        connection.execute("SET idle_session_timeout = 50")
        return int(connection.info.backend_pid)

    pid = lane.run(leave_idle, atomic=False)
    there = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid").bindparams(pid=pid)
    wait_until(lambda: store.read(lambda c: c.execute(there).scalar()) == 0, "the server ends the session")
    with pytest.raises(StoreUnavailable):
        lane.run(lambda connection: connection.execute("SELECT 1"), atomic=False)
    assert lane.run(lambda connection: connection.execute("SELECT 1").fetchone(), atomic=False) == (1,)


def test_a_transaction_of_a_body_waits_for_the_write_of_another_program(
    on_sqlite: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite gives up after some time: that is not the job's to fail by."""
    store = on_sqlite.store
    store.ready()
    store.engine.dispose()

    def hasty(connection: sqlite3.Connection, record: object) -> None:
        connection.execute("PRAGMA busy_timeout = 10")

    event.listen(store.engine, "connect", hasty)
    other = sqlite3.connect(store.url.database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    trouble, refusals = store.dialect.trouble, []

    def let_go(error: BaseException) -> Trouble:
        refusals.append(error)
        if other.in_transaction:
            other.execute("ROLLBACK")
        return trouble(error)

    monkeypatch.setattr(store.dialect, "trouble", let_go)
    with store.begin() as begun, begun.connection:
        begun.connection.execute(text("CREATE TABLE of_test (number integer)"))
    other.close()
    assert refusals


def test_a_transaction_of_a_body_begins_on_a_connection_that_lives(on_postgresql: Scene) -> None:
    store = on_postgresql.store
    store.read(lambda c: c.execute(text("SELECT 1")))
    with psycopg.connect(store.url.set(drivername="postgresql").render_as_string(hide_password=False)) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'backburner'")
    with store.begin() as begun, begun.connection:
        assert begun.connection.execute(text("SELECT 1")).scalar() == 1
