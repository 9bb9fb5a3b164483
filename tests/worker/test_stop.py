"""Signals and limits: stop in good order, at once, one after the other; nothing lost, nobody blamed."""

import signal

import psutil
import pytest

from backburner import JobState
from backburner.worker import exits
from tests.servers import PostgresServer
from tests.waiting import wait_until
from tests.worker.app import SLOW
from tests.worker.world import World

GRACE = 30.0


def _unblamed(world: World, job_id: str) -> bool:
    job = world.job(job_id)
    return (job.tries, job.crashes, job.losses) == (0, 0, 0)


def test_what_runs_may_finish_and_what_waits_goes_back(world: World) -> None:
    """Short jobs are claimed ahead; those that have not begun are queued again, without blame."""
    short = world.enqueue_many("work", [(1,)] * 200)
    tree = world.start(grace=GRACE)
    wait_until(lambda: world.states()["succeeded"] > 50, "work is under way, short and claimed ahead")
    held = [world.enqueue("hold", "go on", priority=1) for _ in range(3)]
    more = world.enqueue_many("work", [(1, 0.01)] * 300)
    for job in held:
        world.begun(job)
    tree.tell(signal.SIGTERM)
    wait_until(lambda: "told to stop" in tree.log.read_text(), "the worker has heard it")
    wait_until(lambda: set(world.owned()) == {job.id for job in held}, "only what runs is still owned")
    before = world.states()["succeeded"]
    late = world.enqueue("work", 1, priority=0)
    world.say("go on")
    assert tree.ended() == exits.STOPPED
    assert world.owned() == []
    assert world.job(late).state is JobState.QUEUED, "nothing was claimed any more"
    assert world.states()["succeeded"] == before + 3
    for job in held:
        assert (world.job(job).state, world.job(job).attempt) == (JobState.SUCCEEDED, 1)
    assert all(_unblamed(world, job_id) for job_id in (*short, *more))
    assert world.jobs.store.workers.live() == []
    world.start()
    assert world.all_done() == {"succeeded": 504}
    assert max(world.history.begun().values()) == 1, "no body ran twice"


def test_what_runs_beyond_the_grace_is_interrupted_without_a_try(world: World) -> None:
    held, once = world.enqueue("hold", "go on"), world.enqueue("hold", "go on", repeatable=False)
    tree = world.start(grace=0.5)
    world.begun(held)
    world.begun(once)
    tree.tell(signal.SIGTERM)
    assert tree.ended() == exits.STOPPED
    assert world.job(held).state is JobState.QUEUED
    assert _unblamed(world, held.id)
    assert [record.outcome for record in world.attempts(held)] == ["interrupted"]
    assert world.job(once).state is JobState.INTERRUPTED
    world.start()
    world.begun(held, 2)
    world.say("go on")
    world.ends(held)
    assert len(world.history.of(once.id)) == 1


@pytest.mark.parametrize("first", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_sigint_while_it_stops_means_at_once(on_sqlite: World, first: int) -> None:
    world = on_sqlite
    job = world.enqueue("hold", "go on")
    tree = world.start(grace=600.0)
    child = world.begun(job).pid
    tree.tell_all(first)
    wait_until(lambda: "stopping" in tree.log.read_text(), "the first signal was heard")
    assert psutil.pid_exists(child)
    tree.tell_all(signal.SIGINT)
    assert tree.ended() == exits.STOPPED
    assert world.job(job).state is JobState.QUEUED
    assert _unblamed(world, job.id)


def test_sigterm_three_times_is_the_same_as_once(on_sqlite: World) -> None:
    """As a container's runtime, a process group and a person may send it all at once."""
    world = on_sqlite
    job = world.enqueue("hold", "go on")
    tree = world.start(grace=GRACE)
    world.begun(job)
    for _ in range(3):
        tree.tell_all(signal.SIGTERM)
    wait_until(lambda: "stopping" in tree.log.read_text(), "it was heard")
    world.say("go on")
    assert tree.ended() == exits.STOPPED
    assert (world.job(job).state, world.job(job).attempt) == (JobState.SUCCEEDED, 1)


def test_sigterm_before_the_app_is_loaded(on_sqlite: World) -> None:
    world = on_sqlite
    (world.folder / SLOW).touch()
    tree = world.start()
    wait_until(lambda: tree.children(), "there is a child")
    tree.tell(signal.SIGTERM)
    wait_until(lambda: "stopping" in tree.log.read_text(), "it was heard")
    (world.folder / SLOW).unlink()
    assert tree.ended() == exits.STOPPED
    assert world.jobs.store.workers.live() == []


@pytest.mark.long
def test_sigterm_while_the_database_is_away(own_world: World, own_postgres: PostgresServer) -> None:
    """It ends in time, and what it could not write is run again, at the cost of a loss at most."""
    world = own_world
    done, held = world.enqueue("hold", "early"), world.enqueue("hold", "late")
    tree = world.start(grace=1.0)
    world.begun(done)
    world.begun(held)
    own_postgres.stop("immediate")
    world.say("early")
    wait_until(lambda: world.history.of(done.id, "end"), "a body ends")
    tree.tell(signal.SIGTERM)
    assert tree.ended(40) == exits.STOPPED
    own_postgres.start()
    world.say("late")
    world.start()
    for job in (done, held):
        ended = world.ends(job)
        assert (ended.tries, ended.crashes) == (0, 0)
        assert ended.losses <= 1


def test_sigterm_while_the_database_is_away_for_a_moment(own_world: World, own_postgres: PostgresServer) -> None:
    """It comes back within the grace: the outcome that waited is written."""
    world = own_world
    job = world.enqueue("hold", "go on")
    tree = world.start(grace=GRACE)
    world.begun(job)
    own_postgres.stop("immediate")
    world.say("go on")
    wait_until(lambda: world.history.of(job.id, "end"), "the body ends")
    tree.tell(signal.SIGTERM)
    wait_until(lambda: "stopping" in tree.log.read_text(), "it was heard")
    own_postgres.start()
    assert tree.ended() == exits.STOPPED
    assert (world.job(job).state, world.job(job).attempt) == (JobState.SUCCEEDED, 1)
    assert len(world.history.of(job.id)) == 1


def test_sighup_replaces_children_one_after_the_other(on_sqlite: World) -> None:
    world = on_sqlite
    job = world.enqueue("hold", "go on")
    tree = world.ready(world.start(processes=2, grace=GRACE), 2)
    first = world.begun(job).pid
    before = tree.children()
    tree.tell(signal.SIGHUP)
    # The one that is busy may take its time; nobody is killed for it.
    wait_until(lambda: _live(world) >= 2 or first in tree.children(), "somebody works on")
    assert psutil.pid_exists(first)
    world.say("go on")
    assert (world.ends(job).attempt, len(world.history.of(job.id))) == (1, 1)
    wait_until(lambda: not set(before) & set(tree.children()) and len(tree.children()) == 2, "both are new")
    ids = world.enqueue_many("work", [(1,)] * 10)
    assert world.all_done() == {"succeeded": 11}
    assert all(world.job(job_id).attempt == 1 for job_id in ids)


def test_sighup_while_jobs_go_through(on_postgresql: World) -> None:
    world = on_postgresql
    ids = world.enqueue_many("work", [(1, 0.02)] * 150)
    tree = world.ready(world.start(processes=2, grace=GRACE), 2)
    before = tree.children()
    tree.tell(signal.SIGHUP)
    wait_until(lambda: not set(before) & set(tree.children()), "both are new")
    assert world.all_done() == {"succeeded": 150}
    assert all(_unblamed(world, job_id) for job_id in ids)
    assert max(world.history.begun().values()) == 1, "no body ran twice"


@pytest.mark.parametrize("limit", [{"max_jobs": 10}, pytest.param({"max_time": 0.3}, marks=pytest.mark.long)])
def test_a_worker_is_replaced_at_its_limit(world: World, limit: dict[str, float]) -> None:
    ids = world.enqueue_many("work", [(1, 0.05)] * 60)
    world.start(**limit)
    assert world.all_done() == {"succeeded": 60}
    pids = {entry.pid for entry in world.history.entries()}
    assert len(pids) >= 2, "several processes took turns"
    assert all(_unblamed(world, job_id) for job_id in ids)
    assert max(world.history.begun().values()) == 1, "no body ran twice"


def test_a_worker_that_grows_is_replaced(on_sqlite: World) -> None:
    world = on_sqlite
    world.start(max_memory=250 << 20)
    first = world.ends(world.enqueue("grow", 300)).result()
    wait_until(lambda: not psutil.pid_exists(first), "the large process ends")
    second = world.ends(world.enqueue("grow", 1)).result()
    assert second != first


def test_burst_ends_when_nothing_is_ready(on_postgresql: World) -> None:
    world = on_postgresql
    world.enqueue_many("work", [(1, 0.005)] * 50)
    later = world.enqueue("work", 1, delay=3600.0)
    tree = world.start(burst=True, processes=2)
    assert tree.ended() == exits.STOPPED
    assert world.states() == {"succeeded": 50, "scheduled": 1}
    assert world.job(later).attempt == 0
    assert world.jobs.store.workers.live() == []


def _live(world: World) -> int:
    return len(world.jobs.store.workers.live())
