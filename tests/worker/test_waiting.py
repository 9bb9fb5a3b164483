"""Jobs that come after others, and wait for others, with real bodies."""

import threading
from contextlib import suppress
from typing import Any

import pytest

from backburner import Job, JobState, current_job
from backburner.errors import CircularWait, InvalidArgument, InvalidOption, JobNotFound, MilestoneMissed
from tests.waiting import wait_until
from tests.worker.world import World

S = JobState


def blocked(world: World, job: Job) -> Job:
    wait_until(lambda: world.job(job).state is S.BLOCKED, f"job {job.id} is blocked")
    return world.job(job)


def test_a_chain_goes_on_by_itself(working: World) -> None:
    first = working.enqueue("hold", "first")
    second = working.enqueue("work", 2, after=first)
    third = working.enqueue("work", 3, after=[first, second])
    working.begun(first)
    assert (working.job(second).state, working.job(third).state) == (S.BLOCKED, S.BLOCKED)
    working.say("first")
    assert working.ends(third).result() == 3
    assert working.job(second).finished_at is not None


def test_a_failed_parent_cancels_and_says_so(working: World) -> None:
    @working.jobs.task(name="fails", max_attempts=1)
    def fails() -> None:
        raise ValueError("no")

    first = fails.enqueue()
    second = working.enqueue("work", after=first)
    third = working.enqueue("work", after=second)
    anyhow = working.enqueue("work", after=first, after_failed="run")
    assert working.ends(second, S.CANCELLED).reason == f"It was to come after job {first.id}, which is failed."
    working.ends(third, S.CANCELLED)
    working.ends(anyhow)


def test_a_parent_that_is_cancelled_by_hand(working: World) -> None:
    first = working.enqueue("work", delay=3600)
    second = working.enqueue("work", after=first)
    first.cancel()
    assert working.job(second).state is S.CANCELLED


@pytest.mark.parametrize("how", ["thread", "loop", "own process"])
def test_a_body_waits_for_another_job_without_a_slot_and_a_try(working: World, how: str) -> None:
    name = {"thread": "wait_for", "loop": "await_for", "own process": "wait_for"}[how]
    options: dict[str, Any] = {"isolate": True} if how == "own process" else {}
    other = working.enqueue("hold", "go")
    job = working.enqueue(name, other.id, None, **options)
    found = blocked(working, job)
    assert (found.blocked_on, found.reason, found.tries) == ("parents", f"Waits for job {other.id}.", 0)
    assert working.jobs.control.why_not_running(found) == [
        f"It waits for job {other.id}: hold, which is {working.job(other).state}."
    ]
    # All four slots are to be had meanwhile.
    held = [working.enqueue("hold", "go") for _ in range(3)]
    for one in held:
        working.begun(one)
    working.say("go")
    assert working.ends(job).result() == 2
    assert working.job(job).tries == 0
    assert [one.outcome for one in working.attempts(job)][:1] == ["waited"]


@pytest.mark.parametrize("how", ["thread", "loop", "own process"])
def test_a_body_waits_for_a_milestone(working: World, how: str) -> None:
    options: dict[str, Any] = {"isolate": True} if how == "own process" else {}
    names = ("await_for", "areaches") if how == "loop" else ("wait_for", "reaches")
    other = working.enqueue(names[1], "reach", "end", **options)
    job = working.enqueue(names[0], other.id, "half")
    blocked(working, job)
    working.say("reach")
    assert working.ends(job).result() == 2
    assert working.job(other).state is S.RUNNING
    assert list(working.jobs.milestones(other)) == ["half"]
    working.say("end")
    working.ends(other)


def test_what_has_come_already_is_not_waited_for(working: World) -> None:
    other = working.enqueue("work")
    working.ends(other)
    job = working.enqueue("wait_for", other.id, None)
    assert working.ends(job).result() == 1


def test_a_milestone_that_never_comes(working: World) -> None:
    other = working.enqueue("hold", "go")
    job = working.enqueue("wait_for", other.id, "half", max_attempts=1)
    blocked(working, job)
    working.say("go")
    found = working.ends(job, S.FAILED)
    assert found.error is not None
    assert found.error.startswith(MilestoneMissed.__name__)
    assert f"job {other.id} is succeeded and has not reached 'half'" in found.error


def test_it_goes_on_from_its_checkpoint(working: World) -> None:
    other = working.enqueue("hold", "go")

    @working.jobs.task(name="two_halves")
    def two_halves() -> list[Any]:
        context = current_job()
        done = context.last_checkpoint
        if done is None:
            context.checkpoint("first half")
            context.wait_for(other)
        return [done, context.attempt]

    job = two_halves.enqueue()
    blocked(working, job)
    working.say("go")
    assert working.ends(job).result() == ["first half", 2]


def test_except_exception_does_not_swallow_a_wait(working: World) -> None:
    other = working.enqueue("hold", "go")

    @working.jobs.task(name="careless")
    def careless() -> int:
        try:
            current_job().wait_for(other)
        except Exception:
            return -1
        return int(current_job().attempt)

    job = careless.enqueue()
    blocked(working, job)
    working.say("go")
    assert working.ends(job).result() == 2


def test_waits_that_would_never_end_are_refused(working: World) -> None:
    @working.jobs.task(name="circles", max_attempts=1)
    def circles() -> str:
        context = current_job()
        behind = working.enqueue("work", after=context.id)
        words = []
        others: tuple[tuple[Any, type[Exception]], ...] = (
            (context.id, CircularWait),
            (behind, CircularWait),
            (NOBODY, JobNotFound),
        )
        for other, error in others:
            with pytest.raises(error) as caught:
                context.wait_for(other)
            words.append(str(caught.value))
        with pytest.raises(InvalidOption):
            context.wait_for("no id")
        with context.transaction(), pytest.raises(InvalidArgument, match="transaction"):
            context.wait_for(behind)
        return "\n".join(words)

    job = circles.enqueue()
    told = working.ends(job).result()
    assert f"job {job.id} cannot wait for job {job.id}: it is the same job" in told


NOBODY = "01900000-0000-7000-8000-000000000000"


def test_two_that_wait_for_each_other(working: World) -> None:
    """One of them is told; the other goes on when that one has ended."""
    both = threading.Barrier(2)
    ids: dict[str, str] = {}

    @working.jobs.task(name="mutual", max_attempts=1)
    def mutual(other: str) -> str:
        if current_job().attempt == 1:
            both.wait(20)
        try:
            current_job().wait_for(ids[other])
        except CircularWait:
            return "told"
        return "waited"

    with working.jobs.bulk():
        jobs = {name: mutual.enqueue(other) for name, other in (("a", "b"), ("b", "a"))}
        ids.update({name: job.id for name, job in jobs.items()})
    assert sorted(working.ends(job).result() for job in jobs.values()) == ["told", "waited"]


def test_a_milestone_in_a_transaction_comes_with_its_commit(working: World) -> None:
    @working.jobs.task(name="commits", max_attempts=1)
    def commits() -> None:
        context = current_job()
        with suppress(ZeroDivisionError), context.transaction():
            context.milestone("undone")
            raise ZeroDivisionError
        with context.transaction():
            context.milestone("done")

    job = commits.enqueue()
    working.ends(job)
    assert list(working.jobs.milestones(job)) == ["done"]


def test_outside_of_a_stored_job(working: World) -> None:
    @working.jobs.task(name="called")
    def called(other: str) -> None:
        current_job().milestone("half")
        with pytest.raises(InvalidArgument, match=r"jobs\.wait"):
            current_job().wait_for(other)

    called(NOBODY)


def test_a_job_that_ends_with_a_transaction_lets_its_children_go(working: World) -> None:
    @working.jobs.task(name="finishes")
    def finishes() -> None:
        with current_job().transaction():
            current_job().finish(1)

    working.ends(working.enqueue("work", 7, after=finishes.enqueue()))


@pytest.mark.parametrize("point", ["before finish", "after finish"])
def test_after_kill_9_around_the_end_the_child_goes_on(world: World, point: Any) -> None:
    first = world.enqueue("work", 1)
    second = world.enqueue("work", 2, after=first)
    world.arm(point)
    world.start()
    assert world.ends(second).result() == 2
    assert world.fired(point)
