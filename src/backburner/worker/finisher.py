"""Writes how attempts ended, in batches; keeps outcomes while the database is away."""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from backburner.errors import StoreUnavailable
from backburner.job import ClaimedJob
from backburner.outcome import Settlement
from backburner.progress import printable
from backburner.seams import Seams
from backburner.states import JobState
from backburner.store.dialects.base import HandOver
from backburner.store.lane import FINISH
from backburner.store.store import Store

log = logging.getLogger(__name__)

BATCH = 1_000
GATHER_SECONDS = 0.005
"""How long a batch gathers while more jobs are about to end; a lone outcome is written at once."""
KEPT = 20_000
"""Outcomes kept while the database is away; above that nothing new is started."""


class Finisher:
    """One thread and one connection. `busy()` says that more outcomes are about to come; `grouped(batch)` the group
    of each job that has one, and which next jobs to take, None when there is no group among them.
    """

    def __init__(
        self,
        store: Store,
        worker: Callable[[], str],
        busy: Callable[[], bool],
        grouped: Callable[[Sequence[Settlement]], tuple[dict[str, str], HandOver] | None],
        hold: Callable[[list[ClaimedJob]], None],
        settled: Callable[[Sequence[Settlement], set[str], list[ClaimedJob]], None],
        seams: Seams,
    ) -> None:
        self._store, self._worker, self._busy, self._seams = store, worker, busy, seams
        self._grouped, self._hold, self._settled = grouped, hold, settled
        self.taking = threading.Lock()
        """Held while jobs are taken with the end of others: they are owned a little before anybody here holds them."""
        self._pending: deque[Settlement] = deque()
        self._arrived = threading.Event()
        self._written = threading.Condition()
        self._closing = threading.Event()
        self._lane = store.lane(FINISH)
        self._in_hand = 0
        self._thread = threading.Thread(target=self._work, name="backburner-finisher", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def add(self, settlement: Settlement) -> None:
        """Have an attempt's end written; any thread."""
        self._pending.append(settlement)
        if not self._arrived.is_set():
            self._arrived.set()

    @property
    def full(self) -> bool:
        """True when so much is unwritten that nothing more should be started."""
        return len(self._pending) >= KEPT

    @property
    def empty(self) -> bool:
        """True when everything is written."""
        return not self._pending and self._in_hand == 0

    def write_all(self) -> None:
        """Write what there is, in this thread."""
        while self._pending:
            batch = self._take()
            try:
                self._write(batch)
            finally:
                self._in_hand = 0

    def drain(self, seconds: float) -> bool:
        """Wait until everything is written; False after `seconds`."""
        # A wait without end is one of years: threads cannot wait for longer than their clock counts.
        with self._written:
            return self._written.wait_for(lambda: self.empty, min(seconds, threading.TIMEOUT_MAX / 2))

    def close(self, seconds: float) -> bool:
        """Write what is left and end; False when something could not be written in time."""
        written = self.drain(seconds)
        self._closing.set()
        self._arrived.set()
        if self._thread.is_alive():
            self._thread.join(1.0)
        self._lane.close()
        return written

    def _work(self) -> None:
        while not self._closing.is_set():
            self._arrived.wait()
            self._arrived.clear()
            if self._busy() and len(self._pending) < BATCH:
                self._closing.wait(GATHER_SECONDS)
                self._arrived.clear()
            while self._pending and not self._closing.is_set():
                batch = self._take()
                try:
                    self._write(batch)
                finally:
                    self._in_hand = 0
                    with self._written:
                        self._written.notify_all()

    def _take(self) -> list[Settlement]:
        count = min(len(self._pending), BATCH)
        self._in_hand = count
        return [self._pending.popleft() for _ in range(count)]

    def _write(self, batch: list[Settlement]) -> None:
        """Write a batch, however long the database is away; by halves when a value in it cannot be stored."""
        pause = 0.05
        while not self._closing.is_set():
            try:
                self._accept(batch)
                return
            except StoreUnavailable as error:
                log.warning("outcomes of %d jobs wait: %s", len(batch), error)
                self._closing.wait(random.uniform(0, pause))
                pause = min(2.0, pause * 2)
            except ValueError as error:
                self._split(batch, error)
                return
            except Exception:
                log.exception("outcomes of %d jobs could not be written; trying again", len(batch))
                self._closing.wait(1.0)

    def _accept(self, batch: list[Settlement]) -> None:
        self._seams.reach("before finish")
        taken: list[ClaimedJob] = []
        next_ones = self._grouped(batch)
        with nullcontext() if next_ones is None else self.taking:
            if next_ones is None:
                accepted = self._store.claims.settle(self._lane, batch, self._worker())
            else:
                accepted, taken = self._store.claims.settle_and_take(self._lane, batch, self._worker(), *next_ones)
            self._seams.reach("after finish")
            self._hold(taken)
        for settlement in batch if len(accepted) < len(batch) else ():
            if settlement.id not in accepted:
                log.warning("job %s attempt %d was taken over", settlement.id, settlement.attempt)
        self._settled(batch, accepted, taken)

    def _split(self, batch: list[Settlement], error: ValueError) -> None:
        """Some value cannot be stored: find the one by halves, fail it, write the others."""
        if len(batch) > 1:
            middle = len(batch) // 2
            self._write(batch[:middle])
            self._write(batch[middle:])
            return
        guilty = batch[0]
        log.error("job %s: its outcome cannot be stored: %s", guilty.id, printable(str(error)[:500]))
        self._write(
            [
                Settlement(
                    guilty.id,
                    guilty.position,
                    guilty.attempt,
                    JobState.FAILED,
                    reason="Its result cannot be stored.",
                    error=str(error).encode("ascii", "backslashreplace").decode().replace("\x00", "\\x00")[:500],
                    tries=1,
                )
            ]
        )
