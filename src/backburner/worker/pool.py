"""Threads that run what was claimed: started when needed, woken the last idle one first."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

from backburner.job import ClaimedJob


class Pool:
    """Up to `size` bodies at the same time; async ones count too, while they run on the loop.

    `run(job, slot)` runs one job in the calling thread, whose slot is below `size`; when it answers True the job
    went on elsewhere (the loop, in a slot from `size` on). Then it has called `goes_on()` before that, and its place
    stays taken until `left(slot)` is called.
    `room()` is called when there is room for another.
    """

    def __init__(
        self,
        size: int,
        run: Callable[[ClaimedJob, int], bool],
        may_start: Callable[[], bool],
        room: Callable[[], None],
    ) -> None:
        self.size = size
        self._run, self._may_start, self._room = run, may_start, room
        self._lock = threading.Lock()
        self._ready: deque[ClaimedJob] = deque()
        self._idle: list[tuple[int, threading.Semaphore]] = []
        self._slots = list(range(size - 1, -1, -1))
        self._active = 0
        self._away = 0
        self._lost: set[int] = set()
        self._reserved: set[str] = set()
        self._closed = False
        self.taken = 0

    @property
    def free(self) -> int:
        """How many more jobs could start at once, and are expected from nowhere else."""
        return max(0, self.unused - len(self._reserved))

    @property
    def unused(self) -> int:
        """How many places nothing runs in, nor waits for: free ones, and those that are kept."""
        return max(0, self.size - self._active - self._away - len(self._lost) - len(self._ready))

    @property
    def waiting(self) -> int:
        """How many jobs are claimed and not begun."""
        return len(self._ready)

    @property
    def running(self) -> int:
        """How many bodies are under way, about."""
        return self._active + self._away

    @property
    def idle(self) -> bool:
        """True when nothing waits and nothing runs."""
        return not self._ready and self._active == 0 and self._away == 0

    def add(self, jobs: Iterable[ClaimedJob], wake: int) -> int:
        """Take jobs over and wake up to `wake` threads for them; how many were woken."""
        with self._lock:
            self._ready.extend(jobs)
            return self._wake(wake)

    def reserve(self, job_id: str) -> None:
        """Keep the place of a job that has ended: who writes its end may bring the next one for it."""
        self._reserved.add(job_id)

    def unreserve(self, ids: Iterable[str]) -> int:
        """The next ones have been added, if there are any; for how many of these a place was kept."""
        kept = self._reserved.intersection(ids)
        self._reserved.difference_update(kept)
        return len(kept)

    def nudge(self) -> None:
        """Wake one more thread: what waits does not move."""
        with self._lock:
            self._wake(1)

    def take_back(self) -> list[ClaimedJob]:
        """All jobs that have not begun; they are the caller's again."""
        jobs = []
        # One by one: threads take from the other end without the lock, and a job is given to one of us only.
        with suppress(IndexError):
            while True:
                jobs.append(self._ready.popleft())
        return jobs

    def goes_on(self) -> None:
        """The body of the calling thread is about to go on elsewhere. Said before: it may end there at once."""
        with self._lock:
            self._away += 1

    def left(self, slot: int) -> None:
        """A body that went on elsewhere has ended."""
        with self._lock:
            if slot in self._lost:
                self._lost.discard(slot)
            else:
                self._away -= 1
            self._wake(1)
        self._room()

    def write_off(self, slot: int) -> None:
        """The body in this slot does not come back: do not count on its place before it does."""
        with self._lock:
            self._lost.add(slot)
            if slot < self.size:
                self._active -= 1
            else:
                self._away -= 1

    def close(self) -> None:
        """End the idle threads; busy ones end after their job."""
        with self._lock:
            self._closed = True
            self._active += len(self._idle)
            for _, signal in self._idle:
                signal.release()
            self._idle.clear()

    def _wake(self, count: int) -> int:
        room = self.size - self._active - self._away - len(self._lost)
        count = max(0, min(count, room, len(self._ready)))
        for _ in range(count):
            self._active += 1
            if self._idle:
                self._idle.pop()[1].release()
            else:
                slot = self._slots.pop()
                threading.Thread(target=self._work, args=(slot,), name=f"backburner-job-{slot}", daemon=True).start()
        return count

    def _work(self, slot: int) -> None:
        signal = threading.Semaphore(0)
        job: ClaimedJob | None = None
        while (job := self._next(slot, signal, job)) is not None:
            self.taken += 1
            went_on = self._run(job, slot)
            if slot in self._lost:
                with self._lock:
                    self._lost.discard(slot)
                    self._slots.append(slot)
                    self._wake(1)
                return
            if went_on:
                self._hand_over(slot, signal)

    def _next(self, slot: int, signal: threading.Semaphore, last: ClaimedJob | None) -> ClaimedJob | None:
        """The next job after the `last` one, after a rest if need be; None when the pool is closed."""
        while True:
            try:
                if not self._closed and self._may_start():
                    return self._ready.popleft()
            except IndexError:
                pass
            with self._lock:
                if self._ready and not self._closed and self._may_start():
                    continue
                self._active -= 1
                if self._closed:
                    return None
                self._idle.append((slot, signal))
            if last is None or last.id not in self._reserved:
                self._room()
            signal.acquire()

    def _hand_over(self, slot: int, signal: threading.Semaphore) -> None:
        """The body went on elsewhere and keeps its place: this thread rests when there is no other."""
        with self._lock:
            if self._closed or self._active + self._away + len(self._lost) <= self.size:
                return
            self._active -= 1
            self._idle.append((slot, signal))
        signal.acquire()
