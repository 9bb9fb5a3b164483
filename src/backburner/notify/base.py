"""What a bell and an ear are."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Protocol


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


class Bell(Protocol):
    """Rung after a commit that made jobs ready."""

    def ring(self, queues: Iterable[str]) -> None:
        """Say that these queues may have something. Never raises, never blocks on the database."""
        ...

    def ear(self) -> Ear:
        """A new listener; it hears rings of this process and, where the database helps, of all others."""
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
