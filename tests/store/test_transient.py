"""Somebody else is in the way: asked again, by itself, and not for ever."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, event, text

from backburner.errors import StoreUnavailable
from backburner.job import JobFilter
from backburner.store.dialects.base import DriverConnection, Trouble
from backburner.store.dialects.turn import Turn
from backburner.store.repeat import BUSY_TRIES
from tests.store.conftest import OpenStore
from tests.store.scene import Crew, HandClock, Scene
from tests.waiting import wait_until


def test_a_deadlock_is_asked_again(empty_postgresql_url: str, opened: OpenStore) -> None:
    store = opened(empty_postgresql_url, auto_migrate=True)
    scene = Scene(store, HandClock())
    with store.engine.begin() as connection:
        name = connection.exec_driver_sql("SELECT current_database()").scalar_one()
        connection.exec_driver_sql(f"ALTER DATABASE \"{name}\" SET deadlock_timeout = '20ms'")
    store.engine.dispose()
    first, second = scene.insert(2)
    jobs, met, rounds = store.schema.qualified("jobs"), threading.Barrier(2), list[str]()

    def cross(one: str, other: str) -> None:
        tries = list[int]()

        def work(connection: Connection) -> None:
            tries.append(1)
            rounds.append(one)
            lock = text(f"UPDATE {jobs} SET tries = tries + 1 WHERE id = CAST(:id AS uuid)")
            connection.execute(lock, {"id": one})
            if len(tries) == 1:
                met.wait(30)
            connection.execute(lock, {"id": other})

        store.run(work)

    crew = Crew()
    crew.add(cross, first, second)
    crew.add(cross, second, first)
    crew.start().join()
    # Who begins anew may be back before the other has woken up, and meet it once more.
    assert len(rounds) >= 3, "one of the two had to begin anew"
    assert [scene.get(job).tries for job in (first, second)] == [2, 2]


def test_a_deadlock_on_a_lane_is_asked_again(on_postgresql: Scene) -> None:
    scene, asked = on_postgresql, list[int]()

    def work(connection: DriverConnection) -> str:
        asked.append(1)
        connection.execute("INSERT INTO backburner_locks VALUES ('x', gen_random_uuid(), '', now())")
        if len(asked) < 3:
            connection.execute("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$")
        return "done"

    assert scene.lane.run(work) == "done"
    assert len(asked) == 3


@pytest.mark.parametrize("code", ["40001", "40P01", "55P03"])
def test_what_is_transient_on_postgresql(on_postgresql: Scene, code: str) -> None:
    asked = list[int]()

    def work(connection: Connection) -> int:
        asked.append(1)
        if len(asked) == 1:
            connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$")
        return len(asked)

    assert on_postgresql.store.run(work) == 2


def test_a_mistake_is_not_asked_again(scene: Scene) -> None:
    asked = list[int]()

    def work(connection: Connection) -> None:
        asked.append(1)
        connection.exec_driver_sql("SELECT no_such_column FROM backburner_jobs")

    with pytest.raises(Exception, match="no_such_column"):
        scene.store.run(work)
    assert len(asked) == 1
    assert scene.state(scene.one()) == "queued"


def test_our_transactions_are_read_committed_whatever_the_default(empty_postgresql_url: str, opened: OpenStore) -> None:
    store = opened(empty_postgresql_url, auto_migrate=True)
    with store.engine.begin() as connection:
        name = connection.exec_driver_sql("SELECT current_database()").scalar_one()
        connection.exec_driver_sql(f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = 'serializable'")
    store.engine.dispose()
    query = "SHOW transaction_isolation"
    lane = store.lane(0)
    seen = [
        lane.run(lambda c: c.execute(query).fetchone()[0]),
        lane.run(lambda c: c.execute(query).fetchone()[0], atomic=False),
        store.run(lambda c: c.exec_driver_sql(query).scalar_one()),
        store.read(lambda c: c.exec_driver_sql(query).scalar_one()),
    ]
    assert seen == ["read committed"] * 4


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("CREATE TABLE foreign_one (x)")
print("held", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
print("free", flush=True)
sys.stdin.readline()
"""


@contextmanager
def writer_elsewhere(file: str) -> Iterator[subprocess.Popen[str]]:
    """Another process with an open write transaction; a line to its input commits it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def impatient(on_sqlite: Scene) -> tuple[Scene, threading.Event]:
    """A store whose statements wait for nobody, so that being busy is seen; set when it was."""
    busy = threading.Event()
    dialect, engine = on_sqlite.store.dialect, on_sqlite.store.engine
    event.listen(engine, "connect", lambda connection, record: connection.execute("PRAGMA busy_timeout = 0"))
    trouble = dialect.trouble

    def seen(error: BaseException) -> Trouble:
        if trouble(error) is Trouble.BUSY:
            busy.set()
        return trouble(error)

    dialect.trouble = seen  # type: ignore[method-assign]
    return on_sqlite, busy


@pytest.mark.parametrize("door", ["insert", "claim", "beat"])
def test_a_writer_in_another_process_is_waited_for(impatient: tuple[Scene, threading.Event], door: str) -> None:
    scene, busy = impatient
    worker, found = scene.worker(), list[object]()
    scene.one()
    doors: dict[str, Callable[[], object]] = {
        "insert": lambda: scene.insert(2),
        "claim": lambda: scene.claim(worker),
        "beat": lambda: scene.store.workers.beat([worker], 30),
    }
    lane = scene.lane
    with writer_elsewhere(str(scene.store.url.database)) as process:
        assert process.stdin is not None
        crew = Crew()
        crew.add(lambda: found.append(doors[door]()))
        crew.start()
        assert busy.wait(30)
        process.stdin.write("\n")
        process.stdin.flush()
        crew.join()
    assert found
    assert found[0]
    lane.close()


def test_readers_wait_for_nobody(impatient: tuple[Scene, threading.Event]) -> None:
    scene, busy = impatient
    job = scene.one()
    scene.store.close()
    with writer_elsewhere(str(scene.store.url.database)):
        assert scene.state(job) == "queued"
        assert scene.store.claims.ready_queues(scene.lane) == ["default"]
        assert scene.store.upkeep.next_due() is None
        scene.store.read_clock(scene.lane)
    assert not busy.is_set()


def test_not_for_ever(impatient: tuple[Scene, threading.Event]) -> None:
    scene, _ = impatient
    worker = scene.worker()
    with writer_elsewhere(str(scene.store.url.database)):
        with pytest.raises(StoreUnavailable, match=f"busy {BUSY_TRIES} times: .*locked"):
            scene.store.workers.beat([worker], 30)
        with pytest.raises(StoreUnavailable, match=f"busy {BUSY_TRIES} times: .*locked"):
            scene.insert()


@pytest.mark.parametrize(("pragma", "wanted"), [("journal_mode", "wal"), ("synchronous", 2)])
def test_sqlite_is_durable_and_does_not_block_readers(on_sqlite: Scene, pragma: str, wanted: object) -> None:
    query = f"PRAGMA {pragma}"
    assert on_sqlite.lane.run(lambda connection: connection.execute(query).fetchone()[0]) == wanted
    with on_sqlite.store.engine.connect() as connection:
        assert connection.exec_driver_sql(query).scalar() == wanted


def test_the_most_urgent_writer_is_next() -> None:
    turn, order, crews = Turn(), list[int](), list[Crew]()
    turn.acquire(0)

    def work(urgency: int) -> None:
        turn.acquire(urgency)
        order.append(urgency)
        turn.release()

    for urgency in (4, 2, 0, 3, 1):
        crews.append(Crew())
        crews[-1].add(work, urgency)
        crews[-1].start()
        wait_until(lambda: len(turn._waiting) == len(crews), "it waits in line")
    turn.release()
    for crew in crews:
        crew.join()
    assert order == [0, 1, 2, 3, 4]


class Interrupted(Exception):
    """What Ctrl-C is in a program."""


def test_one_who_is_interrupted_while_waiting_does_not_take_the_turn_along() -> None:
    turn, main = Turn(), threading.main_thread()
    assert threading.current_thread() is main
    assert main.ident is not None
    ident = main.ident

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    def send() -> None:
        wait_until(lambda: turn._waiting, "it waits in line")
        signal.pthread_kill(ident, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        turn.acquire(0)
        crew = Crew()
        crew.add(send)
        crew.start()
        with pytest.raises(Interrupted):
            turn.acquire(0)
    finally:
        signal.signal(signal.SIGUSR1, before)
    turn.release()
    later = Crew()
    later.add(turn.acquire, 0)
    later.start().join(10)


def test_writers_of_one_process_and_of_another_share_a_file(on_sqlite: Scene, opened: OpenStore) -> None:
    file, crew, each = str(on_sqlite.store.url.database), Crew(), 15

    def work(place: Scene) -> None:
        for _ in range(each):
            place.insert(2)

    for _ in range(2):
        place = Scene(opened(f"sqlite:///{file}"), on_sqlite.clock)
        crew.add(work, place)
        crew.add(work, place)
    crew.start().join(60)
    assert on_sqlite.store.jobs.count(JobFilter(), 1000) == 4 * 2 * each
