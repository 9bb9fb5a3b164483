"""Any order of what may happen to serial groups, beside a model: never two at once, never out of order, never stuck."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select

from backburner.blame import Limits
from backburner.errors import DuplicateJob, WrongState
from backburner.job import ClaimedJob, NewJob
from backburner.relations import PARENTS
from backburner.states import FINAL, WAITING, JobState, allowed
from backburner.store.dialects.base import ALL_PRIORITIES, HandOver
from backburner.store.store import Store
from tests.databases import Kind
from tests.store.job_machine import MACHINES
from tests.store.scene import HandClock, Scene, end
from tests.store.shaking import shake
from tests.store.test_dependencies import swept
from tests.store.test_keys import unique
from tests.store.test_waits import waits

S = JobState
POLICIES = {"a": "skip", "b": "block", "c": "stop"}
GROUPS = tuple(POLICIES)
NOT_IN_LINE = (S.SCHEDULED, S.RETRYING)
KEEPS = (S.RETRYING, S.SCHEDULED, S.BLOCKED, S.FAILED, S.INTERRUPTED)


@dataclass
class Model:
    """What must be true of one job. A job in line is queued or parked: which one is the store's affair."""

    group: str
    state: JobState
    run_at: datetime
    expires_at: datetime | None = None
    holds: bool = False
    cancel: bool = False
    losses: int = 0

    def end(self, state: JobState) -> None:
        """It waits again or is over; `block` and `stop` keep the group for another try and after a failure for good."""
        self.state = S.CANCELLED if self.cancel and state not in FINAL else state
        self.holds = self.holds and POLICIES[self.group] != "skip" and self.state in KEEPS
        self.cancel = self.cancel and self.state in FINAL


class Groups(RuleBasedStateMachine):
    """`pending` are groups of which something ended and whose advance has not been made yet: a crash in between.

    What waits for another job (`away`) comes in line when dependencies say so: that is not modelled here.
    """

    kind: Kind
    folder: Path
    examples: int

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        # A folder of its own: SQLite would find the write-ahead log of the one before.
        store = Store(self.kind.migrated(Path(mkdtemp(dir=self.folder))))
        store.clock = self.clock
        self.scene = Scene(store, self.clock)
        self.workers = [self.scene.worker(1_000_000), self.scene.worker(1_000_000)]
        self.held: list[tuple[str, ClaimedJob]] = []
        self.jobs: dict[str, Model] = {}
        self.keyed: dict[str, set[str]] = {group: set() for group in GROUPS}
        self.away: set[str] = set()
        self.pending: set[str] = set()

    def teardown(self) -> None:
        self.scene.store.close()

    @rule(
        group=st.sampled_from(GROUPS),
        count=st.integers(1, 3),
        priority=st.integers(1, 2),
        delay=st.sampled_from([0, 0, 9]),
        expires=st.sampled_from([None, None, 15]),
    )
    def insert(self, group: str, count: int, priority: int, delay: int, expires: int | None) -> None:
        jobs = [self.scene.job(priority=priority, **self.member(group, delay, expires)) for _ in range(count)]
        self.scene.store.inserts.put(jobs, 100)
        for job in jobs:
            self.jobs[job.id] = self.new(job)

    @rule(
        group=st.sampled_from(GROUPS), delay=st.sampled_from([0, 9]), followed=st.booleans(),
        conflict=st.sampled_from(["existing", "skip", "replace", "debounce", "debounce"]),
    )  # fmt: skip
    def insert_unique(self, group: str, conflict: str, delay: int, followed: bool) -> None:
        """There is one of them per group: one that waits is replaced or pushed back, one that runs is followed.

        What becomes of it is shown by the machine over keys, and taken from there; of all others nothing may become.
        """
        one = unique(self.scene, conflict, name=f"u:t:{group}", **self.member(group, delay))
        plain = [self.scene.job(**self.member(group, 0))] * followed
        self.scene.store.inserts.put([one, *plain], 100)
        self.jobs |= {job.id: self.new(job) for job in plain}
        self.keyed[group].add(one.id)
        rows = {row.id: row for row in self.rows()}
        for job in self.keyed[group]:
            self.jobs.pop(job, None)
            if job in rows:
                self.learn(rows[job])

    def member(self, group: str, delay: int, expires: int | None = None) -> dict[str, Any]:
        now = self.clock.now()
        until = None if expires is None else now + timedelta(seconds=expires)
        run_at = now + timedelta(seconds=delay)
        return {"group_name": group, "group_policy": POLICIES[group], "run_at": run_at, "expires_at": until}

    def new(self, job: NewJob) -> Model:
        assert job.group_name is not None
        state = S.SCHEDULED if job.run_at > self.clock.now() else S.QUEUED
        return Model(job.group_name, state, job.run_at, job.expires_at)

    def learn(self, row: Any) -> None:
        model = Model(row.group_name, state_of(row), row.run_at, row.expires_at, row.slot is not None)
        model.cancel, model.losses = bool(row.cancel_requested), row.losses
        self.jobs[row.id] = model
        if row.blocked_on == PARENTS:
            self.away.add(row.id)

    def holder(self, group: str) -> str | None:
        found = [job for job, model in self.jobs.items() if model.group == group and model.holds]
        assert len(found) <= 1
        return found[0] if found else None

    def next_of(self, group: str) -> str | None:
        """Who runs next: a holder that is back in line; without a holder the first by priority and place."""
        holder = self.holder(group)
        if holder is not None:
            return holder if self.jobs[holder].state == S.QUEUED else None
        places = {row.id: (row.priority, row.position) for row in self.rows()}
        line = [job for job, model in self.jobs.items() if model.group == group and model.state == S.QUEUED]
        return min(line, key=places.__getitem__, default=None)

    def take(self, worker: str, job: ClaimedJob) -> None:
        self.jobs[job.id].state, self.jobs[job.id].holds = S.RUNNING, True
        self.held.append((worker, job))

    @rule(worker=st.integers(0, 1), free=st.integers(1, 3))
    def claim(self, worker: int, free: int) -> None:
        order = self.scene.order(self.workers[worker], free)
        following = {group: self.next_of(group) for group in GROUPS}
        step = self.scene.store.groups.claim(order, self.scene.store.groups.arrivals(order), lambda task: None)
        taken = {job.group_name for job in step.taken}
        assert all(job.id == following[job.group_name or ""] for job in step.taken)
        # One that a crash has left may have nobody that is seen from outside of its line.
        able = {group for group in GROUPS if following[group] is not None}
        assert len(taken) == len(step.taken) <= free
        assert len(taken) == free or able - self.pending <= taken <= able
        for job in step.taken:
            self.take(self.workers[worker], job)

    @precondition(lambda self: self.held)
    @rule(
        data=st.data(), to=st.sampled_from([S.SUCCEEDED, S.FAILED, S.RETRYING, S.QUEUED, S.SCHEDULED]),
        then=st.sampled_from(["advance", "hand over", "crash"]),
    )  # fmt: skip
    def settle(self, data: st.DataObject, to: JobState, then: str) -> None:
        worker, job = data.draw(st.sampled_from(self.held))
        self.held.remove((worker, job))
        later = self.clock.now() + timedelta(seconds=5)
        done = end(job, to, run_at=later if to in NOT_IN_LINE else None)
        model = self.jobs[job.id]
        group = model.group
        model.end(to)
        model.run_at = done.run_at or model.run_at
        if then == "hand over":
            following = self.next_of(group)
            wanted = HandOver(worker, [group], None, ALL_PRIORITIES, ["shop.price"], self.clock.now())
            accepted, taken = self.scene.store.claims.settle_and_take(
                self.scene.lane, [done], worker, {job.id: group}, wanted
            )
            assert [one.id for one in taken] in ([], [following])
            for one in taken:
                self.take(worker, one)
            if not taken:
                self.follow(job.id, group)
        else:
            accepted = self.scene.settle(worker, done)
            if then == "advance":
                self.follow(job.id, group)
            else:
                self.pending.add(group)
        assert accepted == {job.id}

    def follow(self, job: str, group: str) -> None:
        """What the worker does after the commit."""
        if POLICIES[group] == "stop" and self.jobs[job].state == S.FAILED:
            self.scene.store.groups.stop(group, job)
            self.stopped(group, job)
        self.scene.store.groups.advance([group])
        self.scene.store.dependencies.join([job])

    def stopped(self, group: str, failed: str) -> None:
        """The rest is cancelled, and the group is free."""
        for model in self.jobs.values():
            if model.group == group and model.state in WAITING:
                model.state, model.holds = S.CANCELLED, False
        self.jobs[failed].holds = False

    @precondition(lambda self: self.held and len(self.jobs) > 1)
    @rule(data=st.data())
    def wait(self, data: st.DataObject) -> None:
        """A job waits for another from inside; where that would never end it is back in line."""
        worker, job = data.draw(st.sampled_from(self.held))
        other = data.draw(st.sampled_from(sorted(self.jobs.keys() - {job.id})))
        self.held.remove((worker, job))
        assert self.scene.settle(worker, waits(job, other)) == {job.id}
        model = self.jobs[job.id]
        model.end(S.BLOCKED)
        if model.state == S.BLOCKED:
            self.away.add(job.id)
        self.scene.store.groups.advance([model.group])
        self.scene.store.dependencies.join([job.id, other])

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), verb=st.sampled_from(["cancel", "retry", "delete"]))
    def act(self, data: st.DataObject, verb: str) -> None:
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        jobs, model = self.scene.store.jobs, self.jobs[job]
        if verb == "cancel":
            if model.state in FINAL and not model.holds:
                with pytest.raises(WrongState):
                    jobs.cancel(job, "why not")
                return
            jobs.cancel(job, "why not")
            if model.state == S.RUNNING:
                model.cancel = True
            else:
                model.state, model.holds = S.CANCELLED, False
        elif verb == "retry":
            try:
                jobs.retry(job)
            except DuplicateJob:
                assert any(job in keyed for keyed in self.keyed.values())
                return
            except WrongState:
                assert not allowed("retry", model.state)
                return
            assert allowed("retry", model.state)
            model.state, model.run_at, model.expires_at = S.QUEUED, self.clock.now(), None
            model.cancel, model.losses = False, 0
        elif model.state == S.RUNNING:
            with pytest.raises(WrongState):
                jobs.delete(job)
            return
        else:
            jobs.delete(job)
            del self.jobs[job]
        self.away.discard(job)

    @rule(worker=st.integers(0, 1))
    def die(self, worker: int) -> None:
        dead = self.workers[worker]
        settled = self.scene.rescue(dead, certain=True)
        lost = {job.id for holder, job in self.held if holder == dead}
        assert settled is not None
        assert {one.id for one in settled} == lost
        for job in lost:
            model = self.jobs[job]
            model.losses += 1
            model.end(S.FAILED if model.losses >= Limits().max_losses else S.QUEUED)
        self.held = [(holder, job) for holder, job in self.held if holder != dead]
        self.workers[worker] = self.scene.worker(1_000_000)

    @rule()
    def time_passes(self) -> None:
        now = self.clock.move(10)
        self.scene.store.upkeep.expire()
        for model in self.jobs.values():
            if model.state in WAITING and model.expires_at is not None and model.expires_at <= now:
                model.state, model.holds = S.SKIPPED, False
        self.scene.store.upkeep.promote()
        for model in self.jobs.values():
            if model.state in NOT_IN_LINE and model.run_at <= now:
                model.state = S.QUEUED

    @rule()
    def sweep(self) -> None:
        for group, failed in self.scene.store.groups.stopped():
            assert (POLICIES[group], self.jobs[failed].state, self.jobs[failed].holds) == ("stop", S.FAILED, True)
            self.scene.store.groups.stop(group, failed)
            self.stopped(group, failed)
        left = [m for m in self.jobs.values() if POLICIES[m.group] == "stop" and m.state == S.FAILED and m.holds]
        assert not left, "the sweep sees every group that is to be stopped"
        swept(self.scene)
        found, _ = self.scene.store.groups.sweep("")
        assert set(found) <= self.pending, "a group stood still that no crash had left"
        self.scene.store.groups.advance(found)
        self.pending.clear()

    def rows(self) -> list[Any]:
        t = self.scene.store.schema.jobs
        return list(self.scene.store.read(lambda c: c.execute(select(t)).all()))

    @invariant()
    def the_rows_are_as_the_model_says(self) -> None:
        rows = {row.id: row for row in self.rows()}
        for job in sorted(self.away & rows.keys()):
            if rows[job].blocked_on != PARENTS:
                self.away.remove(job)
                self.learn(rows[job])
        assert {job: shown(rows[job]) for job in rows} == {job: wanted(model) for job, model in self.jobs.items()}

    @invariant()
    def one_at_a_time(self) -> None:
        rows = self.rows()
        for group in GROUPS:
            running = [row for row in rows if row.group_name == group and row.state == S.RUNNING]
            assert len(running) <= 1
            assert all(row.slot == group for row in running)

    @invariant()
    def nothing_stands_still(self) -> None:
        rows = self.rows()
        for group in set(GROUPS) - self.pending:
            mine = [row for row in rows if row.group_name == group]
            parked = [row for row in mine if row.blocked_on == "group"]
            moving = [row for row in mine if row.slot == group or row.state == S.QUEUED]
            assert not parked or moving, f"group {group} stands still"

    @invariant()
    def only_block_and_stop_hold_without_running(self) -> None:
        for row in self.rows():
            if row.slot is not None and row.state != S.RUNNING:
                assert row.group_policy in ("block", "stop")
                assert row.state in {S.RETRYING, S.SCHEDULED, S.FAILED, S.QUEUED} or row.blocked_on == PARENTS

    @invariant()
    def nobody_waits_with_a_reason_of_the_past(self) -> None:
        assert all(row.blocked_on is None for row in self.rows() if row.state not in WAITING)


def state_of(row: Any) -> JobState:
    """Parked is in line."""
    return S.QUEUED if row.blocked_on == "group" else S(row.state)


def shown(row: Any) -> tuple[Any, ...]:
    return (row.group_name, state_of(row), row.run_at, row.expires_at, row.slot is not None, bool(row.cancel_requested))


def wanted(model: Model) -> tuple[Any, ...]:
    return (model.group, model.state, model.run_at, model.expires_at, model.holds, model.cancel)


@pytest.fixture(params=MACHINES)
def groups(request: pytest.FixtureRequest, tmp_path: Path) -> type[Groups]:
    kind: Kind = request.getfixturevalue(f"{request.param}_kind")
    # Fewer on a server, where a step costs several times as much.
    examples = 10 if request.param == "sqlite" else 4
    return type("ReadyGroups", (Groups,), {"kind": kind, "folder": tmp_path, "examples": examples})


def test_any_order_of_what_happens_to_groups(groups: type[Groups]) -> None:
    shake(groups, groups.examples, 40)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_any_order_of_what_happens_to_groups_at_length(groups: type[Groups]) -> None:
    shake(groups, 20 * groups.examples, 60, derandomize=False)
