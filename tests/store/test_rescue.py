"""Rescue: the jobs of a dead worker, all of them, once, by anybody; never those of a live one."""

import threading

import pytest
from sqlalchemy import select

from backburner.blame import Death, Orphan
from backburner.outcome import Settlement
from backburner.states import JobState, allowed
from backburner.store.taking import alive
from tests.store.conftest import OpenStore
from tests.store.scene import LEASE, Crew, Scene, end


def test_nothing_happens_while_the_lease_holds(scene: Scene) -> None:
    worker = scene.worker()
    job = scene.running(worker)
    scene.clock.move(LEASE)
    assert scene.rescue(worker) is None
    assert scene.state(job.id) == "running"
    assert scene.finish(worker, [job]) == {job.id}


def test_after_the_lease_its_jobs_go_back(scene: Scene) -> None:
    worker, colleague = scene.worker(), scene.worker(lease=LEASE * 10)
    ids = scene.insert(3)
    scene.claim(worker, free=2)
    (other,) = scene.claim(colleague)
    now = scene.clock.move(LEASE + 1)
    rescued = scene.rescue(worker)
    assert rescued is not None
    assert {s.id for s in rescued} == set(ids[:2])
    assert [scene.state(job) for job in ids] == ["queued", "queued", "running"]
    job, row = scene.get(ids[0]), scene.store.workers.get(worker)
    assert (job.worker, job.losses, job.crashes, job.tries, job.attempt) == (None, 1, 0, 0, 1)
    assert row is not None
    assert (row.dead_at, row.ended_at, row.reason) == (now, None, "gone")
    assert scene.get(other.id).worker == colleague


def test_with_certainty_at_once(scene: Scene) -> None:
    worker = scene.worker()
    job = scene.running(worker)
    death = Death("signal 9", frozenset({job.id}), crashed=True, host="box", pid=7)
    rescued = scene.rescue(worker, death, certain=True)
    assert rescued is not None
    assert [(s.id, s.crashes, s.losses) for s in rescued] == [(job.id, 1, 0)]
    ((number, kept),) = scene.store.jobs.attempts(job.id)
    assert (number, kept.outcome, kept.host, kept.pid, kept.reason) == (1, "crashed", "box", 7, "signal 9")


def test_the_judge_sees_the_row_as_it_is(scene: Scene) -> None:
    worker = scene.worker()
    job = scene.running(worker, repeatable=False, task="t")
    scene.settle(worker, end(job, JobState.QUEUED, crashes=1, losses=2))
    started = scene.clock.move(1)
    (job,) = scene.claim(worker)
    begun = scene.clock.move(1)
    scene.store.claims.begin(job)
    scene.store.jobs.cancel(job.id, "stop")
    seen = list[Orphan]()

    def judge(orphan: Orphan) -> Settlement:
        seen.append(orphan)
        return Settlement(orphan.id, orphan.position, orphan.attempt, JobState.INTERRUPTED)

    by = scene.worker()
    scene.store.workers.rescue(worker, judge, by, "died", certain=True)
    assert seen == [Orphan(job.id, job.position, 2, "t", 1, 2, False, begun, started, True, "default")]
    assert scene.state(job.id) == "interrupted"


def test_a_job_asked_to_stop_is_cancelled_with_its_worker(scene: Scene) -> None:
    worker = scene.worker()
    job = scene.running(worker)
    scene.store.jobs.cancel(job.id, "stop")
    scene.rescue(worker, certain=True)
    assert scene.state(job.id) == "cancelled"
    assert JobState.CANCELLED in allowed("rescue", JobState.RUNNING)


def test_the_second_rescuer_finds_nothing(scene: Scene) -> None:
    worker = scene.worker()
    job = scene.running(worker)
    assert len(scene.rescue(worker, certain=True) or []) == 1
    assert scene.rescue(worker, certain=True) == []
    assert scene.rescue(worker) == []
    assert scene.get(job.id).losses == 1


def test_an_unknown_worker_leaves_nothing(scene: Scene) -> None:
    assert scene.rescue(scene.ids.new(), certain=True) == []


def test_a_stale_finish_changes_nothing(scene: Scene) -> None:
    worker = scene.worker()
    job = scene.running(worker)
    scene.rescue(worker, certain=True)
    before = scene.get(job.id)
    assert scene.finish(worker, [job]) == set()
    assert scene.get(job.id) == before
    assert scene.store.claims.begin(job) is False


def test_more_jobs_than_one_batch(scene: Scene) -> None:
    worker = scene.worker()
    ids = scene.insert(1050)
    scene.claim(worker, free=2000)
    rescued = scene.rescue(worker, certain=True)
    assert rescued is not None
    assert sorted(s.id for s in rescued) == sorted(ids)
    assert set(scene.store.jobs.states(ids).values()) == {"queued"}
    assert scene.store.claims.owned(worker) == []


def test_an_error_of_the_judge_undoes_everything(scene: Scene) -> None:
    worker = scene.worker()
    job = scene.running(worker)

    def judge(orphan: Orphan) -> Settlement:
        raise RuntimeError("no verdict")

    with pytest.raises(RuntimeError, match="no verdict"):
        scene.store.workers.rescue(worker, judge, scene.worker(), "died", certain=True)
    row = scene.store.workers.get(worker)
    assert row is not None
    assert (scene.state(job.id), row.dead_at) == ("running", None)


def test_two_rescuers_at_once_blame_a_job_once(scene: Scene, elsewhere: Scene) -> None:
    worker = scene.worker()
    ids = scene.insert(20)
    scene.claim(worker)
    start, found = threading.Barrier(2), list[int]()

    def work(place: Scene) -> None:
        start.wait(30)
        found.append(len(place.rescue(worker, certain=True) or []))

    crew = Crew()
    crew.add(work, scene)
    crew.add(work, elsewhere)
    crew.start().join()
    assert sorted(found) == [0, 20]
    assert {scene.get(job).losses for job in ids} == {1}


def test_claim_against_rescue(scene: Scene, elsewhere: Scene) -> None:
    """Whatever the order, no job stays with a dead worker."""
    for _ in range(10):
        worker, ids = scene.worker(), scene.insert(4)
        start = threading.Barrier(2)

        def claim(worker: str = worker, start: threading.Barrier = start) -> None:
            start.wait(30)
            scene.claim(worker)

        def rescue(worker: str = worker, start: threading.Barrier = start) -> None:
            start.wait(30)
            elsewhere.rescue(worker, certain=True)

        crew = Crew()
        crew.add(claim)
        crew.add(rescue)
        crew.start().join()
        assert scene.store.claims.owned(worker) == []
        assert set(scene.store.jobs.states(ids).values()) == {"queued"}


def test_rescue_waits_for_a_claim_under_way(on_postgresql: Scene) -> None:
    """Else the job that is just being claimed would stay with a dead worker for ever."""
    scene = on_postgresql
    worker, job_id = scene.worker(), scene.one()
    rescued = list[Settlement]()
    with scene.store.engine.connect() as connection, connection.begin():
        claimed = scene.store.dialect.claim(connection.connection.driver_connection, scene.order(worker))
        assert [job.id for job in claimed] == [job_id]
        crew = Crew()
        crew.add(lambda: rescued.extend(scene.rescue(worker, certain=True) or []))
        crew.start()
        scene.wait_for_waiter()
        assert rescued == []
        connection.commit()
    crew.join()
    assert [s.id for s in rescued] == [job_id]
    assert (scene.state(job_id), scene.store.claims.owned(worker)) == ("queued", [])


def test_a_claim_waits_for_a_rescue_under_way(on_postgresql: Scene) -> None:
    """And comes back empty: the worker is dead by then."""
    scene = on_postgresql
    worker, job_id = scene.worker(), scene.one()
    workers = scene.store.schema.qualified("workers")
    claimed, lane = list[object](), scene.lane
    with scene.store.engine.connect() as connection, connection.begin():
        connection.exec_driver_sql(f"SELECT 1 FROM {workers} WHERE id = '{worker}' FOR UPDATE")
        connection.exec_driver_sql(f"UPDATE {workers} SET dead_at = now() WHERE id = '{worker}'")
        crew = Crew()
        crew.add(lambda: claimed.append(scene.store.claims.claim(lane, scene.order(worker))))
        crew.start()
        scene.wait_for_waiter()
        connection.commit()
    crew.join()
    assert claimed == [[]]
    assert scene.state(job_id) == "queued"


def test_a_beat_does_not_wait_for_a_claim_under_way(on_postgresql: Scene) -> None:
    scene = on_postgresql
    worker = scene.worker()
    scene.one()
    with scene.store.engine.connect() as connection, connection.begin():
        scene.store.dialect.claim(connection.connection.driver_connection, scene.order(worker))
        crew = Crew()
        crew.add(scene.store.workers.beat, [worker], LEASE)
        crew.start().join(10)


def test_a_job_that_somebody_keeps_locked_holds_up_no_other(on_server: Scene) -> None:
    """An app's transaction may stay open for long: the other jobs of the dead worker go back, this one follows, and who
    knows how the worker died is the one who judges it.
    """
    scene, jobs = on_server, on_server.store.schema.jobs.c
    worker, (locked, *others) = scene.worker(), scene.insert(3)
    scene.claim(worker)
    death = Death("signal 9", frozenset({locked}), crashed=True)
    with scene.store.engine.connect() as app, app.begin():
        app.execute(select(jobs.id).where(jobs.id == locked).with_for_update())
        assert {end.id for end in scene.rescue(worker, death, certain=True) or ()} == set(others)
        assert scene.store.jobs.states([locked, *others]) == dict.fromkeys(others, "queued") | {locked: "running"}
        assert [owned[0] for owned in scene.store.claims.owned(worker)] == [locked]
        assert scene.store.workers.suspects() == []
    assert [end.id for end in scene.rescue(worker, death, certain=True) or ()] == [locked]
    assert (scene.get(locked).crashes, scene.store.claims.owned(worker)) == (1, [])


def test_what_stays_with_a_dead_worker_is_found_by_others_after_its_lease(on_server: Scene) -> None:
    """Its supervisor may be gone as well."""
    scene, jobs = on_server, on_server.store.schema.jobs.c
    worker = scene.worker()
    locked = scene.running(worker).id
    with scene.store.engine.connect() as app, app.begin():
        app.execute(select(jobs.id).where(jobs.id == locked).with_for_update())
        assert scene.rescue(worker, certain=True) == []
        now = scene.clock.move(LEASE + 1)
        assert worker in [suspect.id for suspect in scene.store.workers.suspects()]
        assert scene.store.workers.prune(now, 10) == 0, "forgotten while it owns something it would never be found"
    assert [end.id for end in scene.rescue(worker) or ()] == [locked]
    assert (scene.get(locked).losses, scene.store.workers.prune(now, 10)) == (1, 1)


def test_a_worker_whose_row_stays_locked_is_left_for_later(on_server: Scene) -> None:
    """A process that stands still in the middle of a claim."""
    scene = on_server
    worker = scene.worker()
    job = scene.running(worker)
    with scene.store.engine.connect() as claim, claim.begin():
        assert alive(scene.store, claim, worker)
        assert scene.rescue(worker, certain=True) is None
        assert scene.state(job.id) == "running"
    assert [end.id for end in scene.rescue(worker, certain=True) or ()] == [job.id]


def test_a_group_that_somebody_moves_holds_up_no_rescue(on_server: Scene, opened: OpenStore) -> None:
    """It is left to the sweep. Who comes to the rescue knows nothing of the group yet."""
    scene, groups = on_server, on_server.store.schema.groups.c
    worker, (first, second) = scene.worker(), scene.insert(2, group_name="g")
    order = scene.order(worker)
    taken = scene.store.groups.claim(order, scene.store.groups.arrivals(order), lambda task: None).taken
    assert [job.id for job in taken] == [first]
    with scene.store.engine.connect() as mover, mover.begin():
        mover.execute(select(groups.name).where(groups.name == "g").with_for_update())
        other = Scene(opened(scene.store.engine.url.render_as_string(hide_password=False)), scene.clock)
        assert [end.id for end in other.rescue(worker, certain=True) or ()] == [first]
    assert scene.store.jobs.states([first, second]) == {first: "queued", second: "blocked"}
