"""What a store test plays with: a clock moved by hand, jobs, workers, short words for long calls."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from backburner.blame import Death, Limits, Orphan, judge
from backburner.clock import DatabaseClock
from backburner.ids import Ids
from backburner.job import ClaimedJob, Job, NewJob
from backburner.outcome import AttemptRecord, Settlement
from backburner.states import JobState
from backburner.store.dialects.base import ClaimOrder
from backburner.store.lane import CLAIM, Lane
from backburner.store.store import Store
from backburner.store.workers import WorkerRow
from tests.waiting import wait_until

LEASE = 30.0
START = datetime(2030, 5, 17, 9, 30, 0, 123456, tzinfo=UTC)


class HandClock(DatabaseClock):
    """A clock that stands still until a test moves it; what the database says about time is ignored."""

    def __init__(self, moment: datetime = START) -> None:
        super().__init__()
        self._moment = moment
        self._moved = 0.0

    def now(self) -> datetime:
        return self._moment

    def seconds(self) -> float:
        return self._moved

    def read(self, moment: datetime, asked: float, answered: float) -> None:
        return None

    def move(self, seconds: float) -> datetime:
        self._moment += timedelta(seconds=seconds)
        self._moved += seconds
        return self._moment


@dataclass
class Scene:
    """A store with a clock, and the work of application and worker in one line each."""

    store: Store
    clock: HandClock
    ids: Ids = field(default_factory=Ids)
    _lane: Lane | None = None

    @property
    def lane(self) -> Lane:
        if self._lane is None:
            self._lane = self.store.lane(CLAIM)
        return self._lane

    def job(self, **changes: Any) -> NewJob:
        now = self.clock.now()
        plain = NewJob(
            id=self.ids.new(),
            task="shop.price",
            args='{"n":1}',
            codec="json",
            queue="default",
            priority=50,
            created_at=now,
            run_at=now,
        )
        return plain._replace(**changes)

    def insert(self, count: int = 1, **changes: Any) -> list[str]:
        jobs = [self.job(**changes) for _ in range(count)]
        self.store.jobs.insert(jobs)
        return [job.id for job in jobs]

    def one(self, **changes: Any) -> str:
        return self.insert(1, **changes)[0]

    def worker(self, lease: float = LEASE) -> str:
        worker, now = self.ids.new(), self.clock.now()
        row = WorkerRow(
            id=worker,
            supervisor=self.ids.new(),
            host="box",
            pid=42,
            label=None,
            queues=None,
            concurrency=10,
            version="0.1",
            started_at=now,
            beat_at=now,
            lease_until=now + timedelta(seconds=lease),
        )
        self.store.workers.register(row)
        return worker

    def order(
        self,
        worker: str,
        free: int = 100,
        ahead: int = 0,
        short: Sequence[str] = (),
        queue: str = "default",
        bound: tuple[int, int] | None = None,
    ) -> ClaimOrder:
        return ClaimOrder(worker, queue, free, ahead, list(short), self.clock.now(), bound)

    def claim(self, worker: str, free: int = 100, **more: Any) -> list[ClaimedJob]:
        return self.store.claims.claim(self.lane, self.order(worker, free, **more))

    def running(self, worker: str | None = None, **changes: Any) -> ClaimedJob:
        """Insert one job and claim it."""
        job_id = self.one(**changes)
        claimed = self.claim(worker or self.worker(), queue=changes.get("queue", "default"))
        return next(job for job in claimed if job.id == job_id)

    def settle(self, worker: str, *settlements: Settlement) -> set[str]:
        return self.store.claims.settle(self.lane, settlements, worker)

    def finish(self, worker: str, jobs: Iterable[ClaimedJob], state: JobState = JobState.SUCCEEDED) -> set[str]:
        return self.settle(worker, *(end(job, state) for job in jobs))

    def ended(self, state: JobState = JobState.SUCCEEDED, **changes: Any) -> str:
        """A job that ran once and ended in `state`."""
        worker = self.worker()
        job = self.running(worker, **changes)
        assert self.settle(worker, end(job, state, reason="because")) == {job.id}
        return job.id

    def get(self, job_id: str) -> Job:
        return self.store.jobs.get(job_id)

    def state(self, job_id: str) -> JobState:
        return self.get(job_id).state

    def record(self, outcome: str = "failed", **changes: Any) -> AttemptRecord:
        now = self.clock.now()
        return AttemptRecord(outcome=outcome, started_at=now, finished_at=now, host="box", pid=42, **changes)

    def rescue(self, worker: str, death: Death | None = None, *, certain: bool = False) -> list[Settlement] | None:
        """Rescue as a fresh worker does, with the production's judgement."""
        known = death or Death("gone")

        def verdict(orphan: Orphan) -> Settlement:
            return judge(orphan, known, Limits(), self.clock.now())

        return self.store.workers.rescue(worker, verdict, self.worker(), known.cause, certain=certain)

    def wait_for_waiter(self) -> None:
        """Return when some connection to this PostgreSQL database waits for a lock of another one."""
        query = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        with self.store.engine.connect() as connection:
            wait_until(lambda: connection.scalar(query), "somebody waits for a lock")


def end(job: ClaimedJob, state: JobState = JobState.SUCCEEDED, **changes: Any) -> Settlement:
    """The settlement of a claimed job."""
    return Settlement(job.id, job.position, job.attempt, state)._replace(**changes)


def ids_of(jobs: Iterable[ClaimedJob]) -> list[str]:
    return [job.id for job in jobs]


class Crew:
    """Threads that start together; what one of them raises, `join` raises."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []

    def add(self, work: Any, *arguments: Any) -> None:
        def guarded() -> None:
            try:
                work(*arguments)
            except BaseException as error:
                self._errors.append(error)

        self._threads.append(threading.Thread(target=guarded, daemon=True))

    def start(self) -> "Crew":
        for thread in self._threads:
            thread.start()
        return self

    def join(self, seconds: float = 30.0) -> None:
        for thread in self._threads:
            thread.join(seconds)
        if self._errors:
            raise self._errors[0]
        stuck = [thread for thread in self._threads if thread.is_alive()]
        assert not stuck, f"{len(stuck)} threads did not come back within {seconds:g} s"

    @property
    def busy(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)
