"""What RQ's workers import."""

from __future__ import annotations

from counted import note, tick


def noop(number: int) -> None:
    """Count."""
    tick()


def stamp(sent: float) -> None:
    """Note."""
    note(sent)
