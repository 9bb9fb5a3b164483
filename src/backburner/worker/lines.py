"""What a worker takes besides plain jobs: heads of serial groups, and jobs of which only so many may run at once."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from backburner.clock import boot_seconds
from backburner.errors import StoreError
from backburner.job import ClaimedJob
from backburner.notify import Bell
from backburner.outcome import Settlement
from backburner.registry import Registry
from backburner.seams import Seams
from backburner.states import JobState
from backburner.store.dialects.base import ALL_PRIORITIES, ClaimOrder, HandOver
from backburner.store.groups import ARRIVALS, MANY_ARRIVALS, Arrival
from backburner.store.store import Store
from backburner.worker.options import WorkerOptions

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
"""How often a worker that is busy with plain jobs looks for others."""
PLAIN_SHARE, PLAIN_MOST = 3, 1.0
"""For how many times as long as a look that only parked jobs the plain ones of its queue are taken alone after it, and
for how many seconds at most: a look may have waited for a lock.
"""
_ROWS_KEPT = 1000
_PASSED = 5_000
"""Groups that one look goes past because others have them in hand."""
ROW_SECONDS, ROW_MOST = 1.0, 50
"""How long, and how often in a row, the worker that ended a job of a group goes on with the next one."""


class Look(NamedTuple):
    """What a look at the lines of a queue brought: jobs, whether others were parked, whether there are any."""

    taken: list[ClaimedJob]
    moved: bool
    seen: bool


class Lines:
    """`claim` for the claimer's thread, `follow` for the finisher's."""

    def __init__(self, store: Store, bell: Bell, registry: Registry, options: WorkerOptions, seams: Seams) -> None:
        self._store, self._bell, self._registry, self._options = store, bell, registry, options
        self._seams = seams
        self._looked: dict[str, float] = {}
        self._in_vain: dict[str, float] = {}
        self._busy: set[str] = set()
        self._plain_until: dict[str, float] = {}
        self._deep: set[str] = set()
        self._parking: set[str] = set()
        self._rows: dict[str, tuple[float, int]] = {}
        self._rows_most = _ROWS_KEPT
        self._capped_queues: set[str] = set()
        self._asked_at = float("-inf")
        self._made = False

    @property
    def capped_tasks(self) -> list[str]:
        """Tasks of which only so many may run at once: no plain claim takes them."""
        return self._registry.capped()

    def capped(self, queue: str) -> bool:
        """Whether only so many jobs of this queue may run at once."""
        if boot_seconds() - self._asked_at >= LOOK_SECONDS:
            self._asked_at = boot_seconds()
            self._capped_queues = set(self._store.limits.capped_queues())
        return queue in self._capped_queues

    def look_anew(self) -> None:
        """Forget when what was last looked at."""
        self._asked_at = float("-inf")
        self._looked.clear()
        self._in_vain.clear()
        self._plain_until.clear()

    def come_first(self, queue: str, free: int) -> bool:
        """Whether lines are asked before plain jobs: while they bring something, and where plain jobs never end.

        A look that only parked jobs leaves time to plain ones after it: a line of 100,000 would keep them waiting.
        """
        if not free and not self.ahead_pays(queue):
            return False
        if queue in self._busy:
            return boot_seconds() >= self._plain_until.get(queue, 0.0)
        return free > 0 and queue in self._deep and _past(self._looked, queue)

    def ahead_pays(self, queue: str) -> bool:
        """Whether lines are asked though no place is free: the last such look brought something, or was a while ago."""
        return _past(self._in_vain, queue)

    def plain_ended(self, queue: str, short: bool) -> None:
        """Take note whether plain jobs of a queue ran out."""
        (self._deep.discard if short else self._deep.add)(queue)

    def best_plain(self, order: ClaimOrder) -> int:
        """Down to which priority lines may take before plain jobs of the same queue are asked."""
        found = self._store.claims.best_priority(order)
        return order.priorities[1] if found is None else min(found, order.priorities[1])

    def claim(self, order: ClaimOrder) -> Look:
        """Take jobs from the lines of a queue, as many as `order` has room for."""
        self._make_limits()
        began = boot_seconds()
        if order.free:
            self._looked[order.queue] = began
        taken, moved, seen = self._heads(order)
        if self._wants_capped(order.queue) and order.free > len(taken):
            capped = self._store.limits.claim(order.left(taken), self._only(order.queue), self._registry.cap_of)
            taken = taken + capped
        ended = boot_seconds()
        if taken or moved:
            self._busy.add(order.queue)
            self._in_vain.pop(order.queue, None)
        elif order.free:
            self._busy.discard(order.queue)
        else:
            # Of what is not short it tells nothing: that is taken when a place is free.
            self._in_vain[order.queue] = ended
        self._plain_until[order.queue] = ended if taken else ended + min(PLAIN_MOST, PLAIN_SHARE * (ended - began))
        return Look(taken, moved, seen)

    def _heads(self, order: ClaimOrder) -> Look:
        """Take heads of groups. Those of tasks that may not run now, and groups that others have in hand, as a
        caller's transaction may that replaces a head, do not hide what comes behind them.
        """
        groups = self._store.groups
        taken: list[ClaimedJob] = []
        passed: set[str] = set()
        most = MANY_ARRIVALS if order.queue in self._parking else ARRIVALS
        arrived, moved = groups.arrivals(order, most=most), False
        seen = bool(arrived)
        while _worth_a_step(order.left(taken), arrived):
            self._seams.reach("before park")
            step = groups.claim(order.left(taken), arrived, self._registry.cap_of)
            self._seams.reach("after park")
            taken += step.taken
            moved = moved or step.parked > 0
            if step.queued:
                self._bell.ring(step.queued)
            if step.full.issubset(order.refused) and step.left.issubset(passed):
                break
            order = order._replace(refused=[*order.refused, *step.full])
            passed |= step.left
            if len(passed) > _PASSED:
                break
            arrived = groups.arrivals(order, passed, most)
        if seen:
            (self._parking.add if moved else self._parking.discard)(order.queue)
        return Look(taken, moved, seen)

    def follow(self, ended: Iterable[tuple[ClaimedJob, Settlement]]) -> None:
        """Let groups go on whose jobs have ended, and whose next ones were not taken over at once."""
        groups = {}
        for job, end in ended:
            if job.group_name is None:
                continue
            groups[job.group_name] = job
            if job.group_policy == "stop" and end.state in (JobState.FAILED, JobState.INTERRUPTED):
                self._store.groups.stop(job.group_name, job.id)
        queues = self._store.groups.advance(groups)
        if queues:
            self._bell.ring(queues)

    def hand_over(
        self, worker: str, groups: Iterable[str], only: Collection[str] | None = None, *, full: bool
    ) -> HandOver:
        """Which next jobs of these groups this worker takes at once, of these tasks `only` if said: not more than so
        many in a row, while it is `full`. Where it has room for others, nobody waits for the place.
        """
        options, free = self._options, [task for task in self._registry if task.defaults.max_running is None]
        free = free if only is None else [task for task in free if task.name in only]
        names = [name for task in free for name in (task.name, *task.aliases)]
        allowed = [name for name in groups if not full or self._may_go_on(name)]
        priorities, now = options.priorities or ALL_PRIORITIES, self._store.clock.now()
        return HandOver(worker, allowed, options.queues or None, priorities, names, now)

    def took(self, jobs: Iterable[ClaimedJob]) -> None:
        """Take note of jobs that came by `hand_over`."""
        for job in jobs:
            if job.group_name is not None:
                since, count = self._rows.get(job.group_name, (boot_seconds(), 0))
                self._rows[job.group_name] = (since, count + 1)
        if len(self._rows) > self._rows_most:
            over = boot_seconds() - ROW_SECONDS
            self._rows = {group: row for group, row in self._rows.items() if row[0] > over}
            self._rows_most = max(_ROWS_KEPT, 2 * len(self._rows))

    def _may_go_on(self, group: str) -> bool:
        since, count = self._rows.get(group, (boot_seconds(), 0))
        if boot_seconds() - since <= ROW_SECONDS and count < ROW_MOST:
            return True
        # From now on it stands in line with all others, and then may go on in a row again.
        self._rows.pop(group, None)
        return False

    def _wants_capped(self, queue: str) -> bool:
        return self.capped(queue) or bool(self.capped_tasks)

    def _only(self, queue: str) -> list[str] | None:
        return None if self.capped(queue) else self.capped_tasks

    def _make_limits(self) -> None:
        if not self._made:
            self._store.limits.make([f"task:{name}" for name in self.capped_tasks])
            self._made = True


def _past(times: dict[str, float], queue: str) -> bool:
    return boot_seconds() - times.get(queue, float("-inf")) >= LOOK_SECONDS


def _worth_a_step(order: ClaimOrder, arrived: Sequence[Arrival]) -> bool:
    """Whether it may take heads of these: where no place is free, of short tasks alone."""
    return bool(arrived) and (order.free > 0 or (order.ahead > 0 and any(job.task in order.short for job in arrived)))


class GroupKeeper:
    """Finds groups that a crash left without anybody to go on, and forgets those that are no more."""

    every = 5.0

    def __init__(self, store: Store, bell: Bell) -> None:
        self._store, self._bell = store, bell
        self._after = self._idle_after = ""

    def once(self) -> float | None:
        """One part of the groups; at once again while there are more."""
        for name, failed in self._store.groups.stopped():
            self._store.groups.stop(name, failed)
        found, self._after = self._store.groups.sweep(self._after)
        if found:
            queues = self._store.groups.advance(found)
            if queues:
                log.warning("%d groups stood still and go on", len(found))
                self._bell.ring(queues)
        if self._after:
            return 0.1
        try:
            _, self._idle_after = self._store.groups.rows.prune(self._idle_after, 500)
        except StoreError as error:
            log.debug("groups are cleaned later: %s", error)
        return None
