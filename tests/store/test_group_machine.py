"""Any order of what may happen to serial groups: never two at once, never out of order, never stuck."""

from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select

from backburner.errors import DuplicateJob, WrongState
from backburner.job import ClaimedJob
from backburner.relations import PARENTS
from backburner.states import WAITING, JobState
from backburner.store.dialects.base import ALL_PRIORITIES, HandOver
from backburner.store.store import Store
from tests.databases import Kind
from tests.store.scene import HandClock, Scene, end
from tests.store.shaking import shake
from tests.store.test_dependencies import swept
from tests.store.test_keys import unique
from tests.store.test_waits import waits

S = JobState
POLICIES = {"a": "skip", "b": "block", "c": "stop"}
GROUPS = tuple(POLICIES)
NOT_IN_LINE = (S.SCHEDULED, S.RETRYING)


class Groups(RuleBasedStateMachine):
    """`pending` are groups of which something ended and whose advance has not been made yet: a crash in between."""

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
        self.groups: dict[str, str] = {}
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
        self.groups |= dict.fromkeys((job.id for job in jobs), group)

    @rule(
        group=st.sampled_from(GROUPS), delay=st.sampled_from([0, 9]), followed=st.booleans(),
        conflict=st.sampled_from(["existing", "skip", "replace", "debounce", "debounce"]),
    )  # fmt: skip
    def insert_unique(self, group: str, conflict: str, delay: int, followed: bool) -> None:
        """There is one of them per group: one that waits is replaced or pushed back, one that runs is followed."""
        jobs = [unique(self.scene, conflict, name=f"u:t:{group}", **self.member(group, delay))]
        jobs += [self.scene.job(**self.member(group, 0))] * followed
        stored = self.scene.store.inserts.put(jobs, 100)
        self.groups |= {job.id: group for job in jobs if stored.instead.get(job.id, job.id) == job.id}

    def member(self, group: str, delay: int, expires: int | None = None) -> dict[str, Any]:
        now = self.clock.now()
        until = None if expires is None else now + timedelta(seconds=expires)
        run_at = now + timedelta(seconds=delay)
        return {"group_name": group, "group_policy": POLICIES[group], "run_at": run_at, "expires_at": until}

    @rule(worker=st.integers(0, 1), free=st.integers(1, 3))
    def claim(self, worker: int, free: int) -> None:
        order = self.scene.order(self.workers[worker], free)
        holders = {row.id for row in self.rows() if row.slot is not None}
        step = self.scene.store.groups.claim(order, self.scene.store.groups.arrivals(order), lambda task: None)
        for job in step.taken:
            # A holder goes on, also when it was put at the end of the line to be tried again by hand.
            if job.id not in holders:
                self.must_be_first(job)
            self.held.append((self.workers[worker], job))

    def must_be_first(self, job: ClaimedJob) -> None:
        """Nothing better of its group could have been taken."""
        for other in self.rows():
            better = (other.priority, other.position) < (job.priority, job.position)
            in_line = other.state == S.QUEUED or other.blocked_on == "group"
            assert not (other.group_name == job.group_name and better and in_line)

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
        assert job.group_name is not None
        group = job.group_name
        if then == "hand over":
            wanted = HandOver(worker, [group], None, ALL_PRIORITIES, ["shop.price"], self.clock.now())
            accepted, taken = self.scene.store.claims.settle_and_take(
                self.scene.lane, [done], worker, {job.id: group}, wanted
            )
            for following in taken:
                self.must_be_first(following)
                self.held.append((worker, following))
            if not taken:
                self.follow(job.id, group, to)
        else:
            accepted = self.scene.settle(worker, done)
            if then == "advance":
                self.follow(job.id, group, to)
            else:
                self.pending.add(group)
        assert accepted == {job.id}

    def follow(self, job: str, group: str, to: JobState) -> None:
        """What the worker does after the commit."""
        if POLICIES[group] == "stop" and to == S.FAILED:
            self.scene.store.groups.stop(group, job)
            left = [row for row in self.rows() if row.group_name == group and (row.slot or row.state in WAITING)]
            assert not left, "the rest is cancelled, and the group is free"
        self.scene.store.groups.advance([group])
        self.scene.store.dependencies.join([job])

    @precondition(lambda self: self.held and len(self.groups) > 1)
    @rule(data=st.data())
    def wait(self, data: st.DataObject) -> None:
        """A job waits for another from inside; where that would never end it is back in line."""
        worker, job = data.draw(st.sampled_from(self.held))
        other = data.draw(st.sampled_from(sorted(self.groups.keys() - {job.id})))
        self.held.remove((worker, job))
        assert self.scene.settle(worker, waits(job, other)) == {job.id}
        self.scene.store.groups.advance([self.groups[job.id]])
        self.scene.store.dependencies.join([job.id, other])

    @precondition(lambda self: self.groups)
    @rule(data=st.data(), verb=st.sampled_from(["cancel", "retry", "delete"]))
    def act(self, data: st.DataObject, verb: str) -> None:
        job = data.draw(st.sampled_from(sorted(self.groups)))
        jobs = self.scene.store.jobs
        try:
            if verb == "cancel":
                jobs.cancel(job, "why not")
            elif verb == "retry":
                jobs.retry(job)
            else:
                jobs.delete(job)
                del self.groups[job]
        except (WrongState, DuplicateJob):
            pass

    @rule(worker=st.integers(0, 1))
    def die(self, worker: int) -> None:
        dead = self.workers[worker]
        self.scene.rescue(dead, certain=True)
        self.held = [(holder, job) for holder, job in self.held if holder != dead]
        self.workers[worker] = self.scene.worker(1_000_000)

    @rule()
    def time_passes(self) -> None:
        self.clock.move(10)
        self.scene.store.upkeep.expire()
        self.scene.store.upkeep.promote()

    @rule()
    def sweep(self) -> None:
        for group, failed in self.scene.store.groups.stopped():
            self.scene.store.groups.stop(group, failed)
        swept(self.scene)
        found, _ = self.scene.store.groups.sweep("")
        assert set(found) <= self.pending, "a group stood still that no crash had left"
        self.scene.store.groups.advance(found)
        self.pending.clear()

    def rows(self) -> list[Any]:
        t = self.scene.store.schema.jobs
        return list(self.scene.store.read(lambda c: c.execute(select(t)).all()))

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


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
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
