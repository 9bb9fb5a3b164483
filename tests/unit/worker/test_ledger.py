"""Counting in memory: every end once, in its minute, whatever the database does."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from backburner.clock import DatabaseClock
from backburner.context import JobContext
from backburner.fault import fault_at
from backburner.job import ClaimedJob
from backburner.outcome import Settlement
from backburner.rollup import minute_of
from backburner.states import JobState
from backburner.worker import ledger as ledgers
from backburner.worker.ledger import Counted, Ledger
from backburner.worker.reporter import Running

START = datetime(2030, 1, 1, 12, 0, 50, tzinfo=UTC)
JOB = ClaimedJob("id", 5, 4, "task", "{}", "json", "default", 50, 1, 0, 0, None, True, None, None, None, None)


class Clock(DatabaseClock):
    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed)

    def seconds(self) -> float:
        return 1000 + self.passed


def end(state: JobState = JobState.SUCCEEDED, **more: Any) -> Settlement:
    return Settlement("id", 5, 4, state)._replace(**more)


def count(ledger: Ledger, job: ClaimedJob, ended: Settlement, took: float) -> None:
    """A body ends, and the store accepts that."""
    ledger.ran(Running(job, JobContext(), 0, 0.0, None), took)
    ledger.settled([ended], {ended.id})


def taken(ledger: Ledger) -> Counted:
    found = ledger.take()
    assert found is not None
    return found


def test_ends_waits_and_run_times_by_minute_queue_and_task() -> None:
    clock = Clock()
    ledger = Ledger(clock, clock.seconds)
    count(ledger, JOB._replace(waited=3), end(), 0.5)
    count(ledger, JOB, end(JobState.RETRYING), 2)
    count(ledger, JOB, end(JobState.SCHEDULED), 2)
    clock.passed = 11
    count(ledger, JOB, end(JobState.FAILED), 2)
    ledger.succeeded(JOB._replace(queue="mail"), 2)
    found = taken(ledger)
    first, second, mail = found.rollups
    assert (first.minute, second.minute, mail.queue) == (minute_of(START), minute_of(START) + 1, "mail")
    assert (first.succeeded, first.retried, first.failed, first.finished) == (1, 1, 0, 1)
    assert (second.failed, second.waits.total, second.runs.total) == (1, 1, 1)
    assert (first.waits.counts[2], first.waits.counts[0], first.runs.counts[9]) == (1, 1, 1)
    assert (mail.succeeded, found.seen, ledger.take()) == (1, [], None)


def test_only_what_the_store_has_accepted_counts() -> None:
    clock = Clock()
    ledger = Ledger(clock, clock.seconds)
    running = Running(JOB, JobContext(), 0, 0.0, None)
    ledger.ran(running, 1)
    assert ledger.take() is None, "nothing is written yet"
    ledger.settled([end()], set())
    ledger.settled([end()], {"id"})
    assert ledger.take() is None, "it was taken over"
    ledger.settled([end(id="given back")], {"given back"})
    assert ledger.take() is None, "no body has run"
    second = Running(JOB._replace(attempt=5), JobContext(), 0, 0.0, None)
    for _ in range(2):
        # Given up, and then it ends all the same: the second end is accepted as the answer to the first.
        ledger.ran(second, 1)
        ledger.settled([end(attempt=5)], {"id"})
    assert [one.succeeded for one in taken(ledger).rollups] == [1]


def test_failures_of_one_kind_are_counted_together() -> None:
    clock = Clock()
    ledger = Ledger(clock, clock.seconds)
    fault = fault_at("KeyError", "a.py:1 in f", "'x'", "task", "default", "box", line="f")
    for job in ("one", "two"):
        count(ledger, JOB._replace(id=job), end(JobState.FAILED, fault=fault, id=job), 1)
    (seen,) = taken(ledger).seen
    assert (seen.times, seen.job, seen.fault) == (2, "two", fault)


def test_it_has_a_bound() -> None:
    clock = Clock()
    ledger = Ledger(clock, clock.seconds)
    for number in range(ledgers.MOST + 5):
        count(ledger, JOB._replace(queue=str(number)), end(), 1)
    assert len(taken(ledger).rollups) == ledgers.MOST


def test_any_thread_may_count() -> None:
    clock = Clock()
    ledger = Ledger(clock, clock.seconds)

    def many(name: str) -> None:
        for number in range(2000):
            job_id = f"{name} {number}"
            count(ledger, JOB._replace(id=job_id), end(id=job_id), 1)

    threads = [threading.Thread(target=many, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one.succeeded for one in taken(ledger).rollups) == 8000
