"""How long jobs of each task take lately: it decides what may be claimed ahead of a free slot."""

from __future__ import annotations

SHORT_SECONDS = 0.05
"""A task is short when 95 of 100 runs took less than this."""
TINY_SECONDS = 0.0005
"""Below this, one thread that runs many jobs in a row beats many threads that take turns."""
_ENOUGH = 20
_WINDOW = 200


class Pace:
    """Running figures of one task. Written by several threads without a lock: a lost count does not matter."""

    __slots__ = ("long", "mean", "runs")

    def __init__(self) -> None:
        self.runs, self.long, self.mean = 0, 0, 0.0

    def ran(self, seconds: float) -> None:
        """Count one run."""
        self.runs += 1
        self.mean += (seconds - self.mean) * (0.05 if self.runs > _ENOUGH else 1 / self.runs)
        if seconds >= SHORT_SECONDS:
            self.long += 1
        if self.runs >= _WINDOW:
            self.runs //= 2
            self.long //= 2

    @property
    def short(self) -> bool:
        """True when jobs of this task may wait behind each other."""
        return self.runs >= _ENOUGH and self.long * 20 <= self.runs

    @property
    def tiny(self) -> bool:
        """True when a thread switch would cost more than a run."""
        return self.short and self.mean < TINY_SECONDS
