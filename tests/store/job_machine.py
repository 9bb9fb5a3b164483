"""`JobMachine`: what state machines over keys and over dependencies have in common."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeVar
from unittest.mock import patch

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import Connection, select

from backburner.errors import WrongState
from backburner.job import ClaimedJob
from backburner.relations import PARENTS
from backburner.states import FINAL, WAITING, JobState, allowed
from backburner.store import dependencies as dependencies_module
from backburner.store.store import Store
from tests.databases import Kind
from tests.store.scene import HandClock, Scene, end
from tests.store.test_dependencies import swept

S = JobState
KEEP = 60.0
"""Seconds that jobs are kept after their end."""
MOST = 6
"""Jobs there are at a time: few, so that they have to do with each other."""
TOLD = st.sampled_from(["told", "twice", "lost"])
"""After an end: what waits for the job is told, is told twice, or is not told, for a crash."""
THEN = st.sampled_from(["told", "twice", "lost", "retried"])
"""The same, or a person tries the job again before anybody is told."""


M = TypeVar("M", bound="JobMachine")


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

    @property
    def row(self) -> tuple[Any, ...]:
        """What the database has of it."""
        blocked_on = PARENTS if self.state == S.BLOCKED else None
        times = (self.run_at, self.expires_at, self.finished_at)
        return (self.state, *times, self.cancel, blocked_on, len(self.open))

    def end(self, state: JobState, now: datetime) -> None:
        self.state, self.finished_at = state, now


class JobMachine(RuleBasedStateMachine):
    """Claim, end, cancel, retry, delete, clean, expire, rescue, sweep; time passes by its rule.

    All that shows of jobs, and of what waits for what, is compared with the model after each step.
    """

    kind: Kind
    folder: Path
    examples: int

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        # A folder of its own: SQLite would find the write-ahead log of the one before.
        self.store = Store(self.kind.migrated(Path(mkdtemp(dir=self.folder))))
        self.store.clock = self.clock
        self.scene = Scene(self.store, self.clock)
        self.worker = self.scene.worker(1_000_000)
        self.jobs: dict[str, Model] = {}
        self.held: dict[str, ClaimedJob] = {}
        self._flag = patch.object(dependencies_module, "FLAG_SECONDS", math.inf)
        self._flag.start()

    def teardown(self) -> None:
        self._flag.stop()
        self.store.close()

    # For those who know more

    @property
    def bodies(self) -> list[str]:
        """The running jobs that may do something."""
        return sorted(self.held)

    def forget(self, job: str, *, by_hand: bool) -> None:
        """A job is deleted, or cleaned away."""
        del self.jobs[job]

    def rescued(self) -> None:
        """The worker is dead, and its jobs are taken."""

    def pass_over(self, job: str) -> None:
        """Something else becomes of a waiting job than that its turn comes."""

    # What is there

    def pick(self, data: st.DataObject, fitting: Iterable[str]) -> str:
        """One of the jobs; mostly one of those that fit, if there are any."""
        return data.draw(st.sampled_from(sorted(fitting) * 3 + sorted(self.jobs)))

    def is_due(self, parent: str, milestone: str) -> bool:
        """Whether what somebody waits for has come, or can never come."""
        model = self.jobs.get(parent)
        return model is None or not model.live or (milestone != "" and model.reached)

    def has_come(self, parent: str, milestone: str) -> bool:
        model = self.jobs.get(parent)
        return model is not None and (model.reached if milestone else model.state == S.SUCCEEDED)

    def leads_to(self, first: str, last: str, more: Mapping[str, str] | None = None) -> bool:
        """Whether a job waits for another, over however many; `more` are waits that are not stored yet."""
        seen, ahead = {first}, [first]
        while ahead:
            job = ahead.pop()
            model = self.jobs.get(job)
            found = {parent for parent, _ in model.open} if model is not None and model.state in WAITING else set()
            found |= {more[job]} if more and job in more else set()
            ahead += found - seen
            seen |= found
        return last in seen

    def look(self) -> None:
        """The store looks whether anything is open, and takes that as known until the next look.

        So it matters, and not by chance, that whatever opens something takes note of it.
        """
        with patch.object(dependencies_module, "FLAG_SECONDS", 0.0):
            self.store.dependencies.follow([])

    # Run

    @precondition(lambda self: any(model.state == S.QUEUED for model in self.jobs.values()))
    @rule(free=st.integers(1, 3))
    def claim(self, free: int) -> None:
        self.take(free)

    def take(self, free: int) -> None:
        ready = {job for job, model in self.jobs.items() if model.state == S.QUEUED}
        claimed = {job.id: job for job in self.scene.claim(self.worker, free=free)}
        assert claimed.keys() <= ready
        assert len(claimed) == min(free, len(ready))
        for job in claimed:
            self.jobs[job].state = S.RUNNING
        self.held |= claimed

    @precondition(lambda self: self.bodies)
    @rule(
        data=st.data(), then=THEN,
        to=st.sampled_from([S.SUCCEEDED, S.SUCCEEDED, S.FAILED, S.FAILED, S.RETRYING, S.QUEUED, S.SCHEDULED]),
    )  # fmt: skip
    def settle(self, data: st.DataObject, to: JobState, then: str) -> None:
        self.finish([data.draw(st.sampled_from(self.bodies))], to, then)

    @precondition(lambda self: self.bodies)
    @rule(to=st.sampled_from([S.SUCCEEDED, S.FAILED]), then=THEN)
    def settle_all(self, to: JobState, then: str) -> None:
        """So that several that one job comes after end at the same time."""
        self.finish(self.bodies, to, then)

    def finish(self, jobs: Sequence[str], to: JobState, then: str) -> None:
        now = self.clock.now()
        run_at = now + timedelta(seconds=5) if to in (S.RETRYING, S.SCHEDULED) else None
        assert self.scene.settle(self.worker, *(end(self.held.pop(job), to, run_at=run_at) for job in jobs)) == {*jobs}
        for job in jobs:
            model = self.jobs[job]
            if to in FINAL or model.cancel:
                model.end(to if to in FINAL else S.CANCELLED, now)
            else:
                model.state = to
            model.run_at = run_at or model.run_at
        self.follow(jobs, then)

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
        self.rescued()
        self.worker = self.scene.worker(1_000_000)

    # What follows

    def follow(self, ended: Collection[str], then: str) -> None:
        if then == "told":
            self.store.dependencies.follow(sorted(ended))
        if then == "twice":
            # As by a hint and a sweep that meet.
            for _ in range(2):
                self.store.dependencies.join(ended)
        if then in ("told", "twice"):
            self.let_go(set(ended))
        if then == "retried":
            for job in sorted(ended):
                self.again(job)

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
            wait = model.waits[which]
            wait.open = False
            if wait.policy == "wait":
                wait.policy = "missed" if which[1] and not self.has_come(*which) else "reached"
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
    @rule(data=st.data(), then=THEN)
    def cancel(self, data: st.DataObject, then: str) -> None:
        job = self.pick(data, (job for job, model in self.jobs.items() if model.live))
        model = self.jobs[job]
        if not model.live:
            with pytest.raises(WrongState):
                self.store.jobs.cancel(job, "why")
            return
        self.store.jobs.cancel(job, "why")
        if model.state in WAITING:
            self.pass_over(job)
            model.end(S.CANCELLED, self.clock.now())
            self.follow([job], then)
        else:
            model.cancel = True

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        self.again(self.pick(data, (job for job, model in self.jobs.items() if allowed("retry", model.state))))

    def again(self, job: str) -> None:
        """A person tries a job again."""
        model = self.jobs[job]
        if not allowed("retry", model.state):
            with pytest.raises(WrongState):
                self.store.jobs.retry(job)
            return
        self.look()
        self.store.jobs.retry(job)
        self.pass_over(job)
        model.waits = {which: wait for which, wait in model.waits.items() if wait.policy in ("cancel", "run")}
        for (parent, milestone), wait in model.waits.items():
            undone = not self.is_due(parent, milestone) and not self.leads_to(parent, job)
            wait.open = model.state != S.BLOCKED and undone
        if model.state == S.SUCCEEDED:
            model.reached = False
        model.state = S.BLOCKED if model.open else S.QUEUED
        model.run_at, model.expires_at = self.clock.now(), None
        model.cancel, model.finished_at = False, None

    @precondition(lambda self: len(self.jobs) >= MOST - 1)
    @rule(data=st.data(), then=TOLD)
    def delete(self, data: st.DataObject, then: str) -> None:
        job = self.pick(data, ())
        if self.jobs[job].state == S.RUNNING:
            with pytest.raises(WrongState):
                self.store.jobs.delete(job)
            return
        self.store.jobs.delete(job)
        self.pass_over(job)
        self.forget(job, by_hand=True)
        self.follow([job], then)

    # Chores

    @rule(which=st.sampled_from(["sweep", "sweep", "clean", "promote", "expire", "rescue"]))
    def chore(self, which: str) -> None:
        """One rule for all, so that what they follow comes as often as they."""
        getattr(self, which)()

    @rule(seconds=st.sampled_from([1, 9, KEEP]))
    def time_passes(self, seconds: float) -> None:
        self.clock.move(seconds)

    def sweep(self) -> None:
        swept(self.scene)
        self.let_go({parent for model in self.jobs.values() for parent, _ in model.open})
        assert not any(self.is_due(*which) for model in self.jobs.values() for which in model.open)

    def promote(self) -> None:
        self.store.upkeep.promote()
        for model in self.jobs.values():
            if model.state in (S.SCHEDULED, S.RETRYING) and model.run_at <= self.clock.now():
                model.state = S.QUEUED

    def expire(self) -> None:
        now = self.clock.now()
        late = [
            job
            for job, model in self.jobs.items()
            if model.state in WAITING and model.expires_at is not None and model.expires_at <= now
        ]
        assert self.store.upkeep.expire().count == len(late)
        for job in late:
            self.pass_over(job)
            self.jobs[job].end(S.SKIPPED, now)
        self.let_go(set(late))

    def clean(self) -> None:
        """Old ends go, but for those that something waits for."""
        before = self.clock.move(KEEP + 1) - timedelta(seconds=KEEP)
        for state in sorted(FINAL):
            awaited = {parent for model in self.jobs.values() for parent, _ in model.open}
            ends = {job: model.finished_at for job, model in self.jobs.items() if model.state == state}
            old = [job for job, at in ends.items() if job not in awaited and at is not None and at < before]
            assert self.store.upkeep.prune(state, KEEP) == len(old)
            for job in old:
                self.forget(job, by_hand=False)

    # Always

    @invariant()
    def the_rows_are_as_the_model_says(self) -> None:
        schema = self.store.schema
        t, m = schema.jobs.c, schema.milestones.c
        times = (t.run_at, t.expires_at, t.finished_at)
        jobs = select(t.id, t.state, *times, t.cancel_requested, t.blocked_on, t.parents_left)

        def look(connection: Connection) -> list[Sequence[Any]]:
            return [connection.execute(query).all() for query in (jobs, select(schema.dependencies), select(m.job))]

        found, waits, reached = self.store.read(look)
        assert {row.id: tuple(row)[1:] for row in found} == {job: model.row for job, model in self.jobs.items()}
        assert {(row.child, row.parent, row.milestone): Wait(row.policy, row.met_at is None) for row in waits} == {
            (job, *which): wait for job, model in self.jobs.items() for which, wait in model.waits.items()
        }
        assert {row.job for row in reached} == {job for job, model in self.jobs.items() if model.reached}

    @invariant()
    def nobody_waits_in_a_circle(self) -> None:
        for job, model in self.jobs.items():
            if model.state in WAITING:
                assert not any(self.leads_to(parent, job) for parent, _ in model.open), f"{job} waits for itself"


MACHINES = ("sqlite", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("postgresql", "mariadb")))
"""In the gate on SQLite, where a step costs a tenth."""


def on_database(machine: type[M], request: pytest.FixtureRequest, folder: Path) -> type[M]:
    """The machine for the kind of database that is the fixture's parameter."""
    kind = request.getfixturevalue(f"{request.param}_kind")
    # Short on a server, where a step costs ten times as much.
    examples = 25 if request.param == "sqlite" else 5
    return type(f"Ready{machine.__name__}", (machine,), {"kind": kind, "folder": folder, "examples": examples})
