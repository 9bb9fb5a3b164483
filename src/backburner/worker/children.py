"""What a supervisor knows of its children, the living and the dead."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field

from backburner.blame import Death
from backburner.store.dialects.base import Life
from backburner.worker import exits
from backburner.worker.page import Page


@dataclass(slots=True)
class Child:
    """One child process; whoever is started instead of it has the same `place`."""

    place: int
    worker: str
    pid: int
    page: Page
    started: float
    greeting: int
    life: Life | None = None
    ready: bool = False
    killed: bool = False
    without_database: bool = False
    told: str | None = None
    """What was asked of it from elsewhere, when it has been acted on."""
    stopping: float | None = None
    buffer: bytes = b""


@dataclass(slots=True)
class Grave:
    """A child that ended, and what is known of how; `told` takes the last that was asked of it."""

    worker: str
    death: Death
    told: Callable[[str], None] = field(repr=False)
    life: Life | None = field(default=None, repr=False)
    heard: bool = False
    """Whether `told` has had its word."""
    waits: bool = False
    """Whether the log says already that somebody keeps jobs of it locked."""


def cause_of(code: int, *, killed: bool) -> str:
    """How a process ended, in words; negative codes are signals."""
    if killed:
        return "ended by its supervisor"
    if code < 0:
        try:
            return f"signal {signal.Signals(-code).name}"
        except ValueError:
            return f"signal {-code}"
    return {
        exits.STOPPED: "stopped",
        exits.RECYCLE: "replaced",
        exits.GRACE_OVER: "stopped before its jobs had ended",
        exits.LEASE_OVER: "its lease was over",
        exits.ORPHANED: "its supervisor was gone",
    }.get(code, f"exit code {code}")


def send(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
