"""Any order of anything: the store against a model of a few lines, on each database."""

import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from backburner.errors import WrongState
from backburner.job import ClaimedJob
from backburner.states import FINAL, WAITING, JobState, allowed
from backburner.store.store import Store
from tests.databases import Kind
from tests.faulty import HARMLESS, Faults, under_fire
from tests.store.job_machine import MACHINES
from tests.store.scene import LEASE, HandClock, Scene, end

S = JobState
ENDS = [*sorted(FINAL), S.QUEUED, S.RETRYING, S.SCHEDULED, S.BLOCKED]
VERBS = {S.QUEUED: "release", S.RETRYING: "retry later", S.SCHEDULED: "wait", S.BLOCKED: "hold"}


@dataclass
class Model:
    """What must be true of one job."""

    state: JobState
    priority: int
    position: int
    run_at: datetime
    attempt: int = 0
    worker: str | None = None
    losses: int = 0
    tries: int = 0
    cancel: bool = False
    settled: tuple[int, str] | None = None

    def move(self, verb: str, to: JobState) -> None:
        assert to in allowed(verb, self.state), f"{verb}: {self.state} -> {to} is no move of the table"
        self.state = to
        if to != S.RUNNING:
            self.worker = None


class Machine(RuleBasedStateMachine):
    """Insert, claim, settle, release, retry, cancel, promote, beat, rescue; time passes only by its rule."""

    kind: Kind
    wanted: int

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        store = Store(self.kind.migrated(Path(self.folder.name)))
        self.clock = HandClock()
        store.clock = self.clock
        self.scene = Scene(store, self.clock)
        self.jobs: dict[str, Model] = {}
        self.held: list[tuple[str, ClaimedJob]] = []
        self.workers: dict[str, datetime] = {}
        self.dead: set[str] = set()
        self.line = 0
        self.add_worker()

    def teardown(self) -> None:
        self.scene.store.close()
        self.folder.cleanup()

    def pick(self, data: st.DataObject, names: "list[str] | dict[str, Model]") -> str:
        return data.draw(st.sampled_from(sorted(names)))

    @rule()
    def add_worker(self) -> None:
        worker = self.scene.worker()
        self.workers[worker] = self.clock.now() + timedelta(seconds=LEASE)

    @rule(priority=st.integers(0, 2), delay=st.sampled_from([0, 0, 0, 5]), count=st.integers(1, 3))
    def insert(self, priority: int, delay: int, count: int) -> None:
        run_at = self.clock.now() + timedelta(seconds=delay)
        for job in self.scene.insert(count, priority=priority, run_at=run_at):
            self.line += 1
            self.jobs[job] = Model(S.SCHEDULED if delay else S.QUEUED, priority, self.line, run_at)

    @rule(data=st.data(), free=st.integers(1, 4))
    def claim(self, data: st.DataObject, free: int) -> None:
        worker = self.pick(data, list(self.workers))
        ready = sorted(
            (model.priority, model.position, job)
            for job, model in self.jobs.items()
            if model.state == S.QUEUED and worker not in self.dead
        )
        claimed = self.scene.claim(worker, free=free)
        assert [job.id for job in claimed] == [job for _, _, job in ready[:free]]
        for job in claimed:
            model = self.jobs[job.id]
            model.move("claim", S.RUNNING)
            model.attempt, model.worker = model.attempt + 1, worker
            assert (job.attempt, job.losses, job.tries) == (model.attempt, model.losses, model.tries)
            self.held.append((worker, job))

    @precondition(lambda self: self.held)
    @rule(data=st.data(), to=st.sampled_from(ENDS), delay=st.integers(0, 5), forget=st.booleans())
    def settle(self, data: st.DataObject, to: JobState, delay: int, forget: bool) -> None:
        """Whoever ever claimed it may try, however late and however often."""
        worker, job = data.draw(st.sampled_from(self.held))
        model, run_at = self.jobs[job.id], self.clock.now() + timedelta(seconds=delay)
        mine = model.state == S.RUNNING and model.attempt == job.attempt
        mine_already = model.settled == (job.attempt, worker)
        done = end(job, to, tries=int(to == S.RETRYING), run_at=run_at if to in {S.RETRYING, S.SCHEDULED} else None)
        assert self.scene.settle(worker, done) == ({job.id} if mine or mine_already else set())
        if mine:
            # Who was told to stop does not come again.
            reached = S.CANCELLED if model.cancel and to not in FINAL else to
            model.move(VERBS.get(reached, "finish"), reached)
            model.tries += done.tries
            model.run_at = done.run_at or model.run_at
            model.settled = (job.attempt, worker)
        if forget:
            self.held.remove((worker, job))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        job = self.pick(data, self.jobs)
        model = self.jobs[job]
        if not allowed("retry", model.state):
            with pytest.raises(WrongState):
                self.scene.store.jobs.retry(job)
            return
        self.scene.store.jobs.retry(job)
        model.move("retry", S.QUEUED)
        self.line += 1
        model.position, model.run_at = self.line, self.clock.now()
        model.tries, model.losses, model.cancel = 0, 0, False

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job = self.pick(data, self.jobs)
        model = self.jobs[job]
        if model.state in FINAL:
            with pytest.raises(WrongState):
                self.scene.store.jobs.cancel(job, "why")
            return
        self.scene.store.jobs.cancel(job, "why")
        if model.state in WAITING:
            model.move("cancel", S.CANCELLED)
        else:
            model.cancel = True

    @rule(data=st.data(), certain=st.booleans())
    def rescue(self, data: st.DataObject, certain: bool) -> None:
        worker = self.pick(data, list(self.workers))
        orphans = {job for job, model in self.jobs.items() if model.worker == worker}
        rescued = self.scene.rescue(worker, certain=certain)
        by = max(row.id for row in self.scene.store.workers.live())
        self.workers[by] = self.clock.now() + timedelta(seconds=LEASE)
        if not certain and worker not in self.dead and self.workers[worker] >= self.clock.now():
            assert rescued is None
            return
        assert rescued is not None
        assert {settled.id for settled in rescued} == orphans
        self.dead.add(worker)
        for settled in rescued:
            model = self.jobs[settled.id]
            model.move("rescue", settled.state)
            model.losses += 1
            model.settled = (settled.attempt, by)
            assert settled.state == self.verdict(model)

    def verdict(self, model: Model) -> JobState:
        if model.cancel:
            return S.CANCELLED
        return S.FAILED if model.losses >= 10 else S.QUEUED

    @rule()
    def promote(self) -> None:
        self.scene.store.upkeep.promote()
        for model in self.jobs.values():
            if model.state in {S.SCHEDULED, S.RETRYING} and model.run_at <= self.clock.now():
                model.move("promote", S.QUEUED)

    @rule(data=st.data())
    def beat(self, data: st.DataObject) -> None:
        worker = self.pick(data, list(self.workers))
        alive = worker not in self.dead
        assert set(self.scene.store.workers.beat([worker], LEASE)) == ({worker} if alive else set())
        if alive:
            self.workers[worker] = self.clock.now() + timedelta(seconds=LEASE)

    @rule(seconds=st.sampled_from([1, 5, LEASE + 1]))
    def time_passes(self, seconds: float) -> None:
        self.clock.move(seconds)

    @invariant()
    def the_rows_are_as_the_model_says(self) -> None:
        found = self.scene.store.jobs.get_many(list(self.jobs))
        assert found.keys() == self.jobs.keys()
        for name, job in found.items():
            model = self.jobs[name]
            shown = (job.state, job.attempt, job.worker, job.tries, job.losses, job.cancel_requested)
            wanted = (model.state, model.attempt, model.worker, model.tries, model.losses, model.cancel)
            assert shown == wanted
            assert (job.finished_at is not None) == (job.state in FINAL)
            assert job.position == model.position
            assert job.run_at == model.run_at

    @invariant()
    def nobody_dead_owns_anything(self) -> None:
        assert all(self.scene.store.claims.owned(worker) == [] for worker in self.dead)

    @invariant()
    def suspects_are_those_whose_lease_is_over(self) -> None:
        over = {w for w, lease in self.workers.items() if w not in self.dead and lease < self.clock.now()}
        assert {worker.id for worker in self.scene.store.workers.suspects()} == over


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> type[Machine]:
    kind: Kind = request.getfixturevalue(f"{request.param}_kind")
    # Short on a server, where a step costs ten times as much.
    return type("ReadyMachine", (Machine,), {"kind": kind, "wanted": 25 if request.param == "sqlite" else 8})


BOUNDED = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def test_any_order_of_anything(machine: type[Machine]) -> None:
    run_state_machine_as_test(machine, settings=settings(BOUNDED, max_examples=machine.wanted))


def test_any_order_of_anything_under_fire(machine: type[Machine]) -> None:
    """Every twentieth call to the database fails, and whoever hears of it asks again."""
    few = settings(BOUNDED, max_examples=machine.wanted // 4, stateful_step_count=20)
    with under_fire(Faults(0.05, 1, HARMLESS)) as faults:
        run_state_machine_as_test(machine, settings=few)
    assert set(faults.happened) == {*HARMLESS}


@pytest.mark.long
@pytest.mark.timeout(900)
def test_any_order_of_anything_at_length(machine: type[Machine]) -> None:
    at_length = settings(BOUNDED, max_examples=10 * machine.wanted, stateful_step_count=60, derandomize=False)
    run_state_machine_as_test(machine, settings=at_length)
