"""Queues what has become due, and ends what came too late."""

from __future__ import annotations

from collections.abc import Callable

from backburner.notify import Bell
from backburner.seams import Seams
from backburner.store.store import Store
from backburner.store.upkeep import BATCH, SIGNATURE, UNKNOWN_TASK


class Promoter:
    """Looks once per `every` seconds, and exactly when the next job is due."""

    soon = 0.05
    """Until the next look when what is due was not to be had: somebody else is about to change it."""

    def __init__(self, store: Store, bell: Bell, every: float, seams: Seams) -> None:
        self._store, self._bell, self.every, self._seams = store, bell, every, seams

    def once(self) -> float | None:
        """Promote; the seconds until the next job is due."""
        self._seams.reach("before promote")
        queues = self._store.upkeep.promote()
        self._seams.reach("after promote")
        if queues:
            self._bell.ring(queues)
        due = self._store.upkeep.next_due()
        if due is None:
            return None
        # At once again only while that brings something: what is left of what is due, others have locked.
        return max(0.0 if queues else self.soon, (due - self._store.clock.now()).total_seconds())


class Expirer:
    """Ends waiting jobs that were not started in time."""

    every = 5.0

    def __init__(self, store: Store, bell: Bell) -> None:
        self._store, self._bell = store, bell

    def once(self) -> float | None:
        """Expire a batch; at once again when there may be more."""
        found = self._store.upkeep.expire()
        if found.queues:
            self._bell.ring(found.queues)
        return 0.0 if found.count == BATCH else None


class Launches:
    """Queues launched jobs whose own process has not come for them."""

    every = 15.0

    def __init__(self, store: Store, bell: Bell) -> None:
        self._store, self._bell = store, bell

    def once(self) -> float | None:
        """Free what has waited for too long."""
        if self._store.single.release_launches():
            self._bell.ring(())
        return None


class Unholder:
    """Queues jobs held for an unknown task that this worker knows."""

    every = 60.0
    soon = 1.0
    """Until the next look after something was freed: a worker that does not know it may have been quicker."""

    def __init__(self, store: Store, bell: Bell, tasks: Callable[[], list[str]]) -> None:
        self._store, self._bell, self._tasks = store, bell, tasks
        self._begins = True

    def once(self) -> float | None:
        """Free what this worker can run."""
        freed = self._free(UNKNOWN_TASK)
        if self._begins:
            # Once, for its code may be newer than that which they did not fit.
            freed += self._free(SIGNATURE)
            self._begins = False
        if not freed:
            return None
        self._bell.ring(())
        return self.soon

    def _free(self, reason: str) -> int:
        """Batch by batch: whoever looks only once leaves none of them."""
        freed = BATCH
        count = 0
        while freed == BATCH:
            freed = self._store.upkeep.unhold(self._tasks(), reason)
            count += freed
        return count
