"""Any order of what may happen to jobs that wait for others: counted once, never let go early, never forgotten."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from backburner.errors import CircularWait, JobNotFound, MilestoneMissed, WrongState
from backburner.job import ClaimedJob, Parent
from backburner.outcome import WaitsFor
from backburner.states import FINAL, WAITING, JobState, allowed
from backburner.store.store import Store
from backburner.worker.meetings import Meetings
from tests.databases import Kind
from tests.store.scene import HandClock, Scene, end
from tests.store.test_dependencies import after, swept
from tests.store.test_waits import waits

S = JobState
KEEP = 60.0
MOST = 6
"""Jobs there are at a time: few, so that they have to do with each other."""
NAMES = ("", "imported")
"""The end of a job, and a milestone of it."""


@dataclass
class Wait:
    """Why one job waits for another: cancel and run from its enqueue, wait from its body; then how that ended."""

    policy: str
    open: bool = True


@dataclass
class Model:
    """What must be true of one job. `waits` has what it waits for or has waited for, by (job, milestone)."""

    state: JobState
    run_at: datetime
    expires_at: datetime | None = None
    waits: dict[tuple[str, str], Wait] = field(default_factory=dict)
    reached: bool = False
    cancel: bool = False
    finished_at: datetime | None = None

    @property
    def live(self) -> bool:
        return self.state not in FINAL

    @property
    def open(self) -> set[tuple[str, str]]:
        return {which for which, wait in self.waits.items() if wait.open}

    def end(self, state: JobState, now: datetime) -> None:
        self.state, self.finished_at = state, now


class Dependencies(RuleBasedStateMachine):
    """Enqueue after others, run, reach, wait, end, cancel, retry, delete, clean, expire, rescue; a crash may come
    between any end and what follows from it.
    """

    kind: Kind
    folder: Path
    wanted: int

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        # A folder of its own: SQLite would find the write-ahead log of the one before.
        store = Store(self.kind.migrated(Path(mkdtemp(dir=self.folder))))
        store.clock = self.clock
        self.scene = Scene(store, self.clock)
        self.meetings = Meetings(store, lambda queues: None)
        self.worker = self.scene.worker(1_000_000)
        self.jobs: dict[str, Model] = {}
        self.held: dict[str, ClaimedJob] = {}

    def teardown(self) -> None:
        self.scene.store.close()

    def pick(self, data: st.DataObject, among: Iterable[str] | None = None) -> str:
        return data.draw(st.sampled_from(sorted(self.jobs if among is None else among)))

    # What is there

    def is_due(self, parent: str, milestone: str) -> bool:
        """Whether what somebody waits for has come, or can never come."""
        model = self.jobs.get(parent)
        return model is None or not model.live or (milestone != "" and model.reached)

    def has_come(self, parent: str, milestone: str) -> bool:
        model = self.jobs.get(parent)
        return model is not None and (model.reached if milestone else model.state == S.SUCCEEDED)

    def leads_to(self, first: str, last: str) -> bool:
        """Whether a job waits for another, over however many."""
        seen, ahead = {first}, [first]
        while ahead:
            model = self.jobs.get(ahead.pop())
            if model is not None and model.state in WAITING:
                ahead += [parent for parent, _ in model.open if parent not in seen]
                seen |= {parent for parent, _ in model.open}
        return last in seen

    # Enqueue and run

    @initialize(policy=st.sampled_from(["cancel", "run"]))
    def a_few(self, policy: str) -> None:
        """Two, one after both of them, and one after that."""
        both = {(self.add(set(), policy), ""), (self.add(set(), policy), "")}
        self.add({(self.add(both, policy), "")}, policy)

    @precondition(lambda self: len(self.jobs) < MOST)
    @rule(
        data=st.data(), count=st.integers(0, 3), policy=st.sampled_from(["cancel", "run"]),
        delay=st.sampled_from([0, 0, 9]), expires=st.sampled_from([None, None, 15]),
    )  # fmt: skip
    def enqueue(self, data: st.DataObject, count: int, policy: str, delay: int, expires: int | None) -> None:
        chosen = {(self.pick(data), data.draw(st.sampled_from(NAMES))) for _ in range(count if self.jobs else 0)}
        self.add(chosen, policy, delay, expires)

    def add(self, chosen: set[tuple[str, str]], policy: str, delay: int = 0, expires: int | None = None) -> str:
        now = self.clock.now()
        until = None if expires is None else now + timedelta(seconds=expires)
        new = Model(S.BLOCKED if chosen else S.QUEUED, now + timedelta(seconds=delay), until)
        new.waits = {which: Wait(policy) for which in chosen}
        if not chosen and delay:
            new.state = S.SCHEDULED
        parents = [Parent(job, milestone, policy) for job, milestone in sorted(chosen)]
        times = {"run_at": new.run_at, "expires_at": until}
        job = after(self.scene, *parents, **times) if parents else self.scene.one(**times)
        self.jobs[job] = new
        return job

    @rule(free=st.integers(1, 3))
    def claim(self, free: int) -> None:
        ready = {job for job, model in self.jobs.items() if model.state == S.QUEUED}
        claimed = {job.id: job for job in self.scene.claim(self.worker, free=free)}
        assert claimed.keys() <= ready
        assert len(claimed) == min(free, len(ready))
        for job in claimed:
            self.jobs[job].state = S.RUNNING
        self.held |= claimed

    @precondition(lambda self: self.held)
    @rule(data=st.data(), told=st.booleans())
    def reach(self, data: st.DataObject, told: bool) -> None:
        job = self.pick(data, self.held)
        assert self.scene.store.waits.reach(job, self.held[job].attempt, NAMES[1])
        self.jobs[job].reached = True
        self.follow(job, told)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), milestone=st.sampled_from(NAMES), told=st.booleans())
    def wait(self, data: st.DataObject, milestone: str, told: bool) -> None:
        job, other = self.pick(data, self.held), self.pick(data)
        model, parent = self.jobs[job], Parent(other, milestone, "wait")
        wanted = self.outcome_of_wait(job, other, milestone)
        if wanted is None:
            self.meetings.wait_for(self.held[job], parent)
            return
        with pytest.raises(wanted):
            self.meetings.wait_for(self.held[job], parent)
        if wanted is not WaitsFor:
            return
        assert self.scene.settle(self.worker, waits(self.held.pop(job), other, milestone=milestone)) == {job}
        if model.cancel:
            model.end(S.CANCELLED, self.clock.now())
        else:
            model.state, model.waits[other, milestone] = S.BLOCKED, Wait("wait")
        self.follow(job, told)

    def outcome_of_wait(self, job: str, other: str, milestone: str) -> type[BaseException] | None:
        model, wait = self.jobs.get(other), self.jobs[job].waits.get((other, milestone))
        told = wait.policy if wait is not None and not wait.open else None
        if told == "reached" or (model is not None and (model.reached if milestone else not model.live)):
            return None
        if model is None:
            return JobNotFound if told is None else MilestoneMissed
        if not model.live:
            return MilestoneMissed
        return CircularWait if self.leads_to(other, job) else WaitsFor

    @precondition(lambda self: self.held)
    @rule(
        data=st.data(), to=st.sampled_from([S.SUCCEEDED, S.SUCCEEDED, S.FAILED, S.RETRYING, S.QUEUED]),
        told=st.booleans(),
    )  # fmt: skip
    def settle(self, data: st.DataObject, to: JobState, told: bool) -> None:
        self.end_one(self.pick(data, self.held), to, told)

    @precondition(lambda self: self.held)
    @rule(to=st.sampled_from([S.SUCCEEDED, S.FAILED]), told=st.booleans())
    def settle_all(self, to: JobState, told: bool) -> None:
        """So that several of one child's parents may end before anybody looks."""
        ended = sorted(self.held)
        for job in ended:
            self.end_one(job, to, told=False)
        if told:
            self.scene.store.dependencies.join(ended)
            self.let_go(set(ended))

    def end_one(self, job: str, to: JobState, told: bool) -> None:
        model, later = self.jobs[job], self.clock.now() + timedelta(seconds=5)
        done = end(self.held.pop(job), to, run_at=later if to == S.RETRYING else None)
        assert self.scene.settle(self.worker, done) == {job}
        if to in FINAL or model.cancel:
            model.end(to if to in FINAL else S.CANCELLED, self.clock.now())
        else:
            model.state = to
        model.run_at = done.run_at or model.run_at
        self.follow(job, told)

    @rule()
    def rescue(self) -> None:
        settled = self.scene.rescue(self.worker, certain=True)
        assert settled is not None
        assert {one.id for one in settled} == self.held.keys()
        for job in self.held:
            if self.jobs[job].cancel:
                self.jobs[job].end(S.CANCELLED, self.clock.now())
            else:
                self.jobs[job].state = S.QUEUED
        self.held.clear()
        self.worker = self.scene.worker(1_000_000)

    # What follows

    def follow(self, job: str, told: bool) -> None:
        """`told`: what waits for it goes on at once; otherwise that was lost in a crash."""
        if told:
            self.scene.store.dependencies.join([job])
            self.let_go({job})

    @rule()
    def sweep(self) -> None:
        swept(self.scene)
        self.let_go({parent for model in self.jobs.values() for parent, _ in model.open})
        assert not any(self.is_due(*which) for model in self.jobs.values() for which in model.open)

    def let_go(self, parents: set[str]) -> None:
        while parents:
            cancelled: set[str] = set()
            for job, model in self.jobs.items():
                met = {which for which in model.open if which[0] in parents and self.is_due(*which)}
                if met and self.count(model, met):
                    cancelled.add(job)
            parents = cancelled

    def count(self, model: Model, met: set[tuple[str, str]]) -> bool:
        """These are met; True when that cancels the job."""
        for which in met:
            model.waits[which].open = False
            if model.waits[which].policy == "wait":
                model.waits[which].policy = "missed" if which[1] and not self.has_come(*which) else "reached"
        if model.state != S.BLOCKED:
            return False
        if any(model.waits[which].policy == "cancel" and not self.has_come(*which) for which in met):
            model.end(S.CANCELLED, self.clock.now())
            for wait in model.waits.values():
                wait.open = False
            return True
        if not model.open:
            model.state = S.SCHEDULED if model.run_at > self.clock.now() else S.QUEUED
        return False

    # Steer

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), told=st.booleans())
    def cancel(self, data: st.DataObject, told: bool) -> None:
        job = self.pick(data)
        model = self.jobs[job]
        if not model.live:
            with pytest.raises(WrongState):
                self.scene.store.jobs.cancel(job, "why")
            return
        self.scene.store.jobs.cancel(job, "why")
        if model.state in WAITING:
            model.end(S.CANCELLED, self.clock.now())
            self.follow(job, told)
        else:
            model.cancel = True

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        job = self.pick(data)
        model = self.jobs[job]
        if not allowed("retry", model.state):
            with pytest.raises(WrongState):
                self.scene.store.jobs.retry(job)
            return
        self.scene.store.jobs.retry(job)
        model.waits = {which: wait for which, wait in model.waits.items() if wait.policy in ("cancel", "run")}
        for (parent, milestone), wait in model.waits.items():
            undone = not self.is_due(parent, milestone) and not self.leads_to(parent, job)
            wait.open = model.state != S.BLOCKED and undone
        if model.state == S.SUCCEEDED:
            model.reached = False
        model.state = S.BLOCKED if model.open else S.QUEUED
        model.run_at, model.expires_at = self.clock.now(), None
        model.cancel, model.finished_at = False, None

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        job = self.pick(data)
        if self.jobs[job].state == S.RUNNING:
            with pytest.raises(WrongState):
                self.scene.store.jobs.delete(job)
            return
        self.scene.store.jobs.delete(job)
        del self.jobs[job]

    # Time

    @rule(seconds=st.sampled_from([1, 9, KEEP]))
    def time_passes(self, seconds: float) -> None:
        self.clock.move(seconds)

    @rule()
    def promote(self) -> None:
        self.scene.store.upkeep.promote()
        for model in self.jobs.values():
            if model.state in (S.SCHEDULED, S.RETRYING) and model.run_at <= self.clock.now():
                model.state = S.QUEUED

    @rule()
    def expire(self) -> None:
        late = [
            model
            for model in self.jobs.values()
            if model.state in WAITING and model.expires_at is not None and model.expires_at <= self.clock.now()
        ]
        assert self.scene.store.upkeep.expire() == len(late)
        for model in late:
            model.end(S.SKIPPED, self.clock.now())

    @rule()
    def clean(self) -> None:
        """Old ends go, but for those that something waits for."""
        self.clock.move(KEEP + 1)
        before = self.clock.now() - timedelta(seconds=KEEP)
        for state in sorted(FINAL):
            awaited = {parent for model in self.jobs.values() for parent, _ in model.open}
            old = [
                job
                for job, model in self.jobs.items()
                if model.state == state and job not in awaited and model.finished_at and model.finished_at < before
            ]
            assert self.scene.store.upkeep.prune(state, KEEP) == len(old)
            for job in old:
                del self.jobs[job]

    # Always

    @invariant()
    def the_rows_are_as_the_model_says(self) -> None:
        schema = self.scene.store.schema
        t = schema.jobs.c
        query = select(t.id, t.state, t.run_at, t.cancel_requested, t.parents_left)
        rows, waits = self.scene.store.read(
            lambda c: (c.execute(query).all(), c.execute(select(schema.dependencies)).all())
        )
        assert {row.id: tuple(row)[1:4] for row in rows} == {
            job: (model.state, model.run_at, model.cancel) for job, model in self.jobs.items()
        }
        assert {row.id: row.parents_left for row in rows if row.state == S.BLOCKED} == {
            job: len(model.open) for job, model in self.jobs.items() if model.state == S.BLOCKED
        }
        stored = {(row.child, row.parent, row.milestone): Wait(row.policy, row.met_at is None) for row in waits}
        assert stored == {
            (job, *which): wait for job, model in self.jobs.items() for which, wait in model.waits.items()
        }

    @invariant()
    def nobody_waits_in_a_circle(self) -> None:
        for job, model in self.jobs.items():
            if model.state in WAITING:
                assert not any(self.leads_to(parent, job) for parent, _ in model.open), f"{job} waits for itself"


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def dependencies(request: pytest.FixtureRequest, tmp_path: Path) -> type[Dependencies]:
    kind: Kind = request.getfixturevalue(f"{request.param}_kind")
    # Short on a server, where a step costs ten times as much.
    wanted = 25 if request.param == "sqlite" else 5
    return type("ReadyDependencies", (Dependencies,), {"kind": kind, "folder": tmp_path, "wanted": wanted})


BOUNDED = settings(
    stateful_step_count=40, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


def test_any_order_of_what_happens_to_what_waits(dependencies: type[Dependencies]) -> None:
    run_state_machine_as_test(dependencies, settings=settings(BOUNDED, max_examples=dependencies.wanted))


@pytest.mark.long
@pytest.mark.timeout(900)
def test_any_order_of_what_happens_to_what_waits_at_length(dependencies: type[Dependencies]) -> None:
    at_length = settings(BOUNDED, max_examples=15 * dependencies.wanted, stateful_step_count=60, derandomize=False)
    run_state_machine_as_test(dependencies, settings=at_length)
