"""Workers: registered, beating, suspected, marked dead."""

from datetime import timedelta

from sqlalchemy import select

from backburner.store.taking import alive
from tests.store.forks import Forked
from tests.store.scene import LEASE, Scene


def suspects(scene: Scene) -> list[str]:
    return [worker.id for worker in scene.store.workers.suspects()]


def test_a_registered_worker_lives(scene: Scene) -> None:
    first, second = scene.worker(), scene.worker()
    assert [worker.id for worker in scene.store.workers.live()] == [first, second]
    row = scene.store.workers.get(first)
    assert row is not None
    assert (row.host, row.pid, row.concurrency, row.dead_at, row.reason) == ("box", 42, 10, None, None)
    assert row.lease_until == scene.clock.now() + timedelta(seconds=LEASE)
    assert scene.store.workers.get(scene.ids.new()) is None


def test_a_beat_prolongs_the_lease(scene: Scene) -> None:
    first, second = scene.worker(), scene.worker()
    now = scene.clock.move(20)
    assert set(scene.store.workers.beat([first, second], LEASE)) == {first, second}
    row = scene.store.workers.get(first)
    assert row is not None
    assert (row.beat_at, row.lease_until) == (now, now + timedelta(seconds=LEASE))
    scene.clock.move(LEASE)
    assert suspects(scene) == []
    scene.clock.move(0.000001)
    assert suspects(scene) == [first, second]


def test_only_those_named_are_prolonged(scene: Scene) -> None:
    beating, silent = scene.worker(), scene.worker()
    scene.clock.move(20)
    assert set(scene.store.workers.beat([beating], LEASE)) == {beating}
    scene.clock.move(20)
    assert suspects(scene) == [silent]
    assert set(scene.store.workers.beat([], LEASE)) == set()


def test_a_lapsed_lease_revives_when_nobody_noticed(scene: Scene) -> None:
    worker = scene.worker()
    scene.clock.move(LEASE * 10)
    assert suspects(scene) == [worker]
    assert set(scene.store.workers.beat([worker], LEASE)) == {worker}
    assert suspects(scene) == []


def test_a_beat_of_a_dead_worker_says_so(scene: Scene) -> None:
    dead, alive = scene.worker(), scene.worker()
    scene.rescue(dead, certain=True)
    before = scene.store.workers.get(dead)
    scene.clock.move(5)
    assert set(scene.store.workers.beat([dead, alive, scene.ids.new()], LEASE)) == {alive}
    assert scene.store.workers.get(dead) == before


def test_an_orderly_end(scene: Scene) -> None:
    worker = scene.worker()
    now = scene.clock.move(1)
    scene.store.workers.end(worker, "asked to")
    row = scene.store.workers.get(worker)
    assert row is not None
    assert (row.dead_at, row.ended_at, row.reason) == (now, now, "asked to")
    assert scene.store.workers.live() == []
    assert set(scene.store.workers.beat([worker], LEASE)) == set()


def test_an_end_after_death_does_not_rewrite_history(scene: Scene) -> None:
    worker = scene.worker()
    scene.rescue(worker, certain=True)
    before = scene.store.workers.get(worker)
    scene.clock.move(1)
    scene.store.workers.end(worker, "asked to")
    assert scene.store.workers.get(worker) == before


def test_dead_workers_are_forgotten_in_the_end(scene: Scene) -> None:
    dead, late, alive = scene.worker(), scene.worker(), scene.worker()
    scene.store.workers.end(dead, "x")
    then = scene.clock.move(1)
    scene.store.workers.end(late, "x")
    assert scene.store.workers.prune(then, 10) == 1
    known = [worker for worker in (dead, late, alive) if scene.store.workers.get(worker) is not None]
    assert known == [late, alive]
    scene.clock.move(1)
    assert scene.store.workers.prune(scene.clock.now(), 0) == 0


def test_jobs_of_a_dead_worker_are_found_by_the_net(scene: Scene) -> None:
    """Until its lease is over it is the business of its supervisor."""
    worker = scene.worker()
    job = scene.running(worker)
    scene.store.workers.end(worker, "forgot its jobs")
    assert suspects(scene) == []
    scene.clock.move(LEASE + 1)
    assert suspects(scene) == [worker]
    rescued = scene.rescue(worker)
    assert rescued is not None
    assert [s.id for s in rescued] == [job.id]
    assert (scene.state(job.id), suspects(scene)) == ("queued", [])


def test_a_lock_on_a_file_proves_life_and_death(on_sqlite: Scene) -> None:
    scene, dialect = on_sqlite, on_sqlite.store.dialect
    worker = scene.worker()
    assert dialect.proof_of_death(worker) is None
    with Forked(lambda: dialect.hold_life(worker)) as child:
        assert dialect.proof_of_death(worker) is False
        scene.clock.move(LEASE * 10)
        assert suspects(scene) == [], "its process lives, whatever its lease says"
        child.kill()
        assert dialect.proof_of_death(worker) is True
    assert suspects(scene) == [worker]


def test_a_dead_process_is_rescued_before_its_lease_is_over(on_sqlite: Scene) -> None:
    scene, dialect = on_sqlite, on_sqlite.store.dialect
    worker = scene.worker()
    job = scene.running(worker)
    with Forked(lambda: dialect.hold_life(worker)) as child:
        assert scene.rescue(worker) is None
        child.kill()
    rescued = scene.rescue(worker)
    assert rescued is not None
    assert [s.id for s in rescued] == [job.id]
    assert dialect.proof_of_death(worker) is None, "its file is gone"


def test_an_orderly_end_leaves_no_file(on_sqlite: Scene) -> None:
    dialect, worker = on_sqlite.store.dialect, on_sqlite.worker()
    life = dialect.hold_life(worker)
    assert dialect.proof_of_death(worker) is False
    life.end()
    life.forget()
    assert dialect.proof_of_death(worker) is None


def test_life_is_shared_by_a_supervisor_and_its_child(on_sqlite: Scene) -> None:
    dialect, worker = on_sqlite.store.dialect, on_sqlite.worker()
    life = dialect.hold_life(worker)
    with Forked(lambda: dialect.hold_life(worker)) as child:
        child.kill()
        assert dialect.proof_of_death(worker) is False
    life.forget()
    assert dialect.proof_of_death(worker) is True


def test_only_a_lease_can_tell_across_machines(on_postgresql: Scene) -> None:
    dialect, worker = on_postgresql.store.dialect, on_postgresql.worker()
    life = dialect.hold_life(worker)
    assert dialect.proof_of_death(worker) is None
    life.end()
    life.forget()


def test_a_beat_for_many_waits_for_none_of_them_long(on_server: Scene) -> None:
    """One is being rescued, its row is locked: the others live on, and it does, too, when nothing comes of it."""
    scene, workers = on_server, on_server.store.schema.workers.c
    held, *others = ids = [on_server.worker() for _ in range(6)]
    scene.clock.move(LEASE + 1)
    with scene.store.engine.connect() as rescuer, rescuer.begin():
        rescuer.execute(select(workers.id).where(workers.id == held).with_for_update())
        assert set(scene.store.workers.beat(ids, LEASE)) == set(others)
        assert scene.store.workers.dead([held]) == set()
        assert scene.store.workers.beat([held], LEASE, patience=0.1) == {}
        assert suspects(scene) == [held]
    assert set(scene.store.workers.beat(ids, LEASE)) == set(ids)


def test_a_beat_waits_for_no_claim_that_stands_still(on_server: Scene) -> None:
    """A claim locks the row of its worker: it must not cost the others of its tree their leases. On MariaDB its own
    worker has no beat meanwhile.
    """
    scene = on_server
    claiming, *others = (on_server.worker() for _ in range(3))
    with scene.store.engine.connect() as claim:
        assert alive(scene.store, claim, claiming)
        assert set(scene.store.workers.beat([claiming, *others], LEASE)) >= set(others)
        assert scene.store.workers.dead([claiming]) == set()
    assert set(scene.store.workers.beat([claiming], LEASE)) == {claiming}
