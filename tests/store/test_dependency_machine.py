"""Any order of what may happen to jobs that wait for others: counted once, never let go early, never forgotten.

Faults that were put in on purpose and that it found: waits of running jobs that are not written, that the joiner leaves
out, or that nobody takes note of; a cascade that ends after one job. A retry that makes a circle it did not find.
"""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from backburner.errors import CircularWait, JobNotFound, MilestoneMissed
from backburner.job import Parent
from backburner.outcome import WaitsFor
from backburner.states import JobState
from backburner.worker.meetings import Meetings
from tests.store.job_machine import MACHINES, MOST, TOLD, JobMachine, Model, Wait, on_database
from tests.store.shaking import shake
from tests.store.test_dependencies import after
from tests.store.test_waits import waits

S = JobState
NAMES = ("", "imported")
"""The end of a job, and a milestone of it."""
POLICY = st.sampled_from(["cancel", "run"])


class Dependencies(JobMachine):
    """Enqueue after others, reach milestones, wait for others from inside."""

    def __init__(self) -> None:
        super().__init__()
        self.meetings = Meetings(self.store, lambda queues: None)
        # Running jobs that were told to wait; it is not written yet.
        self.asked: dict[str, tuple[str, str]] = {}

    @property
    def bodies(self) -> list[str]:
        return sorted(self.held.keys() - self.asked.keys())

    # Enqueue

    @initialize(policy=POLICY, begun=st.sampled_from([0, 1, 2, 2, 3, 3]))
    def a_few(self, policy: str, begun: int) -> None:
        """Two, one after both of them, and one after that; the two wait, run, or are done. Or two that run, alone."""
        both = {(self.add(set(), policy), ""), (self.add(set(), policy), "")}
        if begun < 3:
            self.add({(self.add(both, policy), "")}, policy)
        if begun:
            self.take(2)
        if begun == 2:
            self.finish(self.bodies, S.SUCCEEDED, "told")
            self.take(1)

    @precondition(lambda self: len(self.jobs) < MOST)
    @rule(
        data=st.data(), count=st.integers(0, 3), policy=POLICY,
        delay=st.sampled_from([0, 0, 9]), expires=st.sampled_from([None, None, 15]),
    )  # fmt: skip
    def enqueue(self, data: st.DataObject, count: int, policy: str, delay: int, expires: int | None) -> None:
        live = [job for job, model in self.jobs.items() if model.live]
        chosen = {(self.pick(data, live), data.draw(st.sampled_from(NAMES))) for _ in range(count if self.jobs else 0)}
        self.add(chosen, policy, delay, expires)

    def add(self, chosen: set[tuple[str, str]], policy: str, delay: int = 0, expires: int | None = None) -> str:
        now = self.clock.now()
        until = None if expires is None else now + timedelta(seconds=expires)
        state = S.BLOCKED if chosen else S.SCHEDULED if delay else S.QUEUED
        new = Model(state, now + timedelta(seconds=delay), until, {which: Wait(policy) for which in chosen})
        parents = [Parent(job, milestone, policy) for job, milestone in sorted(chosen)]
        times = {"run_at": new.run_at, "expires_at": until}
        self.look()
        job = after(self.scene, *parents, **times) if parents else self.scene.one(**times)
        self.jobs[job] = new
        return job

    # Milestones and waits

    @precondition(lambda self: self.bodies)
    @rule(data=st.data(), then=TOLD)
    def reach(self, data: st.DataObject, then: str) -> None:
        job = data.draw(st.sampled_from(self.bodies))
        assert self.store.waits.reach(job, self.held[job].attempt, NAMES[1])
        self.jobs[job].reached = True
        self.follow([job], then)

    @precondition(lambda self: self.bodies)
    @rule(
        data=st.data(), milestone=st.sampled_from(NAMES), at_once=st.sampled_from([True, True, False]), then=TOLD,
        ends=st.sampled_from([None, "told", "lost", "retried"]),
    )  # fmt: skip
    def wait(self, data: st.DataObject, milestone: str, at_once: bool, then: str, ends: str | None) -> None:
        """A job asks for another. When it has to wait, that is written at once, or something happens before.

        `ends`: the other one, when it runs, ends right after it, and what comes of that.
        """
        job = data.draw(st.sampled_from(self.bodies))
        fitting = [other for other in self.jobs if self.outcome_of_wait(job, other, milestone) is WaitsFor]
        other = self.pick(data, fitting)
        wanted, parent = self.outcome_of_wait(job, other, milestone), Parent(other, milestone, "wait")
        if wanted is None:
            self.meetings.wait_for(self.held[job], parent)
            return
        with pytest.raises(wanted):
            self.meetings.wait_for(self.held[job], parent)
        if wanted is WaitsFor:
            self.asked[job] = (other, milestone)
            if at_once:
                self.begin_to_wait(then)
            if ends and other in self.bodies:
                self.finish([other], S.SUCCEEDED, ends)

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

    @precondition(lambda self: self.asked)
    @rule(then=TOLD)
    def write_waits(self, then: str) -> None:
        self.begin_to_wait(then)

    def begin_to_wait(self, then: str) -> None:
        """In one batch: of those that would wait for each other the later ones are back in line."""
        asked, self.asked = self.asked, {}
        self.look()
        ends = [waits(self.held.pop(job), other, milestone=name) for job, (other, name) in asked.items()]
        assert self.scene.settle(self.worker, *ends) == asked.keys()
        admitted: dict[str, str] = {}
        for job, (other, _) in asked.items():
            if not self.leads_to(other, job, admitted):
                admitted[job] = other
        for job, which in asked.items():
            model = self.jobs[job]
            if model.cancel:
                model.end(S.CANCELLED, self.clock.now())
            elif job in admitted:
                model.state, model.waits[which] = S.BLOCKED, Wait("wait")
            else:
                model.state = S.QUEUED
        self.follow([*asked, *(other for other, _ in asked.values())], then)

    def rescued(self) -> None:
        self.asked.clear()


@pytest.fixture(params=MACHINES)
def dependencies(request: pytest.FixtureRequest, tmp_path: Path) -> type[Dependencies]:
    return on_database(Dependencies, request, tmp_path)


def test_any_order_of_what_happens_to_what_waits(dependencies: type[Dependencies]) -> None:
    shake(dependencies, dependencies.examples, 40)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_any_order_of_what_happens_to_what_waits_at_length(dependencies: type[Dependencies]) -> None:
    shake(dependencies, 15 * dependencies.examples, 60, derandomize=False)
