"""What comes after what: written with the jobs, counted once, and never forgotten."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select

from backburner.errors import UnknownParent
from backburner.job import NewJob, Parent
from backburner.states import JobState
from backburner.store import dependencies as dependencies_module
from backburner.store.dependencies import PAGE
from tests.store.plans import plan_of
from tests.store.scene import Crew, Scene, end

S = JobState


def child(scene: Scene, *parents: str | Parent, policy: str = "cancel", **changes: Any) -> NewJob:
    """A new job that comes after these."""
    after = tuple(one if isinstance(one, Parent) else Parent(one, policy=policy) for one in parents)
    return scene.job(parents=after, blocked_on="parents", parents_left=len(after), **changes)


def put(scene: Scene, *jobs: NewJob) -> list[str]:
    scene.store.inserts.put(jobs, 1000)
    return [job.id for job in jobs]


def after(scene: Scene, *parents: str | Parent, **changes: Any) -> str:
    return put(scene, child(scene, *parents, **changes))[0]


def finish(scene: Scene, job_id: str, state: JobState = S.SUCCEEDED) -> None:
    """Run a queued job and end it, telling nobody."""
    worker = scene.worker()
    claimed = {job.id: job for job in scene.claim(worker)}
    others = [end(job, S.QUEUED) for job in claimed.values() if job.id != job_id]
    assert scene.settle(worker, end(claimed[job_id], state), *others)


def dependencies(scene: Scene) -> list[tuple[str, str, bool]]:
    """(child, parent, met) of every row."""
    d = scene.store.schema.dependencies.c
    rows = scene.store.read(lambda c: c.execute(select(d.child, d.parent, d.met_at).order_by(d.child, d.parent)).all())
    return [(row.child, row.parent, row.met_at is not None) for row in rows]


def left(scene: Scene, job_id: str) -> int:
    t = scene.store.schema.jobs.c
    count = scene.store.read(lambda c: c.execute(select(t.parents_left).where(t.id == job_id)).scalar_one())
    return int(count)


def reach(scene: Scene, job_id: str, name: str) -> None:
    milestones = scene.store.schema.milestones
    row = {"job": job_id, "name": name, "attempt": 1, "at": scene.clock.now()}
    scene.store.run(lambda c: c.execute(insert(milestones), row))


def join(scene: Scene, *parents: str) -> set[str]:
    return scene.store.dependencies.join(parents)


def swept(scene: Scene) -> set[str]:
    """One whole sweep, and what it brought."""
    queues: set[str] = set()
    place = ""
    while True:
        found, place = scene.store.dependencies.sweep(place)
        queues |= scene.store.dependencies.join(found, patient=False)
        if not place:
            return queues


# Stored


def test_a_child_waits_for_its_parents(scene: Scene) -> None:
    first, second = scene.insert(2)
    one = after(scene, first, second)
    assert scene.state(one) is S.BLOCKED
    assert scene.get(one).blocked_on == "parents"
    assert dependencies(scene) == [(one, first, False), (one, second, False)]
    assert scene.claim(scene.worker(), free=10)[-1].id != one


def test_a_parent_that_is_not_there_is_refused_and_nothing_is_stored(scene: Scene) -> None:
    nobody, plain = scene.ids.new(), scene.job()
    with pytest.raises(UnknownParent, match=nobody):
        put(scene, plain, child(scene, nobody))
    assert scene.store.jobs.states([plain.id]) == {}


def test_a_parent_of_another_owner_is_refused_like_one_that_is_not_there(scene: Scene) -> None:
    anns = scene.one(owner="ann")
    with pytest.raises(UnknownParent) as foreign:
        after(scene, anns, owner="bob")
    nobody = scene.ids.new()
    with pytest.raises(UnknownParent) as unknown:
        after(scene, nobody, owner="bob")
    assert str(foreign.value).replace(anns, "X") == str(unknown.value).replace(nobody, "X")
    assert scene.state(after(scene, anns, owner="ann")) is S.BLOCKED
    assert scene.state(after(scene, anns)) is S.BLOCKED


def test_parents_and_children_may_be_stored_together(scene: Scene) -> None:
    first = scene.job()
    many = [child(scene, first.id) for _ in range(30)]
    put(scene, first, *many)
    assert [scene.state(job.id) for job in many] == [S.BLOCKED] * 30
    assert len(dependencies(scene)) == 30


def test_a_child_of_a_group_is_not_in_its_line_yet(scene: Scene) -> None:
    first = scene.one()
    waiting, other = after(scene, first, group_name="g"), scene.one(group_name="g")
    order = scene.order(scene.worker())
    step = scene.store.groups.claim(order, scene.store.groups.arrivals(order), lambda task: None)
    assert [job.id for job in step.taken] == [other]
    assert scene.get(waiting).blocked_on == "parents"


# Joined


def test_the_last_parent_queues_the_child(scene: Scene) -> None:
    first, second = scene.insert(2)
    one = after(scene, first, second, queue="mail")
    finish(scene, first)
    assert join(scene, first) == set()
    assert (scene.state(one), left(scene, one)) == (S.BLOCKED, 1)
    finish(scene, second)
    assert join(scene, second) == {"mail"}
    found = scene.get(one)
    assert (found.state, found.blocked_on, left(scene, one)) == (S.QUEUED, None, 0)


def test_joining_twice_counts_once(scene: Scene) -> None:
    first, second = scene.insert(2)
    one = after(scene, first, second)
    finish(scene, first)
    join(scene, first)
    join(scene, first)
    assert (scene.state(one), left(scene, one)) == (S.BLOCKED, 1)


def test_a_parent_that_has_not_ended_lets_nothing_go(scene: Scene) -> None:
    first = scene.one()
    one = after(scene, first)
    assert join(scene, first) == set()
    scene.claim(scene.worker())
    assert join(scene, first) == set()
    assert scene.state(one) is S.BLOCKED


def test_a_child_with_a_time_waits_for_that_too(scene: Scene) -> None:
    first = scene.one()
    one = after(scene, first, run_at=scene.clock.now() + timedelta(hours=1))
    finish(scene, first)
    assert join(scene, first) == set()
    assert scene.state(one) is S.SCHEDULED


def test_a_child_of_a_group_becomes_an_arrival(scene: Scene) -> None:
    first = scene.one()
    one = after(scene, first, group_name="g")
    finish(scene, first)
    assert join(scene, first) == {"default"}
    order = scene.order(scene.worker())
    arrived = scene.store.groups.arrivals(order)
    assert [(arrival.id, arrival.group) for arrival in arrived] == [(one, "g")]
    assert [job.id for job in scene.store.groups.claim(order, arrived, lambda task: None).taken] == [one]


@pytest.mark.parametrize("how", [S.FAILED, S.CANCELLED, S.INTERRUPTED, S.SKIPPED])
def test_a_parent_without_success_cancels_its_children_and_theirs(scene: Scene, how: JobState) -> None:
    first = scene.one()
    one = after(scene, first)
    two = after(scene, one)
    three = after(scene, two, policy="run")
    finish(scene, first, how)
    assert join(scene, first) == {"default"}
    assert [scene.state(job) for job in (one, two, three)] == [S.CANCELLED, S.CANCELLED, S.QUEUED]
    assert scene.get(one).reason == f"It was to come after job {first}, which is {how}."
    assert scene.get(two).reason == f"It was to come after job {one}, which is cancelled."
    assert scene.get(one).finished_at == scene.clock.now()


def test_policy_run_runs_it_anyhow(scene: Scene) -> None:
    first = scene.one()
    one = after(scene, first, policy="run")
    finish(scene, first, S.FAILED)
    assert join(scene, first) == {"default"}
    assert scene.state(one) is S.QUEUED


def test_a_parent_that_was_deleted_did_not_succeed(scene: Scene) -> None:
    first, second = scene.insert(2)
    one, two = after(scene, first), after(scene, second, policy="run")
    scene.store.jobs.delete_many([first, second])
    assert swept(scene) == {"default"}
    assert scene.get(one).reason == f"It was to come after job {first}, which was deleted."
    assert [scene.state(one), scene.state(two)] == [S.CANCELLED, S.QUEUED]


def test_a_milestone_is_enough(scene: Scene) -> None:
    worker = scene.worker()
    first = scene.running(worker)
    one = after(scene, Parent(first.id, "imported"))
    two = after(scene, Parent(first.id, "sent"))
    reach(scene, first.id, "imported")
    assert join(scene, first.id) == {"default"}
    assert [scene.state(one), scene.state(two)] == [S.QUEUED, S.BLOCKED]
    scene.finish(worker, [first])
    join(scene, first.id)
    assert scene.get(two).reason == f"It was to come after job {first.id}, which is succeeded without reaching 'sent'."


def test_the_other_parents_of_a_cancelled_child_wait_for_nothing(scene: Scene) -> None:
    first, second = scene.insert(2)
    one = after(scene, first, second)
    finish(scene, first, S.FAILED)
    join(scene, first)
    assert dependencies(scene) == [(one, first, True), (one, second, True)]
    finish(scene, second)
    join(scene, second)
    assert scene.state(one) is S.CANCELLED


def test_a_child_that_was_cancelled_stays_so(scene: Scene) -> None:
    first = scene.one()
    one = after(scene, first)
    scene.store.jobs.cancel(one, "not needed")
    finish(scene, first)
    assert join(scene, first) == set()
    assert (scene.state(one), scene.get(one).reason) == (S.CANCELLED, "not needed")
    assert dependencies(scene) == [(one, first, True)]


def test_a_child_that_expired_stays_so(scene: Scene) -> None:
    first = scene.one()
    one = after(scene, first, expires_at=scene.clock.now() + timedelta(seconds=10))
    scene.clock.move(11)
    assert scene.store.upkeep.expire().count == 1
    finish(scene, first)
    join(scene, first)
    assert scene.state(one) is S.SKIPPED


def test_more_children_than_one_step_takes(scene: Scene) -> None:
    first = scene.one()
    many = put(scene, *(child(scene, first) for _ in range(230)))
    finish(scene, first)
    join(scene, first)
    assert {scene.store.jobs.states(many)[job] for job in many} == {S.QUEUED}


# Hints and the sweep


def test_an_end_is_followed_only_while_something_is_open(scene: Scene, elsewhere: Scene) -> None:
    first = scene.one()
    assert scene.store.dependencies.follow([first]) == set()
    one = after(elsewhere, first)
    finish(elsewhere, first)
    assert elsewhere.store.dependencies.follow([first]) == {"default"}
    assert scene.state(one) is S.QUEUED


def test_the_sweep_finds_what_no_hint_came_for(scene: Scene) -> None:
    parents = scene.insert(3)
    children = [after(scene, parent) for parent in parents]
    finish(scene, parents[1])
    assert swept(scene) == {"default"}
    assert [scene.state(one) for one in children] == [S.BLOCKED, S.QUEUED, S.BLOCKED]
    assert swept(scene) == set()


def test_the_sweep_goes_page_by_page(scene: Scene) -> None:
    parents = scene.insert(250)
    put(scene, *(child(scene, parent) for parent in parents))
    scene.store.jobs.delete_many(parents[200:])
    places, place = 0, ""
    found: list[str] = []
    while True:
        due, place = scene.store.dependencies.sweep(place)
        found += due
        places += 1
        if not place:
            break
    assert (sorted(found), places) == (sorted(parents[200:]), 3)


def test_two_workers_at_once_count_each_parent_once(scene: Scene, elsewhere: Scene) -> None:
    for _ in range(5):
        parents = scene.insert(6)
        children = put(scene, *(child(scene, *parents) for _ in range(20)))
        for parent in parents:
            finish(scene, parent)
        crew = Crew()
        for place in (scene, elsewhere):
            for turn in (parents, parents[::-1]):
                crew.add(lambda place, turn: [join(place, one) for one in turn], place, turn)
        crew.start().join()
        assert {scene.state(one) for one in children} == {S.QUEUED}
        assert {left(scene, one) for one in children} == {0}
        scene.store.jobs.delete_many(children)


def test_a_child_that_somebody_has_locked_is_left_to_the_sweep(
    on_server: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever replaces it in a long transaction of his own must not keep a worker from writing ends."""
    scene, jobs = on_server, on_server.store.schema.jobs
    monkeypatch.setattr(dependencies_module, "PATIENCE", 0.1)
    parent = scene.one()
    one, other = after(scene, parent), after(scene, parent)
    finish(scene, parent)
    with scene.store.engine.connect() as callers:
        callers.execute(select(jobs.c.id).where(jobs.c.id == one).with_for_update())
        assert join(scene, parent) == {"default"}
        assert (scene.state(one), scene.state(other)) == (S.BLOCKED, S.QUEUED)
        assert swept(scene) == set()
    assert swept(scene) == {"default"}
    assert scene.state(one) is S.QUEUED


@pytest.mark.parametrize("patient", [True, False])
def test_children_that_somebody_has_locked_hide_no_others(
    on_server: Scene, monkeypatch: pytest.MonkeyPatch, patient: bool
) -> None:
    """More of them than one step takes."""
    scene, jobs = on_server, on_server.store.schema.jobs
    monkeypatch.setattr(dependencies_module, "PATIENCE", 0.1)
    parent = scene.one()
    children = put(scene, *(child(scene, parent) for _ in range(PAGE + 20)))
    # MariaDB walks over the whole of a small table, and locks all of it.
    scene.insert(1_000)
    finish(scene, parent)
    held = sorted(children)[:PAGE]
    with scene.store.engine.connect() as callers:
        callers.execute(select(jobs.c.id).where(jobs.c.id.in_(held)).with_for_update())
        assert scene.store.dependencies.join([parent], patient=patient) == {"default"}
        found = scene.store.jobs.states(children)
        assert {found[one] for one in held} == {S.BLOCKED}
        assert {found[one] for one in set(children) - set(held)} == {S.QUEUED}
    assert swept(scene) == {"default"}
    assert set(scene.store.jobs.states(children).values()) == {S.QUEUED}


def test_an_end_between_look_and_lock_is_not_counted_twice(on_postgresql: Scene) -> None:
    """One joiner waits for the child's lock while the other counts: then there is nothing left for it."""
    scene = on_postgresql
    first, second = scene.insert(2)
    one = after(scene, first, second)
    finish(scene, first)
    t = scene.store.schema.jobs.c
    with scene.store.engine.begin() as connection:
        connection.execute(select(t.id).where(t.id == one).with_for_update()).all()
        crew = Crew()
        crew.add(join, scene, first)
        crew.add(join, scene, first)
        crew.start()
        scene.wait_for_waiter()
    crew.join()
    assert (scene.state(one), left(scene, one)) == (S.BLOCKED, 1)


# Cleaned away


def test_parents_with_open_children_are_not_cleaned_away(scene: Scene) -> None:
    first, other = scene.ended(), scene.ended()
    kept = scene.worker()
    dropped = scene.running(kept)
    scene.settle(kept, end(dropped, keep_until=scene.clock.now()))
    children = [after(scene, first), after(scene, dropped.id)]
    scene.clock.move(100)
    assert scene.store.upkeep.prunable(S.SUCCEEDED, 10, 100) == 1
    assert (scene.store.upkeep.prune(S.SUCCEEDED, 10), scene.store.upkeep.prune_kept()) == (1, 0)
    assert set(scene.store.jobs.states([first, other, dropped.id])) == {first, dropped.id}
    swept(scene)
    assert [scene.state(one) for one in children] == [S.QUEUED, S.QUEUED]
    assert (scene.store.upkeep.prune(S.SUCCEEDED, 10), scene.store.upkeep.prune_kept()) == (1, 1)


def test_a_deleted_child_leaves_nothing(scene: Scene) -> None:
    first = scene.one()
    scene.store.jobs.delete(after(scene, first))
    reach(scene, first, "half")
    scene.store.jobs.delete(first)
    milestones = scene.store.schema.milestones
    assert dependencies(scene) == []
    assert scene.store.read(lambda c: c.execute(select(milestones)).all()) == []


# Cost


@pytest.mark.parametrize(("door", "statement"), [("join", 0), ("sweep", 0), ("sweep", 1)])
def test_it_does_not_walk_over_finished_jobs(scene: Scene, door: str, statement: int) -> None:
    parents = scene.insert(20)
    put(scene, *(child(scene, parent) for parent in parents))
    many(scene, 3000)
    doors = {"join": lambda: join(scene, *parents), "sweep": lambda: scene.store.dependencies.sweep("")}
    plan = plan_of(scene.store, doors[door], after=statement)
    assert "Seq Scan on backburner_jobs" not in plan, plan
    assert "SCAN parent" not in plan, plan
    assert " ALL by" not in plan, plan


def many(scene: Scene, count: int) -> None:
    """Finished jobs, enough that the planner knows better than to walk over them."""
    worker = scene.worker()
    scene.insert(count, queue="old")
    claimed = scene.claim(worker, free=count, queue="old")
    assert len(scene.finish(worker, claimed)) == count
    if scene.store.dialect.name == "postgresql":
        scene.lane.run(lambda c: c.execute("ANALYZE"), atomic=False)
    if scene.store.dialect.name == "mysql":
        scene.lane.run(lambda c: scene.store.dialect.rows(c, "ANALYZE TABLE backburner_jobs"), atomic=False)
