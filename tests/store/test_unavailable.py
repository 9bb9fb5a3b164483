"""The database is away: everything says so, nothing hangs, and all goes on by itself when it is back."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backburner.errors import InvalidUrl, StoreUnavailable
from backburner.job import JobFilter
from backburner.store.lane import FINISH
from backburner.store.store import Store
from tests.servers import MariaDBServer, PostgresServer, ServerMissing, free_port
from tests.store.conftest import OpenStore
from tests.store.scene import Crew, HandClock, Scene
from tests.waiting import wait_until

Server = PostgresServer | MariaDBServer


@pytest.fixture(scope="module", params=[PostgresServer, MariaDBServer])
def mortal(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server to be stopped and paused; one of each kind for all these tests."""
    try:
        server: Server = request.param()
    except ServerMissing as missing:
        pytest.skip(str(missing))
    with server:
        yield server


@pytest.fixture
def scene(mortal: Server, opened: OpenStore) -> Iterator[Scene]:
    if not mortal.running:
        mortal.start()
    url = mortal.create_database()
    scene = Scene(opened(url, auto_migrate=True), HandClock())
    scene.store.ready()
    yield scene
    scene.store.close()
    if not mortal.running:
        mortal.start()
    mortal.drop_database(url)


@pytest.mark.parametrize("scheme", ["postgresql", "mariadb"])
def test_nobody_listens(scheme: str) -> None:
    store = Store(f"{scheme}://someone:s3cret@127.0.0.1:{free_port()}/jobs")
    doors: list[Callable[[], object]] = [
        store.ready,
        lambda: store.lane(0),
        lambda: store.jobs.ids(JobFilter(), 1),
    ]
    for door in doors:
        with pytest.raises(StoreUnavailable) as caught:
            door()
        assert "s3cret" not in str(caught.value)
    store.close()


def test_a_database_that_is_not_there(mortal: Server) -> None:
    with pytest.raises(StoreUnavailable, match="(?i)\"nowhere\" does not exist|unknown database 'nowhere'"):
        Store(mortal.url("nowhere")).ready()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_stopped_and_started_again(scene: Scene, mortal: Server, mode: str) -> None:
    worker, job_id = scene.worker(), scene.one()
    lane = scene.store.lane(FINISH)
    (claimed,) = scene.claim(worker)
    doors: list[Callable[[], object]] = [
        scene.insert,
        lambda: scene.claim(worker),
        lambda: scene.finish(worker, [claimed]),
        lambda: scene.get(job_id),
        lambda: scene.store.workers.beat([worker], 30),
        lambda: scene.store.read_clock(lane),
    ]
    lane.run(lambda connection: scene.store.dialect.rows(connection, "SELECT 1"))
    mortal.stop(mode)  # type: ignore[arg-type]
    for door in doors * 2:
        with pytest.raises(StoreUnavailable):
            door()
    mortal.start()
    assert scene.finish(worker, [claimed]) == {job_id}
    for door in doors:
        door()
    assert scene.state(job_id) == "succeeded"


def test_a_restart_between_two_calls_is_at_worst_one_error_each(scene: Scene, mortal: Server) -> None:
    """Connections that died unseen are replaced at the first error; the second call works."""
    worker, job_id = scene.worker(), scene.one()
    (claimed,) = scene.claim(worker)
    mortal.restart("immediate")
    doors: list[Callable[[], object]] = [
        lambda: scene.finish(worker, [claimed]),
        lambda: scene.claim(worker),
        lambda: scene.get(job_id),
        scene.insert,
    ]
    for door in doors:
        with_one_error(door)
    assert scene.state(job_id) == "succeeded"


def with_one_error(door: Callable[[], object]) -> None:
    try:
        door()
    except StoreUnavailable:
        door()


def test_a_backend_ended_by_the_operator(scene: Scene) -> None:
    worker = scene.worker()
    scene.one()
    lane = scene.lane
    rows, on_postgresql = scene.store.dialect.rows, scene.store.dialect.name == "postgresql"
    who = "SELECT pg_backend_pid()" if on_postgresql else "SELECT CONNECTION_ID()"
    number = lane.run(lambda connection: rows(connection, who), atomic=False)[0][0]
    with scene.store.engine.connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend({number})" if on_postgresql else f"KILL {number}")
    with pytest.raises(StoreUnavailable):
        scene.claim(worker)
    assert len(scene.claim(worker)) == 1


def test_a_call_that_hangs_can_be_abandoned(scene: Scene, mortal: Server) -> None:
    """The server is there and does not answer: a watchdog ends the call from another thread."""
    worker, lane, errors = scene.worker(), scene.lane, list[StoreUnavailable]()
    scene.claim(worker)

    def hang() -> None:
        with pytest.raises(StoreUnavailable) as caught:
            lane.run(lambda connection: scene.store.dialect.rows(connection, "SELECT 1"), atomic=False)
        errors.append(caught.value)

    mortal.pause()
    try:
        crew = Crew()
        crew.add(hang)
        crew.start()
        wait_until(lambda: lane.overdue(0), "the call is under way")
        scene.store.abandon_overdue(3600)
        assert errors == [], "an hour is not over"
        scene.store.abandon_overdue(0)
        crew.join()
    finally:
        mortal.resume()
    assert len(errors) == 1
    job = scene.one()
    assert [claimed.id for claimed in scene.claim(worker)] == [job]


def test_sqlite_whose_folder_is_gone(sqlite_url: str, opened: OpenStore, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    store = opened(f"sqlite:///{folder / 'jobs.db'}")
    scene = Scene(store, HandClock())
    job = scene.one()
    store.close()
    folder.rename(tmp_path / "there")
    for door in (scene.insert, lambda: scene.get(job)):
        with pytest.raises(StoreUnavailable, match="unable to open"):
            door()
    (tmp_path / "there").rename(folder)
    assert scene.state(job) == "queued"
    assert scene.state(scene.one()) == "queued"


@pytest.mark.parametrize(
    "url", ["postgresql://ada:tell-nobody@here:abc/x", "postgresql//ada:tell-nobody@here/x", "no url", ""]
)
def test_a_url_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidUrl, match="is no database URL") as refused:
        Store(url)
    assert "tell-nobody" not in str(refused.value)
