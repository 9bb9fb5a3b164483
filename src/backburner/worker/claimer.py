"""Takes jobs for the pool: as many as can start at once, and short ones ahead so that no thread waits."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence

from backburner.clock import boot_seconds
from backburner.errors import StoreUnavailable
from backburner.job import ClaimedJob
from backburner.notify import Ear
from backburner.seams import Seams
from backburner.store.dialects.base import ALL_PRIORITIES, ClaimOrder
from backburner.store.lane import CLAIM
from backburner.store.store import Store
from backburner.worker.lines import Lines, Look
from backburner.worker.options import WorkerOptions
from backburner.worker.pool import Pool
from backburner.worker.strangers import Strangers
from backburner.worker.turns import Turns

log = logging.getLogger(__name__)

AHEAD_MOST = 1_000
AHEAD_SECONDS = 0.05
"""How much work of short tasks is claimed ahead, in time at the present rate."""
STUCK_SECONDS = 0.2
"""When nothing that was claimed ahead moves for this long, it is given back."""
HEAD_SECONDS = 0.25
"""How often a claim looks from the very beginning of a queue, not from where the last one ended."""
TICK_SECONDS = 0.002
LEASE_LOOK_SECONDS = 0.02
RECOVER_SECONDS = 60.0
"""How often a worker compares what it owns with what it holds; also after every claim whose answer was lost."""


class Claimer:
    """One thread and one connection; `short()` names the tasks that may be claimed ahead, `lone()` says how many more
    jobs may be taken that need a process of their own, for they were lost or crashed before.
    """

    def __init__(
        self,
        store: Store,
        options: WorkerOptions,
        worker: Callable[[], str],
        pool: Pool,
        ear: Ear,
        short: Callable[[], list[str]],
        wake: Callable[[list[ClaimedJob]], int],
        may_claim: Callable[[], bool],
        claimed: Callable[[list[ClaimedJob]], None],
        recover: Callable[[], None],
        give_back: Callable[[list[ClaimedJob]], None],
        lines: Lines,
        strangers: Strangers,
        bring_due: Callable[[], bool],
        lone: Callable[[], int],
        seams: Seams,
    ) -> None:
        self._store, self._options, self._worker, self._pool, self._ear = store, options, worker, pool, ear
        self._short, self._wake, self._may_claim, self._claimed = short, wake, may_claim, claimed
        self._recover, self._give_back, self._bring_due, self._lone = recover, give_back, bring_due, lone
        self._lines, self._strangers, self._seams = lines, strangers, seams
        self._lane = store.lane(CLAIM)
        self._turns = Turns(options, lambda: store.claims.ready_queues(self._lane))
        self._bounds: dict[str, tuple[int, int]] = {}
        self._lines_led: set[str] = set()
        self._head_at = 0.0
        self._looked_at = 0.0
        self._moved_at = self._taken_at = boot_seconds()
        self._recovered_at = boot_seconds()
        self._taken = 0
        self._rate = 0.0
        self._stopping = threading.Event()
        self._served_at = 0.0
        self.nothing_at = float("-inf")
        """When the last look began, if it found nothing; minus infinity during and after any other."""
        self._thread = threading.Thread(target=self._work, name="backburner-claimer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def look(self) -> bool:
        """Look at every queue once, in this thread, as though for the first time; True when it is worth another."""
        self._head_at = float("-inf")
        self._lines.look_anew()
        return self._round()

    def stop(self) -> None:
        """Claim nothing more; what is under way ends first, see `ended`."""
        self._stopping.set()
        self._ear.ring()

    def ended(self, seconds: float) -> bool:
        """True when the last claim has ended, False when it has not after `seconds`."""
        if self._thread.is_alive():
            self._thread.join(seconds)
        if self._thread.is_alive():
            return False
        self._lane.close()
        self._ear.close()
        return True

    def _work(self) -> None:
        pause = 0.05
        while not self._stopping.is_set():
            try:
                found = self._round()
                pause = 0.05
            except StoreUnavailable as error:
                log.warning("claiming waits: %s", error)
                self._stopping.wait(random.uniform(0, pause))
                pause = min(2.0, pause * 2)
                self._recovered_at = float("-inf")
                continue
            except Exception:
                log.exception("claiming failed; trying again")
                self._stopping.wait(1.0)
                continue
            if not found:
                self._rest()

    def _round(self) -> bool:
        """One look at every queue; True when it is worth looking again at once."""
        self._measure()
        if boot_seconds() - self._recovered_at > RECOVER_SECONDS:
            self._recovered_at = boot_seconds()
            self._recover()
        if not self._may_claim() or self._room() == (0, 0):
            self._ear.settle(full=True)
            return False
        self._ear.begin()
        self._strangers.introduce()
        # A look for short jobs alone tells nothing of the others.
        began = boot_seconds() if self._pool.free else float("-inf")
        self.nothing_at = float("-inf")
        found = self._sweep(self._turns.order())
        if found:
            self._turns.served(found)
        else:
            # The productive queues come first, without asking which there are: one round trip to the next job.
            found = self._sweep(self._turns.others())
            self._turns.found(list(found))
        self._ear.settle(full=self._pool.free == 0)
        if found or self._bring_due():
            return True
        self.nothing_at = began
        return False

    def _sweep(self, queues: list[str]) -> dict[str, int]:
        """Claim from these queues while there is room; how much of each was taken or moved."""
        found = {}
        for queue in queues:
            free, ahead = self._room()
            if free + ahead == 0:
                break
            count = self._claim(queue, free, ahead, self._short() if ahead else [])
            if count:
                found[queue] = count
        return found

    def _claim(self, queue: str, free: int, ahead: int, short: list[str]) -> int:
        """Take plain jobs of one queue and heads of its lines; how many were taken or moved."""
        found = 0
        if queue not in self._lines_led and self._lines.come_first(queue, free):
            # Not twice in a row, and half of what is held besides: heads without end would keep plain jobs out.
            self._lines_led.add(queue)
            found = len(self._lined(queue, free, ahead // 2, short, first=True).taken)
            free, ahead = max(0, free - found), ahead - max(0, found - free)
        else:
            self._lines_led.discard(queue)
        plain = [] if self._lines.capped(queue) else self._plain(queue, free, ahead, short, yielding=True)
        ran_out = len(plain) < free + ahead
        self._lines.plain_ended(queue, ran_out)
        left = max(0, free - len(plain))
        if ran_out and (left or self._lines.ahead_pays(queue)):
            look = self._lined(queue, left, ahead - max(0, len(plain) - free), short, first=False)
            found += len(look.taken) or int(look.moved)
            if look.seen and left and not self._lines.capped(queue):
                # What could not be taken must not keep out what comes behind it.
                free, ahead = self._room()
                found += len(self._plain(queue, free, ahead, short, yielding=False))
        return found + len(plain)

    def _plain(self, queue: str, free: int, ahead: int, short: list[str], *, yielding: bool) -> list[ClaimedJob]:
        now = boot_seconds()
        if now - self._head_at >= HEAD_SECONDS:
            self._head_at = now
            self._bounds.clear()
        order = self._order(queue, free, ahead, short)._replace(yielding=yielding)
        bound = self._bounds.get(queue)
        jobs = self._ask(order._replace(bound=bound))
        if bound is not None and len(jobs) < free + ahead:
            # Short behind the bound: something may have come in before it.
            self._bounds.pop(queue, None)
            jobs = jobs or self._ask(order)
        elif jobs:
            self._bounds[queue] = (jobs[-1].priority, jobs[-1].position)
        return jobs

    def _lined(self, queue: str, free: int, ahead: int, short: Sequence[str], *, first: bool) -> Look:
        """Take heads of lines, with `first` only what is no worse than the first plain job."""
        order = self._order(queue, free, ahead, short)
        if first:
            order = order._replace(priorities=(order.priorities[0], self._lines.best_plain(order)))
        look = self._lines.claim(order._replace(refused=self._strangers.refused(queue)))
        self._start(look.taken)
        return look

    def _order(self, queue: str, free: int, ahead: int, short: Sequence[str]) -> ClaimOrder:
        refused = self._lines.capped_tasks + self._strangers.refused(queue)
        return ClaimOrder(
            self._worker(), queue, free, ahead, short, self._store.clock.now(),
            priorities=self._options.priorities or ALL_PRIORITIES, refused=refused, lone=self._lone(),
        )  # fmt: skip

    def _ask(self, order: ClaimOrder) -> list[ClaimedJob]:
        if order.free + order.ahead == 0:
            return []
        if order.free:
            self._served_at = boot_seconds()
        self._seams.reach("before claim")
        jobs = self._store.claims.claim(self._lane, order)
        self._seams.reach("after claim")
        self._start(jobs)
        return jobs

    def _start(self, jobs: list[ClaimedJob]) -> None:
        if jobs:
            self._claimed(jobs)
            self._ear.took(jobs)
            self._pool.add(jobs, self._wake(jobs))
            self._moved_at = boot_seconds()

    def _room(self) -> tuple[int, int]:
        """(free, ahead): jobs that could start at once, and how many short ones to hold besides."""
        waiting = self._pool.waiting
        wanted = min(AHEAD_MOST, int(self._rate * AHEAD_SECONDS) + self._options.concurrency)
        # Half a buffer is claimed at a time: many small claims cost more than they save.
        ahead = wanted - waiting if waiting <= wanted // 2 else 0
        free = self._pool.free
        if free == 0 and boot_seconds() - self._served_at > HEAD_SECONDS:
            # What is not short needs a free slot, and short ones taken ahead would leave none for ever.
            return 0, 0
        # Every slot has a long job: what is short would wait here while others could run it.
        stuck = free == 0 and boot_seconds() - self._taken_at > STUCK_SECONDS / 2
        return free, ahead if not stuck and self._short() else 0

    def _measure(self) -> None:
        """Follow how fast jobs are taken from the pool, and give back what does not move."""
        now, taken = boot_seconds(), self._pool.taken
        passed = now - self._looked_at
        if passed >= 0.01:
            self._rate += ((taken - self._taken) / passed - self._rate) * min(1.0, passed * 10)
            if taken != self._taken:
                self._taken_at = now
            if taken != self._taken or self._pool.waiting == 0:
                self._moved_at = now
            self._looked_at, self._taken = now, taken
        if self._pool.waiting and now - self._moved_at > STUCK_SECONDS:
            self._give_back(self._pool.take_back())

    def _rest(self) -> None:
        if not self._may_claim():
            # A new worker has its lease within milliseconds: asking for it costs a look at memory.
            self._stopping.wait(LEASE_LOOK_SECONDS)
            return
        if self._pool.waiting:
            self._stopping.wait(TICK_SECONDS)
            if self._pool.taken == self._taken:
                self._pool.nudge()
            return
        self._ear.wait(self._options.poll * self._ear.patience * random.uniform(0.75, 1.25))
