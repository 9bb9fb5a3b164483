"""Real workers on serial groups, limits, pauses and priorities."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from backburner.seams import SeamName, Seams
from backburner.states import JobState
from backburner.worker import Worker, WorkerOptions
from tests.waiting import wait_until
from tests.worker.world import World

QUICK = WorkerOptions(concurrency=4, poll=0.05)
ONE = WorkerOptions(concurrency=1, poll=0.05)


def bodies(world: World) -> list[str]:
    """Ids of jobs in the order in which their bodies began."""
    return [entry.job for entry in world.history.entries() if entry.kind == "begin"]


def test_a_group_runs_one_at_a_time_and_in_order(working: World) -> None:
    ids = [working.enqueue("work", n, 0.01, group="g").id for n in range(20)]
    assert working.all_done() == {"succeeded": 20}
    assert bodies(working) == ids
    assert working.history.most_at_once(ids) == 1


def test_many_groups_run_beside_each_other(working: World) -> None:
    first = working.enqueue("hold", "go", group="a")
    second = working.enqueue("hold", "go", group="b")
    behind = working.enqueue("work", 1, group="a")
    working.begun(first)
    working.begun(second)
    wait_until(lambda: working.job(behind).state is JobState.BLOCKED, "the one behind is parked")
    assert working.jobs.control.why_not_running(working.job(behind)) == [
        f"Behind job {first.id} of group a, which is running.",
        "1st in line in group a.",
    ]
    working.say("go")
    assert working.all_done() == {"succeeded": 3}


def test_jobs_stored_together_are_one_line(working: World) -> None:
    task = working.jobs.registry.get("work")
    assert task is not None
    ids = working.jobs.enqueue_many(task.options(group="g"), [(n,) for n in range(30)])
    assert working.all_done() == {"succeeded": 30}
    assert bodies(working) == ids


def test_a_failed_member_lets_the_others_go_on(working: World) -> None:
    failing = working.enqueue("fail_once", group="g")
    after = working.enqueue("work", 1, group="g")
    working.ends(after)
    working.ends(failing)
    assert working.history.most_at_once([failing.id, after.id]) == 1


def test_block_keeps_the_order_through_retries(working: World) -> None:
    failing = working.enqueue("fail_once", group="g", group_policy="block")
    after = working.enqueue("work", 1, group="g", group_policy="block")
    working.ends(after)
    assert bodies(working) == [failing.id, failing.id, after.id]


def test_stop_gives_up_the_rest(working: World) -> None:
    failing = working.enqueue("fail_for_good", group="g", group_policy="stop")
    rest = [working.enqueue("work", n, group="g", group_policy="stop") for n in range(3)]
    working.ends(failing, JobState.FAILED)
    for job in rest:
        found = working.ends(job, JobState.CANCELLED)
        assert f"Job {failing.id} of group g failed" in (found.reason or "")


def test_a_group_without_work_takes_new_jobs_at_once(working: World) -> None:
    for n in range(5):
        working.ends(working.enqueue("work", n, group="g"))


def test_no_more_of_a_task_than_it_allows(working: World) -> None:
    jobs = [working.enqueue("hold_two", "go") for _ in range(4)]
    wait_until(lambda: len(bodies(working)) == 2, "two of them run")
    plain = working.enqueue("work", 1)
    working.ends(plain)
    assert len(bodies(working)) == 3
    working.say("go")
    for job in jobs:
        working.ends(job)
    assert working.history.most_at_once([job.id for job in jobs]) == 2


def test_groups_whose_heads_are_at_their_cap_hide_no_others(working: World) -> None:
    held = [working.enqueue("hold_two", "go", group=f"g{n}") for n in range(60)]
    wait_until(lambda: len(bodies(working)) == 2, "two of them run")
    working.ends(working.enqueue("work", 1, group="behind"))
    working.say("go")
    assert working.all_done() == {"succeeded": 61}
    assert working.history.most_at_once([job.id for job in held]) == 2


def test_no_more_of_a_queue_than_was_said(world: World) -> None:
    world.jobs.queues.limit("default", 1)
    with Worker(world.jobs, QUICK):
        first, second = world.enqueue("hold", "go"), world.enqueue("hold", "go")
        world.begun(first)
        expected = "Queue default may run 1 at once, and does."
        wait_until(lambda: expected in world.jobs.control.why_not_running(world.job(second)), "why is told")
        world.jobs.queues.limit("default", None)
        world.begun(second)
        world.say("go")
        assert world.all_done() == {"succeeded": 2}


def test_a_pause_holds_until_it_is_resumed(working: World) -> None:
    working.jobs.queues.pause("default", reason="month end", by="ada")
    job = working.enqueue("work", 1)
    why = working.jobs.control.why_not_running(working.job(job))
    assert "by ada: month end." in why[0]
    assert working.jobs.control.get(job.id).state is JobState.QUEUED
    assert working.jobs.queues.resume("default")
    working.ends(job)


def test_a_pause_of_everything_has_an_end(working: World) -> None:
    until = working.jobs.store.clock.now() + timedelta(seconds=0.5)
    working.jobs.queues.pause(until=until)
    job = working.ends(working.enqueue("work", 1))
    assert job.started_at is not None
    assert job.started_at >= until


@pytest.mark.parametrize(
    ("wanted", "taken"), [((10, 10), [10]), ((20, 40), [20, 30, 40]), ((25, 32767), [30, 40]), ((-32768, 20), [10, 20])]
)
def test_a_worker_of_some_priorities(world: World, wanted: tuple[int, int], taken: list[int]) -> None:
    jobs = {n: world.enqueue("work", n, priority=n) for n in (40, 30, 20, 10)}
    grouped = {n: world.enqueue("work", n, priority=n, group=f"g{n}") for n in (40, 10)}
    with Worker(world.jobs, WorkerOptions(concurrency=1, poll=0.05, priorities=wanted)):
        for n in taken:
            world.ends(jobs[n])
            if n in grouped:
                world.ends(grouped[n])
    left = {n for n, job in (jobs | grouped).items() if world.job(job).state is JobState.QUEUED}
    assert left == {10, 20, 30, 40} - set(taken)


def test_the_better_priority_first_whatever_its_group(world: World) -> None:
    order = [(50, None), (20, "a"), (30, None), (10, "b"), (40, "a")]
    # Long enough for the end of one to be written before the next one's: only then the next of a group may run.
    jobs = [world.enqueue("work", n, 0.1, priority=n, group=group) for n, group in order]
    with Worker(world.jobs, ONE):
        world.all_done()
    assert bodies(world) == [jobs[index].id for index in (3, 1, 2, 4, 0)]


def test_queues_in_the_order_given(world: World) -> None:
    low = [world.enqueue("work", n, 0.01, queue="low") for n in range(5)]
    high = [world.enqueue("work", n, 0.01, queue="high") for n in range(5)]
    with Worker(world.jobs, WorkerOptions(queues=("high", "low"), strict=True, concurrency=1, poll=0.05)):
        world.all_done()
    assert bodies(world) == [job.id for job in high + low]


def test_a_queue_with_more_weight_gets_more(world: World) -> None:
    for n in range(40):
        world.enqueue("work", n, 0.005, queue="light")
        world.enqueue("work", n, 0.005, queue="heavy")
    options = WorkerOptions(queues=("light", "heavy"), weights=(1.0, 4.0), concurrency=1, poll=0.05)
    with Worker(world.jobs, options):
        world.all_done()
    queue_of = {job.id: job.queue for job in world.jobs.find(limit=100)}
    first = [queue_of[job] for job in bodies(world)][:40]
    assert first.count("heavy") > 2 * first.count("light") > 0


class Meanwhile(Seams):
    """Something happens in another thread when the next job was taken with an end, and is not held yet."""

    def __init__(self) -> None:
        self.happens: Callable[[], None] | None = None

    def reach(self, name: SeamName) -> None:
        if name == "after finish" and self.happens is not None:
            thread = threading.Thread(target=self.happens)
            thread.start()
            # It is to come through as far as it can: in the end it waits for this thread.
            thread.join(0.2)


def test_what_is_taken_with_the_end_of_another_is_not_given_back_meanwhile(on_sqlite: World) -> None:
    """The look for jobs that are owned and not held took it for one of those, and it ran twice at the same time."""
    world = on_sqlite
    world.jobs.seams = seams = Meanwhile()
    jobs = [world.enqueue("hold", "go on", group="g"), *(world.enqueue("work", n, 0.05, group="g") for n in range(2))]
    with Worker(world.jobs, QUICK) as worker:
        world.begun(jobs[0])
        process: Any = worker._process
        seams.happens = process._recover
        world.say("go on")
        assert [world.ends(job).attempt for job in jobs] == [1, 1, 1]
