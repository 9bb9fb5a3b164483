"""A bell that also runs what it rings for, when a test wants that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from backburner.notify import Bell, Ear


class InlineBell:
    """Rings `bell`, and then calls `rung`: after each commit that made jobs ready, as a worker hears of it."""

    def __init__(self, bell: Bell, rung: Callable[[], None]) -> None:
        self._bell, self._rung = bell, rung

    def ring(self, queues: Iterable[str]) -> None:
        """Raises what the jobs raise that run now."""
        self._bell.ring(queues)
        self._rung()

    def ear(self, queues: Sequence[str] = (), priorities: tuple[int, int] | None = None) -> Ear:
        """A listener of the bell inside."""
        return self._bell.ear(queues, priorities)

    def close(self) -> None:
        """Close the bell inside."""
        self._bell.close()
