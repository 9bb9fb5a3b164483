"""Any order of what may happen to jobs with keys: one owner per key, and each newcomer gets what its policy says.

Faults that were put in on purpose and that it found: a period that ends with cleaning; a kept key that ends with its
job; a replaced job that lives on; a newcomer, or the one that replaces it, that does not wait for the running one.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from sqlalchemy import select

from backburner.errors import DuplicateJob, IdempotencyMismatch
from backburner.job import Key, NewJob
from backburner.states import WAITING, JobState, allowed
from tests.store.job_machine import KEEP, MACHINES, MOST, JobMachine, Model, Wait, on_database
from tests.store.shaking import shake
from tests.store.test_keys import unique

S = JobState
KEY = "u:t:7"
REQUEST = "i::t:request"

CALL = st.tuples(
    st.sampled_from([True, True, True, True, False]),
    st.sampled_from(["replace", "debounce", "replace", "debounce", "existing", "reject", "skip"]),
    st.sampled_from([0, 0, 9]),
    st.sampled_from([None, None, 15]),
    st.sampled_from([None, None, None, "a", "b"]),
)
"""An enqueue: whether it wants the key, its policy, its delay, when it expires, and for which request it is."""


@dataclass
class Owned:
    """Whose a key is."""

    job: str
    scope: str
    until: datetime | None = None
    digest: str | None = None


class Keys(JobMachine):
    """Enqueue by every policy. All want one key, which is unique for as long as `scope` says."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[str, Owned] = {}
        self.unique: set[str] = set()
        self.scope: str | float = "live"
        # Whether two may run at once, for the key was free before the one that had it before was done.
        self.loosened = False

    # Enqueue

    @initialize(scope=st.sampled_from(["live", "kept", 2 * KEEP]), begun=st.sampled_from([True, True, False]))
    def unique_for(self, scope: str | float, begun: bool) -> None:
        """`begun`: somebody runs already who has the key."""
        self.scope, self.loosened = scope, scope == 2 * KEEP
        if begun:
            self.enqueue_one(True, "existing", 0, None, None)
            self.take(1)

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
        self.look()
        try:
            wanted = self.decide(new)
        except (DuplicateJob, IdempotencyMismatch) as error:
            with pytest.raises(type(error)):
                self.store.inserts.put([new], 1000)
            return
        stored = self.store.inserts.put([new], 1000)
        assert stored.instead.get(new.id, new.id) == wanted

    def decide(self, new: NewJob) -> str:
        """The job that stands for a new one: what the policies say, one after the other."""
        asked = next((key for key in new.keys if key.digest is not None), None)
        if asked is not None and self.is_held(REQUEST):
            if self.keys[REQUEST].digest != asked.digest:
                raise IdempotencyMismatch(REQUEST, self.keys[REQUEST].job)
            return self.keys[REQUEST].job
        answer = self.meet(new) if new.unique_key and self.is_held(new.unique_key) else self.put(new)
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
            self.jobs[new.id] = Model(S.SKIPPED, new.run_at, new.expires_at, finished_at=self.clock.now())
            self.unique.add(new.id)
            return new.id
        if key.on_conflict == "existing":
            return winner
        if model is None or model.state not in WAITING:
            return self.put(new, {winner} if model is not None and model.live else set())
        if key.on_conflict == "replace":
            model.end(S.CANCELLED, self.clock.now())
            return self.put(new, {one for one, _ in model.open if one in self.jobs and self.jobs[one].live})
        self.push(model, new)
        return winner

    def put(self, new: NewJob, behind: Collection[str] = ()) -> str:
        due = new.run_at <= self.clock.now()
        state = S.BLOCKED if behind else S.QUEUED if due else S.SCHEDULED
        waits = {(one, ""): Wait("run") for one in behind}
        self.jobs[new.id] = Model(state, new.run_at, new.expires_at, waits)
        for key in new.keys:
            if key.digest is None:
                self.keys[key.name] = Owned(new.id, key.scope, key.until)
                self.unique.add(new.id)
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

    # What else becomes of jobs

    def pass_over(self, job: str) -> None:
        if job in self.unique and self.jobs[job].state == S.BLOCKED:
            self.loosened = True

    def again(self, job: str) -> None:
        owned = self.keys.get(KEY)
        if job not in self.unique or not allowed("retry", self.jobs[job].state) or (owned and owned.job == job):
            super().again(job)
        elif owned and self.is_held(KEY):
            with pytest.raises(DuplicateJob, match=owned.job):
                self.store.jobs.retry(job)
        else:
            super().again(job)
            # It is its own again for as long as the row says; without one, or for a time that is over, while it lives.
            self.keys[KEY] = Owned(job, "kept" if owned and owned.scope == "kept" else "live")

    def forget(self, job: str, *, by_hand: bool) -> None:
        super().forget(job, by_hand=by_hand)
        mine = [name for name, owned in self.keys.items() if owned.job == job]
        for name in mine:
            # A period goes on when its job is cleaned away.
            if by_hand or self.keys[name].until is None:
                del self.keys[name]

    def clean(self) -> None:
        """And then the keys that nobody has any more."""
        super().clean()
        free = {name for name in self.keys if not self.is_held(name)}
        assert self.store.keys.prune("", 100) == (len(free), "")
        for name in free:
            del self.keys[name]

    # Always

    @invariant()
    def each_key_has_its_owner(self) -> None:
        owned = self.store.read(lambda c: c.execute(select(self.store.schema.keys)).all())
        assert {row.name: Owned(row.job, row.scope, row.until, row.digest) for row in owned} == self.keys

    @invariant()
    def never_two_at_once(self) -> None:
        running = [job for job in self.unique & self.jobs.keys() if self.jobs[job].state == S.RUNNING]
        assert self.loosened or len(running) <= 1


@pytest.fixture(params=MACHINES)
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> type[Keys]:
    return on_database(Keys, request, tmp_path)


def test_any_order_of_what_happens_to_keys(keys: type[Keys]) -> None:
    shake(keys, keys.examples, 40)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_any_order_of_what_happens_to_keys_at_length(keys: type[Keys]) -> None:
    shake(keys, 15 * keys.examples, 60, derandomize=False)
