"""A process forked after the store was used (gunicorn's preload): both go on, each on its own connections."""

import threading

from backburner.job import JobFilter
from backburner.store.store import Store
from tests.store.forks import Forked
from tests.store.scene import Crew, Scene


def use(scene: Scene) -> None:
    """Pool, idle lane and held lane, all in use once."""
    worker = scene.worker()
    scene.insert(2)
    assert len(scene.claim(worker)) == 2
    assert scene.store.claims.owned(worker)


def test_parent_and_child_go_on(scene: Scene) -> None:
    use(scene)
    with Forked(lambda: use(scene)) as child:
        use(scene)
        child.kill()
    use(scene)
    assert scene.store.jobs.count(JobFilter(), 100) == 8


def test_a_child_that_only_ends_disturbs_nobody(on_postgresql: Scene) -> None:
    scene = on_postgresql
    use(scene)
    pid = _session(scene)
    with Forked(lambda: None):
        pass
    use(scene)
    assert _session(scene) == pid, "the parent's connection was not lost"


def test_a_fork_while_another_thread_writes(on_sqlite: Scene) -> None:
    """SQLite's locks live in the process's memory: a child must not inherit the write lock of its parent."""
    scene = on_sqlite
    use(scene)
    enough, written = threading.Event(), list[str]()

    def write() -> None:
        # A pause of its own, or the child would hardly find a gap: SQLite's queue is not fair.
        while not enough.wait(0.002):
            written.extend(scene.insert(1))

    crew = Crew()
    crew.add(write)
    crew.start()
    try:
        for _ in range(10):
            with Forked(lambda: scene.insert(1)):
                pass
    finally:
        enough.set()
        crew.join()
    assert written, "the other thread wrote meanwhile"
    assert scene.store.jobs.count(JobFilter(), 100_000) == 2 + 10 + len(written), "no write was lost"


def test_no_moment_to_fork_while_a_transaction_is_open(on_sqlite: Scene) -> None:
    store, begun, enough = on_sqlite.store, threading.Event(), threading.Event()

    def write(_: object) -> None:
        begun.set()
        enough.wait(30)

    crew = Crew()
    crew.add(store.run, write)
    crew.start()
    begun.wait(30)
    with store.apart(0.0) as alone:
        assert not alone
    enough.set()
    crew.join()
    with store.apart(0.0) as alone:
        assert alone


def test_the_child_uses_connections_of_its_own(on_postgresql: Scene) -> None:
    parents = _session(on_postgresql)

    def look() -> None:
        assert _session(on_postgresql) != parents

    with Forked(look):
        assert _session(on_postgresql) == parents


def test_a_fork_while_a_thread_holds_the_turn(on_sqlite: Scene) -> None:
    """The thread does not exist in the child: its turn must not be waited for there."""
    scene = on_sqlite
    use(scene)
    with scene.store.dialect.turn(0), Forked(lambda: use(scene)):
        pass
    assert scene.store.jobs.count(JobFilter(), 100) == 4, "the child had a turn of its own"


def test_a_fork_while_another_thread_makes_it_ready(database_url: str) -> None:
    store = Store(database_url)
    with store._ready_lock, Forked(store.ready):
        pass
    store.close()


def _session(scene: Scene) -> int:
    return int(scene.lane.run(lambda connection: connection.info.backend_pid))


def test_a_child_of_a_child(scene: Scene) -> None:
    def nested(left: int) -> None:
        use(scene)
        if left:
            with Forked(lambda: nested(left - 1)):
                use(scene)

    nested(2)
