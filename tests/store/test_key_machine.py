"""Any order of what may happen to jobs with keys: one owner per key, and each newcomer gets what its policy says."""

from collections.abc import Collection
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

from backburner.errors import DuplicateJob, IdempotencyMismatch, WrongState
from backburner.job import ClaimedJob, Key, NewJob
from backburner.states import FINAL, WAITING, JobState, allowed
from backburner.store.store import Store
from tests.databases import Kind
from tests.store.scene import HandClock, Scene, end
from tests.store.test_dependencies import swept
from tests.store.test_keys import unique

S = JobState
KEY = "u:t:7"
REQUEST = "i::t:request"
KEEP = 60.0
MOST = 6
"""Jobs there are at a time."""

CALL = st.tuples(
    st.sampled_from([True, True, True, True, False]),
    st.sampled_from(["existing", "replace", "reject", "skip", "debounce"]),
    st.sampled_from([0, 0, 9]),
    st.sampled_from([None, None, 15]),
    st.sampled_from([None, None, "a", "b"]),
)
"""An enqueue: whether it wants the key, its policy, its delay, when it expires, and for which request it is."""


@dataclass
class Model:
    """What must be true of one job. `behind` are those that it was to come after, `waits` the ones it still does."""

    key: str | None
    state: JobState
    run_at: datetime
    expires_at: datetime | None = None
    behind: frozenset[str] = frozenset()
    waits: set[str] = field(default_factory=set)
    cancel: bool = False
    finished_at: datetime | None = None

    @property
    def live(self) -> bool:
        return self.state not in FINAL

    def end(self, state: JobState, now: datetime) -> None:
        self.state, self.finished_at = state, now


@dataclass
class Owned:
    """Whose a key is."""

    job: str
    scope: str
    until: datetime | None = None
    digest: str | None = None


class Keys(RuleBasedStateMachine):
    """Enqueue by every policy, claim, end, cancel, retry, delete, clean, expire, rescue; time passes by its rule.

    All want one key, which is unique for as long as `scope` says: few jobs, so that they get in each other's way.
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
        self.worker = self.scene.worker(1_000_000)
        self.jobs: dict[str, Model] = {}
        self.keys: dict[str, Owned] = {}
        self.held: dict[str, ClaimedJob] = {}
        self.scope: str | float = "live"
        # Whether a person let a job go that was to come after another one: from then on two may run.
        self.loosened = False

    def teardown(self) -> None:
        self.scene.store.close()

    # Enqueue

    @initialize(scope=st.sampled_from(["live", "kept", 2 * KEEP]))
    def unique_for(self, scope: str | float) -> None:
        self.scope, self.loosened = scope, scope == 2 * KEEP

    @precondition(lambda self: len(self.jobs) < MOST)
    @rule(calls=st.lists(CALL, min_size=1, max_size=3))
    def enqueue(self, calls: list[tuple[bool, str, int, int | None, str | None]]) -> None:
        """One after the other, for of the third one more may depend on what became of the second."""
        for call in calls:
            self.enqueue_one(*call)

    def enqueue_one(
        self, unique_one: bool, conflict: str, delay: int, expires: int | None, request: str | None
    ) -> None:
        now = self.clock.now()
        until = None if expires is None else now + timedelta(seconds=expires)
        times = {"run_at": now + timedelta(seconds=delay), "expires_at": until}
        asked = (Key(REQUEST, "kept", "existing", digest=request * 64),) if request else ()
        if unique_one:
            new = unique(self.scene, conflict, self.scope, KEY, keys=asked, **times)
        else:
            new = self.scene.job(keys=asked, **times)
        try:
            wanted = self.decide(new)
        except (DuplicateJob, IdempotencyMismatch) as error:
            with pytest.raises(type(error)):
                self.scene.store.inserts.put([new], 1000)
            return
        stored = self.scene.store.inserts.put([new], 1000)
        assert stored.instead.get(new.id, new.id) == wanted

    def decide(self, new: NewJob) -> str:
        """The job that stands for a new one: what the policies say, one after the other."""
        asked = next((key for key in new.keys if key.digest is not None), None)
        if asked is not None and self.is_held(REQUEST):
            if self.keys[REQUEST].digest != asked.digest:
                raise IdempotencyMismatch(REQUEST, self.keys[REQUEST].job)
            return self.keys[REQUEST].job
        answer = self.meet(new) if new.unique_key and self.is_held(new.unique_key) else self.store(new)
        if asked is not None:
            self.keys[REQUEST] = Owned(answer, "kept", digest=asked.digest)
        return answer

    def meet(self, new: NewJob) -> str:
        """Somebody has the key of a new job."""
        key = next(key for key in new.keys if key.digest is None)
        winner = self.keys[key.name].job
        model = self.jobs.get(winner)
        if key.on_conflict == "reject":
            raise DuplicateJob(key.name, winner)
        if key.on_conflict == "skip":
            self.jobs[new.id] = Model(key.name, S.SKIPPED, new.run_at, new.expires_at, finished_at=self.clock.now())
            return new.id
        if key.on_conflict == "existing":
            return winner
        if model is None or model.state not in WAITING:
            return self.store(new, {winner} if model is not None and model.live else set())
        if key.on_conflict == "replace":
            model.end(S.CANCELLED, self.clock.now())
            return self.store(new, {one for one in model.waits if one in self.jobs and self.jobs[one].live})
        self.push(model, new)
        return winner

    def store(self, new: NewJob, behind: Collection[str] = ()) -> str:
        due = new.run_at <= self.clock.now()
        state = S.BLOCKED if behind else S.QUEUED if due else S.SCHEDULED
        self.jobs[new.id] = Model(new.unique_key, state, new.run_at, new.expires_at, frozenset(behind), set(behind))
        for key in new.keys:
            if key.digest is None:
                self.keys[key.name] = Owned(new.id, key.scope, key.until)
        return new.id

    def push(self, model: Model, new: NewJob) -> None:
        """Debounce: one that waits gets the time of the newcomer."""
        model.run_at, model.expires_at = new.run_at, new.expires_at
        due = new.run_at <= self.clock.now()
        if model.state == S.QUEUED and not due:
            model.state = S.SCHEDULED
        elif model.state == S.SCHEDULED and due:
            model.state = S.QUEUED

    def is_held(self, name: str) -> bool:
        owned = self.keys.get(name)
        if owned is None:
            return False
        if owned.until is not None:
            return owned.until > self.clock.now()
        model = self.jobs.get(owned.job)
        return model is not None and (owned.scope == "kept" or model.live)

    # Run

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
    @rule(
        data=st.data(), to=st.sampled_from([S.SUCCEEDED, S.FAILED, S.RETRYING, S.QUEUED, S.SCHEDULED]),
        told=st.booleans(),
    )  # fmt: skip
    def settle(self, data: st.DataObject, to: JobState, told: bool) -> None:
        """`told`: what comes after it is let go at once; otherwise that was lost in a crash."""
        job = data.draw(st.sampled_from(sorted(self.held)))
        model, later = self.jobs[job], self.clock.now() + timedelta(seconds=5)
        done = end(self.held.pop(job), to, run_at=later if to in (S.RETRYING, S.SCHEDULED) else None)
        assert self.scene.settle(self.worker, done) == {job}
        if to in FINAL or model.cancel:
            model.end(to if to in FINAL else S.CANCELLED, self.clock.now())
        else:
            model.state = to
        model.run_at = done.run_at or model.run_at
        if told:
            self.scene.store.dependencies.join([job])
            self.let_go({job})

    @rule()
    def sweep(self) -> None:
        swept(self.scene)
        self.let_go({job for model in self.jobs.values() for job in model.waits})

    def let_go(self, parents: set[str]) -> None:
        done = {job for job in parents if job not in self.jobs or not self.jobs[job].live}
        for model in self.jobs.values():
            met = model.waits & done
            model.waits -= met
            if met and not model.waits and model.state == S.BLOCKED:
                model.state = S.QUEUED if model.run_at <= self.clock.now() else S.SCHEDULED

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

    # Steer

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        model = self.jobs[job]
        if not model.live:
            with pytest.raises(WrongState):
                self.scene.store.jobs.cancel(job, "why")
            return
        self.scene.store.jobs.cancel(job, "why")
        if model.state in WAITING:
            model.end(S.CANCELLED, self.clock.now())
        else:
            model.cancel = True

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        model = self.jobs[job]
        if not allowed("retry", model.state):
            with pytest.raises(WrongState):
                self.scene.store.jobs.retry(job)
            return
        if model.key is not None and self.is_held(model.key) and self.keys[model.key].job != job:
            with pytest.raises(DuplicateJob, match=self.keys[model.key].job):
                self.scene.store.jobs.retry(job)
            return
        self.scene.store.jobs.retry(job)
        if model.key is not None and (model.key not in self.keys or self.keys[model.key].job != job):
            # It is its own again for as long as the row says; without one, or for a time that is over, while it lives.
            scope = self.keys[model.key].scope if model.key in self.keys else "until"
            self.keys[model.key] = Owned(job, "live" if scope == "until" else scope)
        if model.state == S.BLOCKED:
            self.loosened = self.loosened or model.key is not None
            model.waits = set()
        else:
            model.waits = {parent for parent in model.behind if parent in self.jobs and self.jobs[parent].live}
        model.state = S.BLOCKED if model.waits else S.QUEUED
        model.run_at, model.expires_at = self.clock.now(), None
        model.cancel, model.finished_at = False, None

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        if self.jobs[job].state == S.RUNNING:
            with pytest.raises(WrongState):
                self.scene.store.jobs.delete(job)
            return
        self.scene.store.jobs.delete(job)
        self.forget(job, periods=True)

    def forget(self, job: str, *, periods: bool) -> None:
        del self.jobs[job]
        for name in [name for name, owned in self.keys.items() if owned.job == job]:
            if periods or self.keys[name].until is None:
                del self.keys[name]

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
        """Old ends go, but for those that something waits for; then the keys that nobody has any more."""
        before = self.clock.move(KEEP + 1) - timedelta(seconds=KEEP)
        awaited = {parent for model in self.jobs.values() for parent in model.waits}
        for state in sorted(FINAL):
            old = [
                job
                for job, model in self.jobs.items()
                if model.state == state and job not in awaited and model.finished_at and model.finished_at < before
            ]
            assert self.scene.store.upkeep.prune(state, KEEP) == len(old)
            for job in old:
                self.forget(job, periods=False)
        free = {name for name in self.keys if not self.is_held(name)}
        assert self.scene.store.keys.prune("", 100) == (len(free), "")
        for name in free:
            del self.keys[name]

    # Always

    @invariant()
    def the_rows_are_as_the_model_says(self) -> None:
        schema = self.scene.store.schema
        t = schema.jobs.c
        query = select(t.id, t.state, t.run_at, t.expires_at, t.cancel_requested)
        rows, owned = self.scene.store.read(lambda c: (c.execute(query).all(), c.execute(select(schema.keys)).all()))
        assert {row.id: tuple(row)[1:] for row in rows} == {
            job: (model.state, model.run_at, model.expires_at, model.cancel) for job, model in self.jobs.items()
        }
        assert {row.name: Owned(row.job, row.scope, row.until, row.digest) for row in owned} == self.keys

    @invariant()
    def never_two_at_once(self) -> None:
        running = [job for job, model in self.jobs.items() if model.key and model.state == S.RUNNING]
        assert self.loosened or len(running) <= 1


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> type[Keys]:
    kind: Kind = request.getfixturevalue(f"{request.param}_kind")
    # Short on a server, where a step costs ten times as much.
    wanted = 25 if request.param == "sqlite" else 5
    return type("ReadyKeys", (Keys,), {"kind": kind, "folder": tmp_path, "wanted": wanted})


BOUNDED = settings(
    stateful_step_count=40, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


def test_any_order_of_what_happens_to_keys(keys: type[Keys]) -> None:
    run_state_machine_as_test(keys, settings=settings(BOUNDED, max_examples=keys.wanted))


@pytest.mark.long
@pytest.mark.timeout(900)
def test_any_order_of_what_happens_to_keys_at_length(keys: type[Keys]) -> None:
    at_length = settings(BOUNDED, max_examples=15 * keys.wanted, stateful_step_count=60, derandomize=False)
    run_state_machine_as_test(keys, settings=at_length)
