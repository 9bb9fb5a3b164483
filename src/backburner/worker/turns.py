"""Which queue is asked first: in the order given, or in turns by weight, so that none keeps others out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from backburner.clock import boot_seconds
from backburner.worker.options import WorkerOptions

LIST_SECONDS = 0.25
"""How often a busy worker asks which other queues have jobs."""
KEPT = 50


class Turns:
    """The order of queues for each look. `ready()` names the queues with queued jobs.

    Turns are fair queueing by count: what a queue was served is divided by its weight, and the queue that has had
    least comes first. One that just got work starts where the least served one stands, not at zero.
    """

    def __init__(self, options: WorkerOptions, ready: Callable[[], list[str]]) -> None:
        self._given, self._strict, self._ready = options.queues, options.strict, ready
        self._weights = dict(zip(options.queues, options.weights, strict=False))
        self._known: list[str] = list(options.queues)
        self._rivals: list[str] = []
        self._served: dict[str, float] = {}
        self._listed_at = 0.0

    def order(self) -> list[str]:
        """The queues to ask, the first one first; without a look at which there are."""
        if self._strict:
            return list(self._given)
        return self._rivals + [name for name in self._known if name not in self._rivals]

    def others(self) -> list[str]:
        """Queues with jobs that `order` did not name: asked when those had nothing."""
        if self._given:
            return []
        known = set(self._known)
        return [name for name in self._ready() if name not in known]

    def found(self, names: list[str]) -> None:
        """These of `others` had jobs: from now on they come first."""
        self._known = (names + self._known)[:KEPT]

    def served(self, counts: Mapping[str, int]) -> None:
        """Take note of how many jobs of each queue were taken in one look."""
        if self._strict:
            return
        if boot_seconds() - self._listed_at >= LIST_SECONDS:
            self._listed_at = boot_seconds()
            self._rivals = [name for name in self._ready() if not self._given or name in self._given]
            least = min((self._served[name] for name in self._rivals if name in self._served), default=0.0)
            self._served = {name: self._served.get(name, least) for name in self._rivals}
        for name, count in counts.items():
            if name in self._served:
                self._served[name] += count / self._weights.get(name, 1.0)
        self._rivals.sort(key=lambda name: self._served.get(name, 0.0))
