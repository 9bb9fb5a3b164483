"""The sign of life of a worker on SQLite: a lock on a file, which the system lets go of when the process ends."""

import os

from tests.store.scene import Scene


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_the_end_of_a_worker_leaves_no_file_open(on_sqlite: Scene) -> None:
    on_sqlite.store.ready()
    before = _open_files()
    for _ in range(3):
        on_sqlite.store.dialect.hold_life(on_sqlite.ids.new()).end()
    assert _open_files() == before


def test_letting_go_twice_closes_nothing_else(on_sqlite: Scene) -> None:
    worker = on_sqlite.ids.new()
    first = on_sqlite.store.dialect.hold_life(on_sqlite.ids.new())
    first.forget()
    # Its number is that of the file just closed.
    second = on_sqlite.store.dialect.hold_life(worker)
    first.forget()
    first.end()
    assert on_sqlite.store.dialect.proof_of_death(worker) is False
    second.end()


def test_a_forked_child_does_not_look_like_the_worker(on_sqlite: Scene) -> None:
    """A job may start processes of its own that outlive its worker; its jobs would never be rescued."""
    worker, dialect = on_sqlite.ids.new(), on_sqlite.store.dialect
    life = dialect.hold_life(worker)
    reading, writing = os.pipe()
    forked_reading, forked_writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(forked_writing, b"x")
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.read(forked_reading, 1)
    assert dialect.proof_of_death(worker) is False
    life.forget()
    try:
        assert dialect.proof_of_death(worker) is True
    finally:
        os.close(writing)
        os.waitpid(child, 0)
        for file in (reading, forked_reading, forked_writing):
            os.close(file)
