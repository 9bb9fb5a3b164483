"""The database is away for longer than the lease: no body is killed for it, no outcome lost, all comes back."""

import os
import signal
import sqlite3
import threading

import pytest

from backburner import JobState
from backburner.clock import boot_seconds
from backburner.errors import StoreUnavailable
from tests.servers import PostgresServer
from tests.waiting import wait_until
from tests.worker.world import QUICK, World

LEASE = {"lease": 2.0, "beat": 0.5}
LONG_LEASE = {"lease": 30.0, "beat": 5.0}
SOON = 25.0
"""Some tries after pauses of at most two seconds, and a busy machine."""


@pytest.mark.parametrize("how", ["stopped", pytest.param("frozen", marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("seconds", "lease"),
    [(4.0, LEASE), pytest.param(120.0, LONG_LEASE, marks=[pytest.mark.long, pytest.mark.timeout(300)])],
)
def test_away_for_longer_than_the_lease(
    own_world: World,
    own_postgres: PostgresServer,
    how: str,
    seconds: float,
    lease: dict[str, float],
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = own_world
    early, late = world.enqueue("hold", "early"), world.enqueue("hold", "late")
    talking = world.enqueue("talk", "early", "early")
    once = world.enqueue("hold", "late", queue="once", repeatable=False)
    tree, guarded = world.start(queues=["default"], **lease), world.start(queues=["once"], **lease)
    children = [world.begun(job).pid for job in (early, late, talking)]
    world.begun(once)
    child = guarded.children()
    _away(own_postgres, how)
    if how == "stopped":
        with pytest.raises(StoreUnavailable):
            world.enqueue("work", 1)
    # Bodies end while nobody can write it down.
    world.say("early")
    wait_until(lambda: world.history.of(early.id, "end"), "a body ends while the database is away")
    _pass(seconds)
    assert set(children) == set(tree.children()), "no process was ended"
    assert guarded.children() != child, "what must not run twice ended with the lease"
    assert not world.history.of(once.id, "end")
    _back(own_postgres, how)
    back = boot_seconds()
    fresh = wait_until(lambda: _enqueued(world), "the app enqueues again")
    assert fresh is not None
    took = world.begun(fresh).at - back
    with capsys.disabled():
        print(f"\n    {how} for {seconds:g} s: workers run jobs again {took:.2f} s after it came back")
    assert took < SOON
    world.say("late")
    for job in (early, late, talking):
        done = world.ends(job)
        assert (done.attempt, done.losses, done.crashes, done.tries) == (1, 0, 0, 0)
        assert len(world.history.of(job.id)) == 1
    assert "attempt 1 goes on" in "".join(line.text for line in world.jobs.store.progress.log(talking.id))
    world.ends(once, JobState.INTERRUPTED)
    assert len(world.history.of(once.id)) == 1
    again = world.enqueue("work", 1, queue="once")
    back_at = boot_seconds()
    world.ends(again)
    with capsys.disabled():
        print(f"    the worker that had to end runs jobs {boot_seconds() - back_at:.2f} s later")
    assert set(children) == set(tree.children())


def test_restarts_under_load(own_world: World, own_postgres: PostgresServer) -> None:
    """The server is killed and started three times while jobs come and go: nothing is lost."""
    world = own_world
    world.start(processes=2)
    accepted: list[str] = []
    for _ in range(3):
        for _ in range(5):
            accepted += world.enqueue_many("work", [(1, 0.005)] * 10)
        own_postgres.restart("immediate")
    wait_until(lambda: _counted(world) == {"succeeded": len(accepted)}, "every job succeeds", 60)
    began = world.history.begun()
    assert set(began) == set(accepted)
    assert world.owned() == []


@pytest.mark.long
def test_a_worker_that_dies_meanwhile(own_world: World, own_postgres: PostgresServer) -> None:
    """Its supervisor keeps what it knows of its death, and rescues when the database is back."""
    world = own_world
    job = world.enqueue("hold", "go on")
    tree = world.start()
    child = world.begun(job).pid
    own_postgres.stop("immediate")
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: child not in tree.children(), "the child is gone")
    _pass(4.0)
    own_postgres.start()
    back = boot_seconds()
    assert world.begun(job, 2).at - back < SOON
    world.say("go on")
    done = world.ends(job)
    assert (done.crashes, done.losses) == (1, 0)


def test_a_worker_started_meanwhile(own_world: World, own_postgres: PostgresServer) -> None:
    """It keeps asking, and comes up soon after the database."""
    world = own_world
    job = world.enqueue("work", 1)
    own_postgres.stop()
    tree = world.start()
    wait_until(lambda: tree.log.read_text().count("cannot be used") >= 3, "it has tried three times")
    own_postgres.start()
    back = boot_seconds()
    world.ends(job)
    assert boot_seconds() - back < SOON


def test_another_program_writes_for_longer_than_the_lease(on_sqlite: World) -> None:
    """SQLite has one writer: beats, outcomes and claims wait, and nothing is lost or seen."""
    world = on_sqlite
    held = [world.enqueue("hold", "go on"), world.enqueue("hold", "go on", repeatable=False)]
    tree = world.start()
    children = {world.begun(job).pid for job in held}
    other = world.ready(world.start())
    children.update(other.children())
    writer = sqlite3.connect(world.folder / "jobs.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    world.say("go on")
    wait_until(lambda: len(world.history.ended()) == 2, "the bodies end")
    _pass(2 * QUICK["lease"])
    writer.execute("COMMIT")
    writer.close()
    more = world.enqueue("work", 5)
    for job in held:
        assert world.ends(job).attempt == 1
    assert world.ends(more).tries == 0
    assert children == {*tree.children(), *other.children()}
    logs = tree.log.read_text() + other.log.read_text()
    assert "Traceback" not in logs
    assert "locked" not in logs


def _away(server: PostgresServer, how: str) -> None:
    server.stop("immediate") if how == "stopped" else server.pause()


def _back(server: PostgresServer, how: str) -> None:
    server.start() if how == "stopped" else server.resume()


def _pass(seconds: float) -> None:
    """Let time pass: here it is the time away itself that is tested."""
    threading.Event().wait(seconds)


def _enqueued(world: World) -> str | None:
    try:
        return world.enqueue("work", 1).id
    except StoreUnavailable:
        return None


def _counted(world: World) -> dict[str, int] | None:
    try:
        return dict(world.states())
    except StoreUnavailable:
        return None
