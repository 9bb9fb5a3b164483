"""`Ledger`: counts how attempts end, in memory. An end costs it two entries and one addition to three numbers, and no
write.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from backburner.clock import DatabaseClock, boot_seconds
from backburner.histogram import BUCKETS, Histogram, bucket_of
from backburner.ids import Ids
from backburner.job import ClaimedJob
from backburner.outcome import Settlement
from backburner.rollup import ENDS, Rollup, minute_of
from backburner.states import JobState
from backburner.store.failures import Seen

if TYPE_CHECKING:
    from backburner.worker.reporter import Running

MOST = 20_000
"""Books that are kept while the database is away; what comes later is not counted."""
_WAITS, _RUNS = len(ENDS), len(ENDS) + BUCKETS
_WIDTH = len(ENDS) + 2 * BUCKETS

Book = list[int]
Key = tuple[int, str, str]


class Ran(NamedTuple):
    """An attempt whose body has run: where it belongs, milliseconds that it waited, seconds that it ran."""

    queue: str
    task: str
    waited: int
    took: float


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted in a time, to be stored once, whoever is asked how often: `key` is a UUID."""

    key: str
    rollups: list[Rollup]
    seen: list[Seen]


class Ledger:
    """One book per minute, queue and task. Any thread may add. What has ended counts when the store has accepted it."""

    def __init__(self, clock: DatabaseClock, seconds: Callable[[], float] = boot_seconds) -> None:
        self._clock, self._seconds = clock, seconds
        self._lock, self._ids = threading.Lock(), Ids()
        self._ran: dict[tuple[str, int], Ran] = {}
        self._books: dict[Key, Book] = {}
        self._seen: dict[str, Seen] = {}
        self._minute, self._edge = 0, float("-inf")

    def ran(self, running: Running, took: float) -> None:
        """A body has ended after so many seconds, or was given up; `settled` is to say how.

        Once for each: of one that was given up an end follows that has been written already.
        """
        job = running.job
        with self._lock:
            if not running.told:
                running.told = True
                self._ran[job.id, job.attempt] = Ran(job.queue, job.task, job.waited, took)

    def settled(self, ends: Iterable[Settlement], accepted: Container[str]) -> None:
        """The store has accepted some of these ends. Those whose body never ran, or was counted, count for nothing."""
        with self._lock:
            self._turn()
            for end in ends:
                ran = self._ran.pop((end.id, end.attempt), None)
                place = ENDS.get(end.state)
                if ran is not None and place is not None and end.id in accepted and self._add(ran, place):
                    self._failed(end)

    def succeeded(self, job: ClaimedJob, took: float) -> None:
        """A body has ended its job itself, in a transaction of its own that is committed."""
        with self._lock:
            self._turn()
            self._add(Ran(job.queue, job.task, job.waited, took), ENDS[JobState.SUCCEEDED])

    def take(self) -> Counted | None:
        """What was counted since the last time; None when that is nothing."""
        with self._lock:
            books, self._books = self._books, {}
            seen, self._seen = self._seen, {}
        if not books:
            return None
        return Counted(self._ids.new(), [_rollup(key, book) for key, book in books.items()], list(seen.values()))

    def _add(self, ran: Ran, place: int) -> bool:
        """Count one; False where there is no more room."""
        key = (self._minute, ran.queue, ran.task)
        book = self._books.get(key)
        if book is None:
            if len(self._books) >= MOST:
                return False
            book = self._books[key] = [0] * _WIDTH
        book[place] += 1
        book[_WAITS + bucket_of(ran.waited)] += 1
        book[_RUNS + bucket_of(ran.took * 1000)] += 1
        return True

    def _turn(self) -> None:
        now = self._seconds()
        if now >= self._edge:
            moment = self._clock.now()
            self._minute = minute_of(moment)
            self._edge = now + 60 - moment.timestamp() % 60

    def _failed(self, end: Settlement) -> None:
        if (fault := end.fault) is None:
            return
        before = self._seen.get(fault.fingerprint)
        times = 1 if before is None else before.times + 1
        if before is not None or len(self._seen) < MOST:
            self._seen[fault.fingerprint] = Seen(fault, times, self._clock.now(), end.id)


def _rollup(key: Key, book: Book) -> Rollup:
    ends, waits, runs = book[:_WAITS], book[_WAITS:_RUNS], book[_RUNS:]
    return Rollup(*key, tuple(ends), Histogram(tuple(waits)), Histogram(tuple(runs)))
