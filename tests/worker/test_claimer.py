"""What a worker takes next, and when it knows that nothing is left."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backburner import Backburner
from backburner.clock import boot_seconds
from backburner.notify.base import LocalEar
from backburner.notify.polling import PollingBell
from backburner.seams import SeamName, Seams
from backburner.states import JobState
from backburner.store.dialects.base import ClaimOrder
from backburner.worker import Worker, WorkerOptions
from backburner.worker.process import WorkerProcess
from tests.waiting import wait_until


@pytest.fixture
def jobs(database_url: str, tmp_path: Path) -> Iterator[Backburner]:
    jobs = Backburner(database_url, auto_migrate=True, files=str(tmp_path / "files"))
    yield jobs
    jobs.close()


class Held(Seams):
    """Counts looks, and holds the next one before it asks the database, when told to."""

    def __init__(self) -> None:
        self.looks = 0
        self.hold = threading.Event()
        self.holds = threading.Event()
        self.go_on = threading.Event()

    def reach(self, name: SeamName) -> None:
        if name == "before claim" and self.hold.is_set():
            self.holds.set()
            self.go_on.wait(30)
        if name == "after claim":
            self.looks += 1


def test_a_burst_goes_on_with_what_its_last_job_left(jobs: Backburner) -> None:
    """It used to end when an earlier look, made while that job ran, had found nothing."""
    jobs.seams = seams = Held()

    @jobs.task(name="first")
    def first() -> None:
        looks = seams.looks
        wait_until(lambda: seams.looks >= looks + 2, "a look found nothing while this runs")
        seams.hold.set()
        second.enqueue()

    @jobs.task(name="second")
    def second() -> None:
        return None

    first.enqueue()
    worker = Worker(jobs, WorkerOptions(concurrency=2, burst=True, poll=0.05))
    with worker:
        process: Any = worker._process
        assert seams.holds.wait(30)
        wait_until(lambda: process.pool.idle and process.finisher.empty, "the first job has ended")
        process.look_around()
        assert process.quiet is None
        seams.go_on.set()
        assert worker.wait(30)
    assert {job.state for job in jobs.find(limit=10)} == {JobState.SUCCEEDED}


@pytest.mark.parametrize("named", [False, True], ids=["every queue", "named queues"])
def test_a_queue_that_never_ends_does_not_keep_others_out(jobs: Backburner, named: bool) -> None:
    done = threading.Event()

    @jobs.task(name="busy", queue="a busy one")
    def busy() -> None:
        if not done.is_set():
            busy.enqueue()

    @jobs.task(name="rare", queue="rare")
    def rare() -> None:
        done.set()

    for _ in range(5):
        busy.enqueue()
    queues = ("a busy one", "rare") if named else ()
    with Worker(jobs, WorkerOptions(concurrency=1, queues=queues)):
        wait_until(lambda: jobs.find(task="busy", state="succeeded", limit=1), "the busy queue is under way")
        rare.enqueue()
        try:
            assert done.wait(10), "the other queue waits for ever"
        finally:
            done.set()


class SlowToFinish(Seams):
    """Holds the first end before it is written."""

    def __init__(self) -> None:
        self.holds = threading.Event()
        self.go_on = threading.Event()

    def reach(self, name: SeamName) -> None:
        if name == "before finish" and not self.holds.is_set():
            self.holds.set()
            self.go_on.wait(30)


def test_the_place_of_a_group_is_not_given_away_before_its_next_one_is_known(jobs: Backburner) -> None:
    """A plain job took it, and the next of the group waited behind that one while it held the group."""
    jobs.seams = seams = SlowToFinish()
    began: list[int] = []

    @jobs.task(name="note")
    def note(number: int) -> None:
        began.append(number)

    grouped = note.options(group="g")
    for number, task in ((1, grouped), (3, note), (2, grouped)):
        task.options(priority=number).enqueue(number)
    with Worker(jobs, WorkerOptions(concurrency=1, poll=0.05)) as worker:
        process: Any = worker._process
        assert seams.holds.wait(30)
        wait_until(lambda: process.pool.idle, "the first body has ended")
        assert process.pool.free == 0
        seams.go_on.set()
        wait_until(lambda: not jobs.find(done=False), "all jobs end")
    assert began == [1, 2, 3]


def test_the_head_of_a_group_that_is_given_back_is_not_taken_with_its_end(jobs: Backburner) -> None:
    done = threading.Event()

    @jobs.task(name="busy")
    def busy() -> None:
        done.wait(30)

    @jobs.task(name="note")
    def note() -> None:
        return None

    busy.enqueue()
    with Worker(jobs, WorkerOptions(concurrency=1, poll=0.05)) as worker:
        process: Any = worker._process
        wait_until(lambda: process.pool.running, "its only place is taken")
        head, store = note.options(group="g").enqueue(), jobs.store
        order = ClaimOrder(process.id, "default", 1, 0, (), store.clock.now())
        (claimed,) = store.groups.claim(order, store.groups.arrivals(order), lambda task: None).taken
        process._held.add([claimed])
        process._give_back([claimed])
        wait_until(lambda: process.finisher.empty, "its end is written")
        found = head.refresh()
        assert (found.state, found.attempt) == (JobState.QUEUED, 1)
        done.set()
        wait_until(lambda: not jobs.find(done=False), "all jobs end")


@pytest.mark.parametrize("first", ["plain", "heads"])
def test_plain_jobs_and_heads_of_groups_take_turns(jobs: Backburner, first: str) -> None:
    """Hundreds of short heads used to run before the first plain job of the same priority, taken ahead of it."""
    began = list[str]()

    @jobs.task(name="note")
    def note(kind: str) -> None:
        began.append(kind)
        done.wait(0.005)

    done, groups = threading.Event(), [note.options(group=f"g{number}") for number in range(300)]
    with Worker(jobs, WorkerOptions(concurrency=4, poll=0.05)):
        jobs.enqueue_many(note, [("before",)] * 30)
        wait_until(lambda: not jobs.find(done=False), "it is known to be short")
        jobs.queues.pause("default")
        if first == "plain":
            jobs.enqueue_many(note, [("plain",)] * 600)
        for task in groups:
            task.enqueue("heads")
        if first == "heads":
            jobs.enqueue_many(note, [("plain",)] * 600)
        jobs.queues.resume("default")
        wait_until(lambda: began.count("plain") == 600 or began.count("heads") == 300, "all of one kind have begun")
        plain, heads = began.count("plain"), began.count("heads")
        done.set()
        wait_until(lambda: not jobs.find(done=False, limit=1), "all jobs end")
    assert plain >= 60
    assert heads >= 30


class TellingBell(PollingBell):
    """What rests for a whole minute, unless it is rung in this process, says so."""

    def __init__(self) -> None:
        super().__init__()
        self.rests = threading.Event()

    def ear(self, queues: Sequence[str] = (), priorities: tuple[int, int] | None = None) -> LocalEar:
        ear, wait = super().ear(queues, priorities), LocalEar.wait

        def told(seconds: float) -> bool:
            self.rests.set()
            return wait(ear, seconds)

        ear.wait = told  # type: ignore[method-assign]
        return ear


class EndsTogether(Seams):
    """Holds ends before they are written, while told to."""

    def __init__(self) -> None:
        self.hold, self.holds, self.go_on = threading.Event(), threading.Event(), threading.Event()

    def reach(self, name: SeamName) -> None:
        if name == "before finish" and self.hold.is_set():
            self.holds.set()
            self.go_on.wait(30)


RARELY = WorkerOptions(concurrency=4, poll=60.0)


@pytest.fixture
def rarely(jobs: Backburner, monkeypatch: pytest.MonkeyPatch) -> TellingBell:
    """Nothing but a ring in this process wakes the workers of `jobs`."""
    bell = TellingBell()
    monkeypatch.setattr(jobs._database, "adapt_bell", lambda made: made.close() or bell)
    return bell


def test_the_next_of_a_group_does_not_wait_behind_a_slow_one_of_another(jobs: Backburner, rarely: TellingBell) -> None:
    """One thread took all that came with the ends of three tiny jobs: two waited, for a poll, beside free places."""
    jobs.seams = seams = EndsTogether()
    others, go_on, ends = threading.Semaphore(0), threading.Event(), list[bool]()

    @jobs.task(name="first")
    def first() -> None:
        go_on.wait(30)

    @jobs.task(name="tiny")
    def tiny(part: str) -> None:
        if part == "slow":
            ends.append(all(others.acquire(timeout=10) for _ in range(2)))
        if part == "other":
            others.release()

    with Worker(jobs, RARELY) as worker:
        process: Any = worker._process
        jobs.enqueue_many(tiny, [("",)] * 300)
        wait_until(lambda: not jobs.find(done=False, limit=1), "it is known to be tiny")
        firsts = [first.options(group=group).enqueue() for group in "abc"]
        for group, part in (("a", "slow"), ("b", "other"), ("c", "other")):
            tiny.options(group=group).enqueue(part)
        wait_until(lambda: process.pool.running == len(firsts), "the first of each runs")
        seams.hold.set()
        tiny.enqueue("")
        assert seams.holds.wait(30)
        go_on.set()
        wait_until(lambda: len(process.finisher._pending) == len(firsts), "they end together")
        seams.hold.clear()
        seams.go_on.set()
        wait_until(lambda: ends, "the slow one ends")
    assert ends == [True]


@pytest.mark.parametrize("task", ["short", "not known to be short"])
def test_the_next_of_a_group_is_not_kept_where_no_place_is_free(
    jobs: Backburner, rarely: TellingBell, task: str
) -> None:
    """What was claimed ahead began in the place that was kept for it. It goes back, or is not even taken."""
    jobs.seams = seams = EndsTogether()
    words = {word: threading.Event() for word in ("first", "blocks")}

    @jobs.task(name="short")
    def short(word: str = "") -> None:
        if word:
            words[word].wait(30)

    jobs.task(name="not known to be short")(lambda: None)
    following = jobs.registry.get(task)
    assert following is not None
    with Worker(jobs, replace(RARELY, concurrency=1)) as worker:
        process: Any = worker._process
        jobs.enqueue_many(short, [()] * 30)
        wait_until(lambda: not jobs.find(done=False, limit=1), "it is known to be short")
        short.options(group="g").enqueue("first")
        wait_until(lambda: process.pool.running, "the first of the group runs")
        after = following.options(group="g").enqueue()
        short.options(priority=1).enqueue("blocks")
        wait_until(lambda: process.pool.waiting, "the other one is taken ahead")
        seams.hold.set()
        rarely.rests.clear()
        words["first"].set()
        assert seams.holds.wait(30)
        assert rarely.rests.wait(30)
        seams.hold.clear()
        seams.go_on.set()
        wait_until(lambda: process.finisher.empty, "the end of the first is written")
        wait_until(lambda: after.refresh().state is JobState.QUEUED, "any worker may take the next one")
        assert after.refresh().attempt == (1 if task == "short" else 0)
        words["blocks"].set()
        wait_until(lambda: not jobs.find(done=False, limit=1), "all jobs end")


def test_a_look_for_short_jobs_alone_does_not_say_that_nothing_is_left(jobs: Backburner) -> None:
    jobs.seams = seams = Held()
    done = threading.Event()

    @jobs.task(name="short")
    def short() -> None:
        return None

    @jobs.task(name="holds")
    def holds() -> None:
        done.wait(30)

    with Worker(jobs, WorkerOptions(concurrency=1, poll=0.02)) as worker:
        process: Any = worker._process
        jobs.enqueue_many(short, [()] * 30)
        wait_until(lambda: not jobs.find(done=False, limit=1), "it is known to be short")
        holds.enqueue()
        wait_until(lambda: process.pool.running, "its only place is taken")
        holds.enqueue()
        looks = seams.looks
        wait_until(lambda: seams.looks >= looks + 2, "it looks for short ones")
        assert process._claimer.nothing_at == float("-inf")
        done.set()
        wait_until(lambda: not jobs.find(done=False, limit=1), "all jobs end")


def test_nothing_begins_without_proof_of_lease(jobs: Backburner, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, began, may_claim = [0], list[float](), WorkerProcess._may_claim

    def counted(process: WorkerProcess) -> bool:
        asked[0] += 1
        return may_claim(process)

    monkeypatch.setattr(WorkerProcess, "_may_claim", counted)

    @jobs.task(name="work")
    def work() -> None:
        began.append(page.lease_until)

    with Worker(jobs, WorkerOptions(poll=0.02, beat=9.0)) as worker:
        page = worker._page
        page.lease_until = 0.0
        assert worker._process is not None
        assert not worker._process.may_start()
        job, before = work.enqueue(), asked[0]
        wait_until(lambda: asked[0] >= before + 50, "it has thought of a claim again and again")
        page.lease_until = boot_seconds() + 30.0
        assert job.wait(30)
    assert min(began) > 0.0
