"""`Ledger`: counts how attempts end, in memory. An end costs it one addition to three numbers, and no write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from backburner.clock import DatabaseClock, boot_seconds
from backburner.histogram import BUCKETS, Histogram, bucket_of
from backburner.job import ClaimedJob
from backburner.outcome import Settlement
from backburner.rollup import ENDS, Rollup, minute_of
from backburner.store.failures import Seen

MOST = 20_000
"""Books that are kept while the database is away; what comes later is not counted."""
_WAITS, _RUNS = len(ENDS), len(ENDS) + BUCKETS
_WIDTH = len(ENDS) + 2 * BUCKETS

Book = list[int]
Key = tuple[int, str, str]


class Ledger:
    """One book per minute, queue and task. Any thread may add."""

    def __init__(self, clock: DatabaseClock, seconds: Callable[[], float] = boot_seconds) -> None:
        self._clock, self._seconds = clock, seconds
        self._lock = threading.Lock()
        self._books: dict[Key, Book] = {}
        self._seen: dict[str, Seen] = {}
        self._minute, self._edge = 0, float("-inf")

    def ended(self, job: ClaimedJob, end: Settlement | None, took: float) -> None:
        """An attempt has ended after so many seconds; None when nothing is known of its end."""
        place = None if end is None else ENDS.get(end.state)
        if place is None or end is None:
            return
        wait, run, now = _WAITS + bucket_of(job.waited), _RUNS + bucket_of(took * 1000), self._seconds()
        with self._lock:
            if now >= self._edge:
                self._turn(now)
            key = (self._minute, job.queue, job.task)
            book = self._books.get(key)
            if book is None:
                if len(self._books) >= MOST:
                    return
                book = self._books[key] = [0] * _WIDTH
            book[place] += 1
            book[wait] += 1
            book[run] += 1
            if end.fault is not None:
                self._failed(end)

    def take(self) -> tuple[list[Rollup], list[Seen]]:
        """What was counted since the last time."""
        with self._lock:
            books, self._books = self._books, {}
            seen, self._seen = self._seen, {}
        return [_rollup(key, book) for key, book in books.items()], list(seen.values())

    def put_back(self, rollups: Iterable[Rollup]) -> None:
        """It could not be written: to be taken once more."""
        with self._lock:
            for one in rollups:
                book = self._books.setdefault((one.minute, one.queue, one.task), [0] * _WIDTH)
                for place, count in enumerate((*one.ends, *one.waits.counts, *one.runs.counts)):
                    book[place] += count

    def _turn(self, now: float) -> None:
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
