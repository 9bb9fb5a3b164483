"""`Simulation`: many workers on one database in one thread, in virtual time: any interleaving that a seed can think of.

The workers here are models: they ask the store what real ones ask, and they crash, freeze, and lose calls and answers.
What the store makes of it is real, and is judged by the rules of the chaos runs. A call is sent, done and answered at
three different moments; whatever happens in between, a call that was sent is done.
"""

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any, TypeVar

from sqlalchemy import select

from backburner.blame import Death, Limits, Orphan, judge
from backburner.job import ClaimedJob
from backburner.outcome import Settlement
from backburner.states import JobState
from backburner.store.dialects.base import ALL_PRIORITIES, ClaimOrder, HandOver
from backburner.store.store import Store
from backburner.store.workers import WorkerRow
from tests.chaos.checker import Violation, check
from tests.chaos.history import Event, Kind
from tests.chaos.story import Row, Story
from tests.store.scene import Scene

T = TypeVar("T")

LEASE, BEAT, RECOVER = 10.0, 2.0, 15.0
SLOTS = 3
TASK, LIMIT = "model", 3


@dataclass(frozen=True)
class Dice:
    """How often what happens. Rates of a call are parts of all calls, the others are per worker and second."""

    before: float = 0.02
    after: float = 0.03
    crash: float = 0.01
    freeze: float = 0.01
    host_dies: float = 0.4
    """The part of crashes after which no supervisor is left to tell."""


@dataclass
class Simulation:
    """One run. `scene` is an empty SQLite database with a clock moved by hand."""

    scene: Scene
    seed: int
    workers: int = 3
    jobs: int = 40
    seconds: float = 60.0
    dice: Dice = field(default_factory=Dice)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.events: list[Event] = []
        self.harmed = True
        self._heap: list[tuple[float, int, Model | None, Callable[[], None]]] = []
        self._numbers, self._pids = count(), count(1)

    @property
    def now(self) -> float:
        return self.scene.clock.seconds()

    def run(self) -> list[Violation]:
        """Play it to its end; what is wrong then."""
        for _ in range(self.workers):
            self.start_worker()
        for number in range(self.jobs):
            self.later(self.random.uniform(0, self.seconds * 0.6), None, partial(self._enqueue, number))
        self._play(self.seconds)
        self.harmed = False
        # In peace everything comes to an end, and soon.
        for _ in range(60):
            self._play(LEASE)
            if all(row.state.final for row in self._rows()):
                break
        # What a worker is about to do with its last answer.
        self._play(2 * LEASE)
        return check(Story(self.events, self._rows()))

    def later(self, seconds: float, model: "Model | None", what: Callable[[], None]) -> None:
        """Do something then; when it is a worker's, only if that is alive and awake."""
        heapq.heappush(self._heap, (self.now + seconds, next(self._numbers), model, what))

    def latency(self) -> float:
        """How long a message is under way: mostly short."""
        return self.random.choice((0.001, 0.002, 0.01, 0.05, self.random.uniform(0, 1.0)))

    def chance(self, part: float) -> bool:
        return self.harmed and self.random.random() < part

    def note(self, kind: Kind, **said: Any) -> None:
        self.events.append(Event(kind, self.now, **said))

    def start_worker(self) -> None:
        Model(self, next(self._pids)).start()

    def _play(self, seconds: float) -> None:
        until = self.now + seconds
        while self._heap and self._heap[0][0] <= until:
            at, _, model, what = heapq.heappop(self._heap)
            self.scene.clock.move(max(0.0, at - self.now))
            if model is None or model.awake_at <= self.now:
                if model is None or model.alive:
                    what()
            elif model.alive:
                # A frozen process does when it wakes up what it was about to do.
                self.later(model.awake_at - self.now, model, what)
        self.scene.clock.move(max(0.0, until - self.now))

    def _enqueue(self, number: int) -> None:
        kind = self.random.choice(("plain", "grouped", "grouped", "once", "failing", "transient"))
        token = f"{kind} {number}"
        job = self.scene.job(task=TASK, title=token, repeatable=kind != "once", args=kind, max_attempts=LIMIT)
        if kind in ("grouped", "transient"):
            job = job._replace(group_name=f"g{self.random.randrange(3)}")
        self.scene.store.inserts.put([job], 100)
        self.note("accepted", job=job.id, token=token)

    def _rows(self) -> list[Row]:
        t = self.scene.store.schema.jobs.c
        names = (
            "id", "title", "state", "position", "attempt", "settled_attempt", "tries", "crashes", "losses",
            "max_attempts", "repeatable", "group_name", "slot", "worker", "result", "reason",
        )  # fmt: skip
        query = select(*(getattr(t, name) for name in names))
        found = [dict(row._mapping) for row in self.scene.store.read(lambda c: c.execute(query).all())]
        return [
            Row(token=row.pop("title"), state=JobState(row.pop("state")), group=row.pop("group_name"), **row)
            for row in found
        ]


@dataclass(eq=False)
class Model:
    """One worker process, and what its supervisor would do for it."""

    sim: Simulation
    pid: int
    alive: bool = True
    awake_at: float = 0.0
    lease_until: float = 0.0
    good_since: float = float("inf")
    held: dict[str, ClaimedJob] = field(default_factory=dict)
    bodies: set[tuple[str, int]] = field(default_factory=set)
    pending: list[Settlement] = field(default_factory=list)
    asked: dict[tuple[str, int], float] = field(default_factory=dict)
    writing: bool = False
    claiming: bool = False

    def start(self) -> None:
        """Register and beat."""
        scene = self.sim.scene
        self.id, now = scene.ids.new(), scene.clock.now()
        scene.store.workers.register(
            WorkerRow(self.id, self.id, "box", self.pid, None, None, SLOTS, "0", now, now, now)
        )  # fmt: skip
        for what, every in ((self.beat, BEAT), (self.look, 0.6), (self.guard, 0.2), (self.chores, LEASE / 4)):
            self._again_and_again(what, every)
        self._again_and_again(self.harm, 1.0)
        self._again_and_again(self._look_for_unheld, RECOVER)

    # What it does

    def beat(self) -> None:
        asked = self.sim.now
        self._call(lambda: self._store.workers.beat([self.id], LEASE), partial(self._beaten, asked))

    def _beaten(self, asked: float, alive: dict[str, str | None]) -> None:
        if self.id not in alive:
            self.die(told=True)
            return
        if self.lease_until < asked or self.good_since == float("inf"):
            self.good_since = asked
        self.lease_until = max(self.lease_until, asked + 0.95 * LEASE)

    def look(self) -> None:
        free = SLOTS - len(self.held)
        if self.claiming or not self._trusts_its_lease or free <= 0:
            return
        self.claiming = True
        order = ClaimOrder(self.id, "default", free, 0, (), self.sim.scene.clock.now())
        if self.sim.random.random() < 0.5:
            lane = self.sim.scene.lane
            self._call(lambda: self._store.claims.claim(lane, order), self._claimed, self._recover)
        else:
            self._call(lambda: self._heads(order), self._claimed, self._recover)

    def _heads(self, order: ClaimOrder) -> list[ClaimedJob]:
        arrived = self._store.groups.arrivals(order)
        return self._store.groups.claim(order, arrived, lambda task: None).taken if arrived else []

    def _claimed(self, jobs: Sequence[ClaimedJob]) -> None:
        self.claiming = False
        self._hold(jobs)

    def _hold(self, jobs: Sequence[ClaimedJob]) -> None:
        for job in jobs:
            self.held[job.id] = job
            self._later(self.sim.latency(), partial(self.begin, job))

    def _look_for_unheld(self) -> None:
        if not self.claiming and self._trusts_its_lease:
            self.claiming = True
            self._recover()

    def _recover(self) -> None:
        """After a claim whose answer was lost: what it owns and does not hold goes back.

        Not while an end is written: with it the next of a group may be taken, whose answer is under way.
        """
        if self.writing:
            self._later(self.sim.latency(), self._recover)
            return

        def compare(owned: list[tuple[str, int, int]]) -> None:
            if self.writing:
                self._recover()
                return
            self.claiming = False
            for job, position, attempt in owned:
                if job not in self.held:
                    self._end(Settlement(job, position, attempt, JobState.QUEUED))

        self._call(lambda: self._store.claims.owned(self.id), compare, self._recover)

    def begin(self, job: ClaimedJob) -> None:
        if not self._trusts_its_lease:
            self._end(Settlement(job.id, job.position, job.attempt, JobState.QUEUED))
        elif job.repeatable:
            self._body(job)
        else:
            not_started = Settlement(
                job.id, job.position, job.attempt, JobState.SCHEDULED, losses=1,
                run_at=self.sim.scene.clock.now() + timedelta(seconds=1),
            )  # fmt: skip
            self._call(
                lambda: self._store.claims.begin(job),
                lambda ours: self._marked(job, ours),
                lambda: self._end(not_started),
            )

    def _marked(self, job: ClaimedJob, ours: bool) -> None:
        if ours and self._trusts_its_lease:
            self._body(job)
        elif ours:
            self._end(Settlement(job.id, job.position, job.attempt, JobState.QUEUED))
        else:
            self.held.pop(job.id, None)

    def _body(self, job: ClaimedJob) -> None:
        self.bodies.add((job.id, job.attempt))
        self.sim.note("begin", pid=self.pid, job=job.id, attempt=job.attempt)
        seconds = self.sim.random.choice((0.1, 1.0, 3.0, 1.5 * LEASE))
        for part in (0.3, 0.6, 0.9):
            self._later(part * seconds, partial(self._step, job))
        self._later(seconds, partial(self.ended, job))

    def _step(self, job: ClaimedJob) -> None:
        self.sim.note("step", pid=self.pid, job=job.id, attempt=job.attempt)

    def ended(self, job: ClaimedJob) -> None:
        kind, now = job.args, self.sim.scene.clock.now()
        self.bodies.discard((job.id, job.attempt))
        fails = kind == "failing" or (kind == "transient" and job.tries == 0)
        self.sim.note("raise" if fails else "end", pid=self.pid, job=job.id, attempt=job.attempt)
        plain = Settlement(job.id, job.position, job.attempt, JobState.SUCCEEDED, str(job.attempt))
        if not fails:
            self._end(plain)
        elif job.tries + 1 >= LIMIT:
            self._end(plain._replace(state=JobState.FAILED, result=None, tries=1))
        else:
            again = now + timedelta(seconds=self.sim.random.uniform(0, 3))
            self._end(plain._replace(state=JobState.RETRYING, result=None, tries=1, run_at=again))

    def _end(self, settlement: Settlement) -> None:
        self.pending.append(settlement)
        if not self.writing:
            self.writing = True
            self._later(0.0, self.write)

    def write(self) -> None:
        batch, self.pending = self.pending, []
        for one in batch:
            self.asked.setdefault((one.id, one.attempt), self.sim.now)
        self._call(partial(self._settle, batch), partial(self._settled, batch), partial(self._unwritten, batch))

    def _settle(self, batch: list[Settlement]) -> tuple[set[str], list[ClaimedJob]]:
        groups = {
            one.id: held.group_name for one in batch if (held := self.held.get(one.id)) is not None and held.group_name
        }  # fmt: skip
        lane, claims = self.sim.scene.lane, self._store.claims
        if not groups or not self._trusts_its_lease:
            return claims.settle(lane, batch, self.id), []
        now = self.sim.scene.clock.now()
        wanted = HandOver(self.id, sorted(set(groups.values())), None, ALL_PRIORITIES, [TASK], now)
        return claims.settle_and_take(lane, batch, self.id, groups, wanted)

    def _unwritten(self, batch: list[Settlement]) -> None:
        self.pending = batch + self.pending
        self._later(self.sim.latency(), self.write)

    def _settled(self, batch: list[Settlement], answer: tuple[set[str], list[ClaimedJob]]) -> None:
        accepted, taken = answer
        freed = set()
        for one in batch:
            since = self.asked.pop((one.id, one.attempt), self.sim.now)
            if one.id in accepted:
                self.sim.note(
                    "settled", pid=self.pid, job=one.id, attempt=one.attempt, what=str(one.state), since=since
                )  # fmt: skip
            held = self.held.get(one.id)
            if held is not None and held.attempt == one.attempt:
                del self.held[one.id]
                freed.add(held.group_name)
        self._hold(taken)
        names = freed - {None} - {job.group_name for job in taken}
        if names:
            self._call(lambda: self._store.groups.advance([name for name in names if name is not None]), lambda _: None)
        self.writing = bool(self.pending)
        if self.pending:
            self._later(0.0, self.write)

    def guard(self) -> None:
        """Bodies that must not outlive the lease end with it, and the process with them."""
        if self.lease_until < self.sim.now and any(self._guarded(job) for job, _ in self.bodies):
            self.die(told=True)

    def _guarded(self, job_id: str) -> bool:
        job = self.held.get(job_id)
        return job is not None and (not job.repeatable or job.group_name is not None)

    def chores(self) -> None:
        self._call(self._store.upkeep.promote, lambda _: None)
        self._call(lambda: self._store.groups.advance(self._store.groups.sweep("")[0]), lambda _: None)
        if self.sim.now - self.good_since >= LEASE and self._trusts_its_lease:
            self._call(self._rescue_others, lambda _: None)

    def _rescue_others(self) -> None:
        for suspect in self._store.workers.suspects():
            if suspect.id != self.id:
                self._rescue(suspect.id, Death("no sign of life"), certain=False)

    # What befalls it

    def harm(self) -> None:
        if self.sim.chance(self.sim.dice.crash):
            self.die(told=not self.sim.chance(self.sim.dice.host_dies))
        elif self.sim.chance(self.sim.dice.freeze):
            self.awake_at = self.sim.now + self.sim.random.choice((0.5 * LEASE, 1.2 * LEASE, 2.5 * LEASE))
            self.sim.events.append(Event("thaw", self.awake_at, self.pid))
            self.sim.events.sort(key=lambda event: event.at)

    def die(self, *, told: bool) -> None:
        """`told`: its supervisor sees it, and rescues what it leaves."""
        if not self.alive:
            return
        self.alive = False
        self.sim.note("kill", pid=self.pid)
        if told:
            death = Death("signal 9", frozenset(job for job, _ in self.bodies))
            self.sim.later(self.sim.latency(), None, lambda: self._rescue(self.id, death, certain=True))
        self.sim.later(self.sim.random.uniform(0.2, 2.0), None, self.sim.start_worker)

    def _rescue(self, worker: str, death: Death, *, certain: bool) -> None:
        asked, now = self.sim.now, self.sim.scene.clock.now()

        def verdict(orphan: Orphan) -> Settlement:
            return judge(orphan, death, Limits(), now)

        by = self.sim.scene.ids.new()
        for one in self._store.workers.rescue(worker, verdict, by, death.cause, certain=certain) or ():
            self.sim.note("settled", job=one.id, attempt=one.attempt, what=str(one.state), since=asked)

    # How it asks

    @property
    def _store(self) -> Store:
        return self.sim.scene.store

    @property
    def _trusts_its_lease(self) -> bool:
        return self.lease_until > self.sim.now

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        self.sim.later(seconds, self, what)

    def _again_and_again(self, what: Callable[[], None], every: float) -> None:
        def once() -> None:
            what()
            self._later(every * self.sim.random.uniform(0.75, 1.25), once)

        self._later(self.sim.random.uniform(0, min(every, 0.5)), once)

    def _call(
        self, work: Callable[[], T], then: Callable[[T], None], lost: Callable[[], None] = lambda: None
    ) -> None:  # fmt: skip
        """Send, do, answer. It is done though the one who asked may be dead or frozen by then."""

        def do() -> None:
            if self.sim.chance(self.sim.dice.before):
                self._later(self.sim.latency(), lost)
                return
            answer = work()
            if self.sim.chance(self.sim.dice.after):
                self._later(self.sim.latency(), lost)
            else:
                self._later(self.sim.latency(), lambda: then(answer))

        self.sim.later(self.sim.latency(), None, do)
