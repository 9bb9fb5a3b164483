"""Serial groups: one at a time, in order, and never stuck."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, select

from backburner.errors import WrongState
from backburner.job import ClaimedJob
from backburner.notify.polling import PollingBell
from backburner.outcome import Settlement
from backburner.registry import Registry
from backburner.run_options import Cap
from backburner.seams import SeamName, Seams
from backburner.states import JobState
from backburner.store import groups as groups_module
from backburner.store.dialects.base import ALL_PRIORITIES, HandOver
from backburner.store.groups import ARRIVALS, MANY_ARRIVALS, Groups, Step
from backburner.worker import WorkerOptions
from backburner.worker import lines as lines_module
from backburner.worker.lines import LOOK_SECONDS, PLAIN_MOST, PLAIN_SHARE, Lines, Look
from tests.store.scene import Crew, Scene, end, ids_of

S = JobState


def step(scene: Scene, worker: str, free: int = 100, queue: str = "default", **more: Any) -> Step:
    """The group step of one look at a queue."""
    order = scene.order(worker, free, queue=queue)._replace(**more)
    return scene.store.groups.claim(order, scene.store.groups.arrivals(order), lambda task: None)


def hand_over(scene: Scene, worker: str, done: Settlement, **unlike: Any) -> list[ClaimedJob]:
    """End a job of group g; what the worker takes over in the same transaction."""
    wanted = HandOver(worker, ["g"], None, ALL_PRIORITIES, ["shop.price"], scene.clock.now())._replace(**unlike)
    return scene.store.claims.settle_and_take(scene.lane, [done], worker, {done.id: "g"}, wanted)[1]


def ended(scene: Scene, worker: str, jobs: Iterable[ClaimedJob], state: JobState = S.SUCCEEDED) -> None:
    assert scene.settle(worker, *(end(job, state) for job in jobs))


def states(scene: Scene, *jobs: str) -> list[str]:
    return [scene.state(job).value for job in jobs]


def test_the_first_runs_and_the_others_wait(scene: Scene) -> None:
    worker = scene.worker()
    first, second, third = scene.insert(3, group_name="invoice-7")
    assert ids_of(step(scene, worker).taken) == [first]
    assert states(scene, first, second, third) == [S.RUNNING, S.BLOCKED, S.BLOCKED]
    assert scene.get(second).blocked_on == "group"
    assert scene.store.groups.holder("invoice-7") == first


def test_a_long_line_is_parked_as_looks_find_it(scene: Scene) -> None:
    """By their ids, a few at first: to walk along the line for them takes as long as the line is, at each step."""
    worker, t = scene.worker(), scene.store.schema.jobs
    first, *rest = scene.insert(2 * MANY_ARRIVALS, group_name="g")
    scene.store.run(lambda c: c.execute(t.update().values(state=S.QUEUED, blocked_on=None)))
    look = lines(scene)

    def parked() -> int:
        blocked = t.c.state == S.BLOCKED
        return scene.store.read(lambda c: c.execute(select(func.count()).where(blocked)).scalar_one())

    assert ids_of(look.claim(scene.order(worker)).taken) == [first]
    assert parked() == ARRIVALS - 1
    assert look.claim(scene.order(worker)).moved
    assert parked() == ARRIVALS - 1 + MANY_ARRIVALS
    assert states(scene, rest[ARRIVALS + MANY_ARRIVALS - 2], rest[ARRIVALS + MANY_ARRIVALS - 1]) == [
        S.BLOCKED,
        S.QUEUED,
    ]
    assert look.claim(scene.order(worker)).moved
    assert look.claim(scene.order(worker)) == Look([], False, False)


def test_a_look_goes_past_the_lines_of_a_few_groups_so_far_and_no_further(
    on_server: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others are parking them, and to walk along all of a long line takes long."""
    scene, worker, t = on_server, on_server.worker(), on_server.store.schema.jobs
    scene.insert(ARRIVALS + 2, group_name="long")
    scene.store.run(lambda c: c.execute(t.update().values(state=S.QUEUED, blocked_on=None)))
    other = scene.one(group_name="other")
    scene.store.groups.rows.make(["long"])
    look, groups = lines(scene), scene.store.schema.groups
    with scene.store.engine.connect() as callers:
        callers.execute(select(groups).where(groups.c.name == "long").with_for_update())
        monkeypatch.setattr("backburner.store.groups.GONE_PAST", ARRIVALS + 2)
        assert look.claim(scene.order(worker)) == Look([], False, True)
        monkeypatch.setattr("backburner.store.groups.GONE_PAST", ARRIVALS + 3)
        assert ids_of(look.claim(scene.order(worker)).taken) == [other]


def test_what_is_behind_heads_at_their_cap_is_parked(scene: Scene) -> None:
    """However many such heads stand in front: looks leave out their task, and would walk along all its jobs."""
    worker, t = scene.worker(), scene.store.schema.jobs
    heads = [scene.one(group_name=f"g{number:02}", task="one") for number in range(ARRIVALS)]
    behind = [scene.one(group_name=f"g{number:02}", task="one") for number in range(ARRIVALS)]
    order, caps = scene.order(worker), {"one": Cap(("one",), 1)}
    scene.store.limits.make(["task:one"])
    found = scene.store.groups.arrivals(order)
    assert [job.id for job in found] == heads
    assert ids_of(scene.store.groups.claim(order, found, caps.get).taken) == heads[:1]
    parked = t.c.state == S.BLOCKED
    assert scene.store.read(lambda c: {*c.execute(select(t.c.id).where(parked)).scalars()}) == {*behind[1:]}


def test_a_parked_head_beside_others_that_nobody_looks_at_is_found_by_the_sweep(scene: Scene) -> None:
    worker = scene.worker()
    first, second = scene.insert(2, group_name="g")
    taken = step(scene, worker).taken
    elsewhere = scene.one(group_name="g", queue="served by nobody")
    ended(scene, worker, taken)
    assert states(scene, first, second, elsewhere) == [S.SUCCEEDED, S.BLOCKED, S.QUEUED]
    assert scene.store.groups.sweep("") == (["g"], "")
    assert scene.store.groups.advance(["g"]) == {"default"}
    assert scene.store.groups.sweep("") == ([], "")


@contextmanager
def in_hand(scene: Scene, job: str) -> Iterator[None]:
    """A transaction of somebody else that has this job locked."""
    jobs = scene.store.schema.jobs
    with scene.store.engine.begin() as connection:
        connection.execute(select(jobs.c.id).where(jobs.c.id == job).with_for_update())
        yield


def test_a_group_that_somebody_moves_is_left_to_the_next_look(on_server: Scene) -> None:
    """Who looks without the lock sees a group as it was before the other one commits."""
    scene, worker, groups = on_server, on_server.worker(), on_server.store.schema.groups
    first, second = scene.insert(2, group_name="g")
    ended(scene, worker, step(scene, worker).taken)
    third = scene.one(group_name="g")
    with scene.store.engine.begin() as connection:
        connection.execute(select(groups).where(groups.c.name == "g").with_for_update())
        assert step(scene, worker).taken == []
        assert states(scene, first, second, third) == [S.SUCCEEDED, S.BLOCKED, S.QUEUED]
    assert ids_of(step(scene, worker).taken) == [second]


def test_behind_a_head_that_somebody_has_in_hand_nothing_is_parked(on_server: Scene) -> None:
    """Else nothing would be queued in this group any more, and nobody would look at it."""
    scene, worker = on_server, on_server.worker()
    first, second = scene.insert(2, group_name="g")
    ended(scene, worker, step(scene, worker).taken)
    late = scene.one(group_name="g")
    with in_hand(scene, second):
        assert step(scene, worker).missed == {"g"}
        assert states(scene, first, second, late) == [S.SUCCEEDED, S.BLOCKED, S.QUEUED]
    assert ids_of(step(scene, worker).taken) == [second]
    assert scene.state(late) is S.BLOCKED


def test_a_head_that_was_in_hand_for_a_moment_goes_on(on_server: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, worker = on_server, on_server.worker()
    _, second = scene.insert(2, group_name="g")
    ended(scene, worker, step(scene, worker).taken)
    real, looks = Groups._lock_jobs, list[int]()

    def lock_jobs(self: Groups, connection: Connection, ids: list[str]) -> Any:
        looks.append(len(ids))
        with in_hand(scene, second) if len(looks) == 1 else nullcontext():
            return real(self, connection, ids)

    monkeypatch.setattr(Groups, "_lock_jobs", lock_jobs)
    assert scene.store.groups.advance(["g"]) == {"default"}
    assert looks == [1, 1]
    assert scene.state(second) is S.QUEUED


def test_plain_claims_do_not_see_jobs_of_groups(scene: Scene) -> None:
    grouped, plain = scene.one(group_name="g"), scene.one()
    assert ids_of(scene.claim(scene.worker())) == [plain]
    assert scene.state(grouped) is S.QUEUED


def test_the_next_one_goes_on_when_the_first_has_ended(scene: Scene) -> None:
    worker = scene.worker()
    jobs = scene.insert(3, group_name="g")
    order = []
    for _ in jobs:
        taken = step(scene, worker).taken
        order += ids_of(taken)
        assert step(scene, worker).taken == []
        ended(scene, worker, taken)
        scene.store.groups.advance(["g"])
    assert order == jobs


def test_the_worker_that_ended_one_takes_the_next_at_once(scene: Scene) -> None:
    worker = scene.worker()
    _first, second = scene.insert(2, group_name="g")
    [running] = step(scene, worker).taken
    [taken] = hand_over(scene, worker, end(running))
    assert (taken.id, taken.attempt, taken.group_name) == (second, 1, "g")
    assert scene.get(second).worker == worker
    assert scene.store.groups.holder("g") == second


@pytest.mark.parametrize(
    "unlike",
    [
        {"queues": ["other"]},
        {"priorities": (51, 60)},
        {"tasks": ["another"]},
        {"groups": []},
    ],
)
def test_the_next_one_is_not_taken_by_a_worker_that_does_not_serve_it(scene: Scene, unlike: dict[str, Any]) -> None:
    worker = scene.worker()
    _, second = scene.insert(2, group_name="g")
    [running] = step(scene, worker).taken
    assert hand_over(scene, worker, end(running), **unlike) == []
    assert scene.store.groups.advance(["g"]) == {"default"}
    assert scene.state(second) is S.QUEUED


def test_the_next_one_is_not_taken_from_a_paused_or_capped_queue(scene: Scene) -> None:
    worker = scene.worker()
    scene.insert(3, group_name="g")
    [running] = step(scene, worker).taken
    scene.store.queues.pause("*", None, None, None)
    assert hand_over(scene, worker, end(running)) == []
    scene.store.queues.resume("*")
    scene.store.groups.advance(["g"])
    [running] = step(scene, worker).taken
    scene.store.queues.limit("default", 5)
    assert hand_over(scene, worker, end(running)) == []


def test_the_next_one_is_not_taken_before_something_better(scene: Scene) -> None:
    worker = scene.worker()
    scene.insert(2, group_name="g")
    [running] = step(scene, worker).taken
    scene.one(priority=10)
    assert hand_over(scene, worker, end(running)) == []


def test_what_was_not_accepted_hands_nothing_over(scene: Scene) -> None:
    worker, other = scene.worker(), scene.worker()
    first, _ = scene.insert(2, group_name="g")
    [running] = step(scene, worker).taken
    scene.rescue(worker, certain=True)
    [again] = step(scene, other).taken
    assert again.id == first
    assert hand_over(scene, worker, end(running)) == []
    assert scene.store.groups.holder("g") == first


@pytest.mark.parametrize("policy", ["block", "stop"])
def test_a_failed_holder_hands_nothing_over(scene: Scene, policy: str) -> None:
    worker = scene.worker()
    scene.insert(2, group_name="g", group_policy=policy)
    [running] = step(scene, worker).taken
    assert hand_over(scene, worker, end(running, S.FAILED)) == []


def test_a_better_priority_overtakes_inside_the_group(scene: Scene) -> None:
    worker = scene.worker()
    _first, later = scene.insert(2, group_name="g")
    taken = step(scene, worker).taken
    urgent = scene.one(group_name="g", priority=10)
    step(scene, worker)
    ended(scene, worker, taken)
    scene.store.groups.advance(["g"])
    assert ids_of(step(scene, worker).taken) == [urgent]
    assert scene.state(later) is S.BLOCKED


def test_a_better_one_that_comes_while_the_head_is_queued_goes_first(scene: Scene) -> None:
    worker = scene.worker()
    _first, second = scene.insert(2, group_name="g")
    ended(scene, worker, step(scene, worker).taken)
    assert scene.store.groups.advance(["g"]) == {"default"}
    urgent = scene.one(group_name="g", priority=10)
    assert ids_of(step(scene, worker).taken) == [urgent]
    assert scene.state(second) is S.BLOCKED


def test_groups_do_not_wait_for_each_other(scene: Scene) -> None:
    worker = scene.worker()
    heads = [scene.insert(2, group_name=f"g{n}")[0] for n in range(5)]
    assert ids_of(step(scene, worker).taken) == heads


def test_no_more_than_there_are_free_slots(scene: Scene) -> None:
    worker = scene.worker()
    heads = [scene.one(group_name=f"g{n}") for n in range(5)]
    assert ids_of(step(scene, worker, free=2).taken) == heads[:2]
    assert ids_of(step(scene, worker).taken) == heads[2:]


def test_short_heads_are_taken_ahead_of_free_slots(scene: Scene) -> None:
    worker, jobs = scene.worker(), scene.store.schema.jobs
    names = ("long", "short", "short", "once", "lost", "capped", "short", "short")
    heads = [scene.one(group_name=f"g{n}", task=task, repeatable=task != "once") for n, task in enumerate(names)]
    scene.store.run(lambda c: c.execute(jobs.update().where(jobs.c.task == "lost").values(losses=1)))
    caps, order = {"capped": Cap(("capped",), 5)}, scene.order(worker, short=["short", "once", "lost", "capped"])
    scene.store.limits.make(["task:capped"])

    def taken(free: int, ahead: int) -> list[str]:
        asked = order._replace(free=free, ahead=ahead)
        return ids_of(scene.store.groups.claim(asked, scene.store.groups.arrivals(asked), caps.get).taken)

    assert taken(1, 2) == heads[:3]
    assert taken(0, 1) == heads[6:7]
    assert lines(scene).claim(order._replace(free=0, ahead=9, short=["others"])) == Look([], moved=False, seen=True)
    assert taken(9, 0) == [*heads[3:6], heads[7]]


@pytest.mark.parametrize("policy", ["block", "stop"])
def test_what_keeps_its_group_between_its_tries_is_not_taken_ahead(scene: Scene, policy: str) -> None:
    """Given back, it would have lost the group to the next one."""
    worker = scene.worker()
    first, _ = scene.insert(2, group_name="g", group_policy=policy, task="short")
    [running] = step(scene, worker).taken
    scene.settle(worker, end(running, S.RETRYING, run_at=scene.clock.now()))
    scene.store.upkeep.promote()
    order = scene.order(worker, free=0, ahead=5, short=["short"])
    assert lines(scene).claim(order).taken == []
    assert ids_of(lines(scene).claim(order._replace(free=1)).taken) == [first]


def test_a_head_of_another_queue_is_left_to_its_workers(scene: Scene) -> None:
    worker = scene.worker()
    first = scene.one(group_name="g", queue="mails")
    second = scene.one(group_name="g")
    found = step(scene, worker)
    assert (found.taken, states(scene, first, second)) == ([], [S.QUEUED, S.BLOCKED])
    assert ids_of(step(scene, worker, queue="mails").taken) == [first]


def test_a_parked_head_of_another_queue_is_queued_for_others(scene: Scene) -> None:
    worker = scene.worker()
    first = scene.one(group_name="g")
    other = scene.one(group_name="g", queue="mails")
    taken = step(scene, worker).taken
    step(scene, worker, queue="mails")
    assert states(scene, first, other) == [S.RUNNING, S.BLOCKED]
    ended(scene, worker, taken)
    assert scene.store.groups.advance(["g"]) == {"mails"}
    assert scene.state(other) is S.QUEUED


@pytest.mark.parametrize("policy", [None, "skip"])
def test_skip_lets_others_go_on_while_one_waits_for_another_try(scene: Scene, policy: str | None) -> None:
    worker = scene.worker()
    first, second = scene.insert(2, group_name="g", group_policy=policy)
    taken = step(scene, worker).taken
    later = scene.clock.now() + timedelta(seconds=60)
    scene.settle(worker, end(taken[0], S.RETRYING, run_at=later, tries=1))
    scene.store.groups.advance(["g"])
    assert ids_of(step(scene, worker).taken) == [second]
    assert scene.state(first) is S.RETRYING


@pytest.mark.parametrize("policy", ["block", "stop"])
@pytest.mark.parametrize("to", [S.RETRYING, S.SCHEDULED])
def test_block_and_stop_hold_the_group_through_retries(scene: Scene, policy: str, to: JobState) -> None:
    worker = scene.worker()
    first, second = scene.insert(2, group_name="g", group_policy=policy)
    taken = step(scene, worker).taken
    scene.settle(worker, end(taken[0], to, run_at=scene.clock.now() + timedelta(seconds=60)))
    assert scene.store.groups.advance(["g"]) == set()
    scene.clock.move(61)
    scene.store.upkeep.promote()
    assert ids_of(step(scene, worker).taken) == [first]
    assert scene.state(second) is S.BLOCKED


def test_block_waits_for_a_person_when_the_head_has_failed_for_good(scene: Scene) -> None:
    worker = scene.worker()
    first, second = scene.insert(2, group_name="g", group_policy="block")
    ended(scene, worker, step(scene, worker).taken, S.FAILED)
    assert scene.store.groups.advance(["g"]) == set()
    scene.store.jobs.retry(first)
    assert ids_of(step(scene, worker).taken) == [first]
    assert scene.state(second) is S.BLOCKED


def test_cancelling_a_failed_head_gives_the_group_up(scene: Scene) -> None:
    worker = scene.worker()
    first, second = scene.insert(2, group_name="g", group_policy="block")
    ended(scene, worker, step(scene, worker).taken, S.FAILED)
    assert scene.store.jobs.cancel(first, "a person says so") == {"default"}
    assert states(scene, first, second) == [S.CANCELLED, S.QUEUED]


def test_deleting_a_failed_head_gives_the_group_up(scene: Scene) -> None:
    worker = scene.worker()
    first, second = scene.insert(2, group_name="g", group_policy="block")
    ended(scene, worker, step(scene, worker).taken, S.FAILED)
    assert scene.store.jobs.delete(first) == {"default"}
    assert scene.state(second) is S.QUEUED


def test_a_failed_job_that_holds_no_group_cannot_be_cancelled(scene: Scene) -> None:
    with pytest.raises(WrongState):
        scene.store.jobs.cancel(scene.ended(S.FAILED), "why not")


def test_a_failed_head_that_is_waited_for_is_not_cleaned_away(scene: Scene) -> None:
    worker = scene.worker()
    first = scene.one(group_name="g", group_policy="block")
    ended(scene, worker, step(scene, worker).taken, S.FAILED)
    scene.clock.move(1000)
    assert scene.store.upkeep.prune(S.FAILED, 10) == 0
    scene.store.jobs.cancel(first, "enough")
    scene.clock.move(1000)
    assert scene.store.upkeep.prune(S.CANCELLED, 10) == 1


def test_stop_cancels_the_rest_and_frees_the_group(scene: Scene) -> None:
    worker = scene.worker()
    first, second, third = scene.insert(3, group_name="g", group_policy="stop")
    waiting = scene.one(group_name="g", run_at=scene.clock.now() + timedelta(seconds=60))
    ended(scene, worker, step(scene, worker).taken, S.FAILED)
    assert scene.store.groups.stopped() == [("g", first)]
    assert scene.store.groups.stop("g", first) == 3
    assert states(scene, second, third, waiting) == [S.CANCELLED] * 3
    assert f"Job {first} of group g failed" in (scene.get(second).reason or "")
    assert scene.store.groups.stopped() == []
    assert ids_of(step(scene, worker).taken) == []
    new = scene.one(group_name="g")
    assert ids_of(step(scene, worker).taken) == [new]


def test_stop_leaves_out_nobody_whom_somebody_has_locked(on_server: Scene) -> None:
    scene, worker, jobs = on_server, on_server.worker(), on_server.store.schema.jobs
    first, second, third = scene.insert(3, group_name="g", group_policy="stop")
    ended(scene, worker, step(scene, worker).taken, S.FAILED)
    with scene.store.engine.connect() as other:
        other.execute(select(jobs.c.id).where(jobs.c.id == second).with_for_update())
        assert scene.store.groups.stop("g", first) == 1
        assert scene.store.groups.stopped() == [("g", first)], "it keeps its group until all are cancelled"
    assert scene.store.groups.stop("g", first) == 1
    assert states(scene, first, second, third) == ["failed", "cancelled", "cancelled"]
    assert scene.store.groups.stopped() == []


def test_cancelling_the_queued_head_lets_the_next_go_on(scene: Scene) -> None:
    worker = scene.worker()
    _first, second, third = scene.insert(3, group_name="g")
    ended(scene, worker, step(scene, worker).taken)
    scene.store.groups.advance(["g"])
    assert scene.store.jobs.cancel(second, "not needed") == {"default"}
    assert states(scene, second, third) == [S.CANCELLED, S.QUEUED]


def test_the_head_that_expires_lets_the_next_go_on(scene: Scene) -> None:
    worker = scene.worker()
    first = scene.one(group_name="g")
    second = scene.one(group_name="g", expires_at=scene.clock.now() + timedelta(seconds=30))
    third = scene.one(group_name="g")
    ended(scene, worker, step(scene, worker).taken)
    scene.store.groups.advance(["g"])
    scene.clock.move(31)
    assert scene.store.upkeep.expire().count == 1
    assert states(scene, first, second, third) == [S.SUCCEEDED, S.SKIPPED, S.QUEUED]


def test_the_death_of_the_holder_frees_the_group_and_keeps_the_order(scene: Scene) -> None:
    dying, living = scene.worker(), scene.worker()
    first, second = scene.insert(2, group_name="g")
    step(scene, dying)
    scene.rescue(dying, certain=True)
    assert scene.state(first) is S.QUEUED
    taken = step(scene, living).taken
    assert ids_of(taken) == [first]
    assert taken[0].attempt == 2
    assert scene.state(second) is S.BLOCKED


def test_a_dead_worker_takes_no_head(scene: Scene) -> None:
    dead = scene.worker()
    scene.rescue(dead, certain=True)
    scene.one(group_name="g")
    assert step(scene, dead) == Step([], set(), 0)


def test_a_paused_queue_gives_no_head(scene: Scene) -> None:
    job = scene.one(group_name="g")
    scene.store.queues.pause("default", "ada", "month end", None)
    assert step(scene, scene.worker()).taken == []
    scene.store.queues.resume("default")
    assert ids_of(step(scene, scene.worker()).taken) == [job]


def test_coalescing_ends_what_the_head_does_too(scene: Scene) -> None:
    worker = scene.worker()
    head = scene.one(group_name="g", threshold=2)
    same, more, less = (scene.one(group_name="g", threshold=n) for n in (2, 5, 1))
    without = scene.one(group_name="g")
    assert ids_of(step(scene, worker).taken) == [head]
    assert states(scene, same, more, less, without) == [S.SKIPPED, S.SKIPPED, S.BLOCKED, S.BLOCKED]
    assert scene.get(same).reason == f"Job {head} of the same group does its work too."


def test_the_sweep_finds_groups_nobody_goes_on_with(scene: Scene) -> None:
    worker = scene.worker()
    for name in ("a", "b", "c"):
        scene.insert(2, group_name=name)
    taken = {job.group_name: job for job in step(scene, worker).taken}
    # A crash between the end and what follows from it.
    ended(scene, worker, [taken["b"]])
    assert scene.store.groups.sweep("") == (["b"], "")
    scene.store.groups.advance(["b"])
    assert scene.store.groups.sweep("") == ([], "")


def test_the_sweep_goes_on_where_it_ended_and_asks_once_per_part(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups_module, "SWEPT", 3)
    worker, names = scene.worker(), [f"g{n}" for n in range(7)]
    for name in names:
        scene.insert(2, group_name=name)
    ended(scene, worker, step(scene, worker).taken)
    asked: list[str] = []
    event.listen(scene.store.engine, "before_cursor_execute", lambda c, cursor, text, *rest: asked.append(text))
    found, after = scene.store.groups.sweep("")
    assert (found, after) == (names[:3], "g2")
    assert len([text for text in asked if "backburner_jobs" in text]) == 1
    assert scene.store.groups.sweep("g2") == (names[3:6], "g5")
    assert scene.store.groups.sweep("g5") == (names[6:], "")


def test_rows_of_idle_groups_are_forgotten(scene: Scene) -> None:
    worker = scene.worker()
    scene.insert(1, group_name="done")
    scene.insert(2, group_name="busy")
    done = next(job for job in step(scene, worker).taken if job.group_name == "done")
    ended(scene, worker, [done])
    assert scene.store.groups.rows.prune("", 1) == (0, "busy")
    assert scene.store.groups.rows.prune("busy", 10) == (1, "")
    new = scene.one(group_name="done")
    # The row is made again at once: a worker that ends when it finds nothing looks only once.
    assert new in ids_of(step(scene, worker).taken)


def test_a_group_goes_on_whose_row_was_forgotten_by_another_process(scene: Scene, elsewhere: Scene) -> None:
    worker = scene.worker()
    scene.one(group_name="g")
    ended(scene, worker, step(scene, worker).taken)
    assert elsewhere.store.groups.rows.prune("", 100) == (1, "")
    first, second = scene.job(group_name="g"), scene.job(group_name="g")
    scene.store.inserts.put([first, second], 100)
    assert states(scene, first.id, second.id) == [S.QUEUED, S.BLOCKED]
    assert scene.store.jobs.cancel(first.id, "not needed") == {"default"}
    assert scene.state(second.id) is S.QUEUED


def test_place_in_line(scene: Scene) -> None:
    worker = scene.worker()
    jobs = scene.insert(3, group_name="g")
    step(scene, worker)
    job = scene.get(jobs[2])
    assert scene.store.groups.place(job.id, "g", job.priority, job.position, 10) == 2


def test_many_threads_and_never_two_of_one_group(scene: Scene) -> None:
    names = ["a", "b", "c"]
    jobs = {name: scene.insert(12, group_name=name) for name in names}
    running: dict[str, str] = {}
    done: dict[str, list[str]] = {name: [] for name in names}
    overlaps: list[str] = []
    guard = threading.Lock()

    def work(worker: str) -> None:
        lane = scene.store.lane(0)
        try:
            while any(len(found) < 12 for found in done.values()):
                for job in step(scene, worker, free=2).taken:
                    name = job.group_name
                    assert name is not None
                    with guard:
                        if name in running:
                            overlaps.append(job.id)
                        running[name] = job.id
                        done[name].append(job.id)
                    with guard:
                        del running[name]
                    settlement = Settlement(job.id, job.position, job.attempt, S.SUCCEEDED)
                    assert scene.store.claims.settle(lane, [settlement], worker) == {job.id}
                    scene.store.groups.advance([name])
        finally:
            lane.close()

    crew = Crew()
    for _ in range(4):
        crew.add(work, scene.worker())
    crew.start().join(60)
    assert overlaps == []
    assert done == jobs


def test_a_holder_that_expires_between_its_tries_gives_the_group_up(scene: Scene) -> None:
    worker = scene.worker()
    expires = scene.clock.now() + timedelta(seconds=30)
    first = scene.one(group_name="g", group_policy="block", expires_at=expires)
    second = scene.one(group_name="g", group_policy="block")
    [running] = step(scene, worker).taken
    scene.settle(worker, end(running, S.RETRYING, run_at=scene.clock.now() + timedelta(seconds=60)))
    scene.clock.move(31)
    assert scene.store.upkeep.expire().count == 1
    assert states(scene, first, second) == [S.SKIPPED, S.QUEUED]
    assert scene.store.groups.holder("g") is None


def lines(scene: Scene) -> Lines:
    return Lines(scene.store, PollingBell(), Registry(), WorkerOptions(), Seams())


@pytest.mark.parametrize(("took", "pause"), [(0.1, 0.1 * PLAIN_SHARE), (9.0, PLAIN_MOST)], ids=["work", "a lock"])
def test_plain_jobs_have_time_behind_a_look_that_only_parked(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, took: float, pause: float
) -> None:
    """One that brought jobs to run is followed by the next at once; and so is any, for who looks anew."""
    worker, now = scene.worker(), [1000.0]

    class Slow(Seams):
        def reach(self, name: SeamName) -> None:
            now[0] += took if name == "after park" else 0

    monkeypatch.setattr(lines_module, "boot_seconds", lambda: now[0])
    waiting = Lines(scene.store, PollingBell(), Registry(), WorkerOptions(), Slow())
    scene.one(group_name="g")
    scene.one(group_name="g")
    first = waiting.claim(scene.order(worker, 1))
    assert (len(first.taken), waiting.come_first("default", 1)) == (1, True)
    scene.one(group_name="g")
    second = waiting.claim(scene.order(worker, 1))
    assert (second.taken, second.moved, waiting.come_first("default", 1)) == ([], True, False)
    now[0] += pause - 0.01
    assert not waiting.come_first("default", 1)
    now[0] += 0.02
    assert waiting.come_first("default", 1)
    now[0] -= 0.02
    waiting.look_anew()
    assert waiting.come_first("default", 1)


def test_a_look_for_short_heads_alone_costs_the_others_none(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where plain jobs never end: what is not short is taken by looks that have a place for it."""
    worker, now = scene.worker(), [1000.0]
    monkeypatch.setattr(lines_module, "boot_seconds", lambda: now[0])
    waiting, none_free = lines(scene), scene.order(worker, 0, ahead=5, short=["short"])
    waiting.plain_ended("default", short=False)
    heads = [scene.one(group_name=f"g{n}") for n in range(2)]
    assert waiting.come_first("default", 1)
    assert (waiting.come_first("default", 0), waiting.ahead_pays("default")) == (False, True)
    assert waiting.claim(none_free).taken == []
    assert (waiting.come_first("default", 1), waiting.ahead_pays("default")) == (True, False)
    assert ids_of(waiting.claim(scene.order(worker, 1)).taken) == heads[:1]
    assert waiting.claim(none_free).taken == []
    assert (waiting.come_first("default", 0), waiting.come_first("default", 1)) == (False, True)
    now[0] += LOOK_SECONDS
    assert waiting.come_first("default", 0)
    scene.one(group_name="g2", task="short")
    assert len(waiting.claim(none_free).taken) == 1
    assert (waiting.come_first("default", 0), waiting.ahead_pays("default")) == (True, True)


def test_heads_that_somebody_has_in_hand_hide_no_other_groups(on_server: Scene) -> None:
    """As a transaction of the caller's has them that replaces jobs: more than one look takes, and long lines too."""
    scene, worker, jobs = on_server, on_server.worker(), on_server.store.schema.jobs
    held = [scene.one(group_name=f"held {number:02}") for number in range(ARRIVALS + 5)]
    scene.insert(2 * ARRIVALS, group_name="held 00")
    free = [scene.one(group_name=f"free {number}") for number in range(3)]
    with scene.store.engine.connect() as callers:
        callers.execute(select(jobs.c.id).where(jobs.c.id.in_(held)).with_for_update())
        look = lines(scene).claim(scene.order(worker, 10))
        assert (ids_of(look.taken), look.seen) == (free, True)
        assert lines(scene).claim(scene.order(worker, 10)).taken == []
    look = lines(scene).claim(scene.order(worker, 100))
    assert ids_of(look.taken) == held[:ARRIVALS]


def test_heads_that_were_lost_are_taken_a_few_at_a_time_and_hide_nothing(scene: Scene) -> None:
    worker, jobs = scene.worker(), scene.store.schema.jobs
    suspects = [scene.one(group_name=f"lost {number:02}") for number in range(ARRIVALS)]
    scene.store.run(lambda c: c.execute(jobs.update().values(losses=1)))
    sound = scene.one(group_name="sound")
    look = lines(scene).claim(scene.order(worker, 10)._replace(lone=2))
    assert ids_of(look.taken) == [*suspects[:2], sound]
    assert lines(scene).claim(scene.order(worker, 10)._replace(lone=0)).taken == []
    assert ids_of(lines(scene).claim(scene.order(worker, 1)._replace(lone=2)).taken) == suspects[2:3]


def test_no_more_heads_that_were_lost_are_taken_however_far_a_look_goes(scene: Scene) -> None:
    worker, jobs = scene.worker(), scene.store.schema.jobs
    suspects = [scene.one(group_name=f"lost {number:02}") for number in range(ARRIVALS + 10)]
    scene.store.run(lambda c: c.execute(jobs.update().values(losses=1)))
    look = lines(scene).claim(scene.order(worker, 100)._replace(lone=2))
    assert ids_of(look.taken) == suspects[:2]


def test_heads_and_capped_ones_that_were_lost_are_counted_together(scene: Scene) -> None:
    worker, jobs = scene.worker(), scene.store.schema.jobs
    heads = [scene.one(group_name=f"lost {number}") for number in range(2)]
    plain = scene.insert(3)
    scene.store.run(lambda c: c.execute(jobs.update().values(losses=1)))
    scene.store.queues.limit("default", 50)
    look = lines(scene).claim(scene.order(worker, 10)._replace(lone=3))
    assert ids_of(look.taken) == [*heads, plain[0]]


def test_one_that_was_lost_is_not_taken_over_with_the_end_before_it(scene: Scene) -> None:
    worker, jobs = scene.worker(), scene.store.schema.jobs
    first, second = scene.insert(2, group_name="g")
    (running,) = step(scene, worker, free=1).taken
    scene.store.run(lambda c: c.execute(jobs.update().where(jobs.c.id == second).values(crashes=1)))
    assert hand_over(scene, worker, end(running)) == []
    scene.store.groups.advance(["g"])
    assert (running.id, scene.state(second)) == (first, S.QUEUED)
