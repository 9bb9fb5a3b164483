"""What a bell and an ear are."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Protocol

from backburner.job import ClaimedJob


class Ear(Protocol):
    """One listener's side."""

    def wait(self, seconds: float) -> bool:
        """True when it rang, or may have, since the last call; False after `seconds` of silence."""
        ...

    def ring(self) -> None:
        """Wake the one who waits, from any thread."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...

    @property
    def patience(self) -> float:
        """How many times longer than usual a look without a ring may wait."""
        ...

    def begin(self) -> None:
        """The listener has room and is about to look for jobs."""
        ...

    def took(self, jobs: Sequence[ClaimedJob]) -> None:
        """The listener has claimed these."""
        ...

    def settle(self, *, full: bool) -> None:
        """The listener has looked, or cannot; `full` when it has no room for more."""
        ...


class Bell(Protocol):
    """Rung after a commit that made jobs ready."""

    def ring(self, queues: Iterable[str]) -> None:
        """Say that these queues may have something, or any when there are none.

        A mapping from queue to how many jobs by priority, `{"mail": {50: 3}}`, says more to bells that can use it.
        Never raises, never blocks on the database.
        """
        ...

    def ear(self, queues: Sequence[str] = (), priorities: tuple[int, int] | None = None) -> Ear:
        """A new listener for these queues and priorities, or all; it hears rings of this process and of others.

        It may hear more than it asked for.
        """
        ...

    def close(self) -> None:
        """Send what is left and stop."""
        ...


class LocalEar:
    """Hears what is rung in this process."""

    def __init__(self) -> None:
        self._rang = threading.Event()

    def wait(self, seconds: float) -> bool:
        rang = self._rang.wait(max(0.0, seconds))
        self._rang.clear()
        return rang

    def ring(self) -> None:
        self._rang.set()

    def close(self) -> None:
        self._rang.set()

    @property
    def patience(self) -> float:
        return 1.0

    def begin(self) -> None:
        return

    def took(self, jobs: Sequence[ClaimedJob]) -> None:
        return

    def settle(self, *, full: bool) -> None:
        return
