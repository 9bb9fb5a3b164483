"""Counting in memory: every end once, in its minute, whatever the database does."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from backburner.clock import DatabaseClock
from backburner.fault import fault_at
from backburner.job import ClaimedJob
from backburner.outcome import Settlement
from backburner.rollup import minute_of
from backburner.states import JobState
from backburner.worker import ledger as ledgers
from backburner.worker.ledger import Ledger

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


def test_ends_waits_and_run_times_by_minute_queue_and_task() -> None:
    clock = Clock()
    ledger = Ledger(clock, clock.seconds)
    ledger.ended(JOB._replace(waited=3), end(), 0.5)
    ledger.ended(JOB, end(JobState.RETRYING), 2)
    ledger.ended(JOB, end(JobState.SCHEDULED), 2)
    ledger.ended(JOB, None, 2)
    clock.passed = 11
    ledger.ended(JOB, end(JobState.FAILED), 2)
    ledger.ended(JOB._replace(queue="mail"), end(), 2)
    rollups, seen = ledger.take()
    first, second, mail = rollups
    assert (first.minute, second.minute, mail.queue) == (minute_of(START), minute_of(START) + 1, "mail")
    assert (first.succeeded, first.retried, first.failed, first.finished) == (1, 1, 0, 1)
    assert (second.failed, second.waits.total, second.runs.total) == (1, 1, 1)
    assert (first.waits.counts[2], first.waits.counts[0], first.runs.counts[9]) == (1, 1, 1)
    assert (seen, ledger.take()) == ([], ([], []))


def test_what_could_not_be_written_is_taken_again() -> None:
    clock = Clock()
    ledger = Ledger(clock, clock.seconds)
    ledger.ended(JOB, end(), 1)
    rollups, _ = ledger.take()
    ledger.ended(JOB, end(), 1)
    ledger.put_back(rollups)
    assert [one.succeeded for one in ledger.take()[0]] == [2]


def test_failures_of_one_kind_are_counted_together() -> None:
    clock = Clock()
    ledger = Ledger(clock, clock.seconds)
    fault = fault_at("KeyError", "a.py:1 in f", "'x'", "task", "default", "box", line="f")
    for job in ("one", "two"):
        ledger.ended(JOB, end(JobState.FAILED, fault=fault, id=job), 1)
    _, (seen,) = ledger.take()
    assert (seen.times, seen.job, seen.fault) == (2, "two", fault)


def test_it_has_a_bound() -> None:
    clock = Clock()
    ledger = Ledger(clock, clock.seconds)
    for number in range(ledgers.MOST + 5):
        ledger.ended(JOB._replace(queue=str(number)), end(), 1)
    assert len(ledger.take()[0]) == ledgers.MOST


def test_threads_lose_nothing() -> None:
    clock = Clock()
    ledger = Ledger(clock, clock.seconds)

    def count() -> None:
        for _ in range(2000):
            ledger.ended(JOB, end(), 1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one.succeeded for one in ledger.take()[0]) == 8000
