"""The bar of a task that is simply called: on a terminal, on stderr; silent elsewhere."""

from __future__ import annotations

import sys
import time

from backburner.progress import Progress

_EVERY_SECONDS = 0.1
_WIDTH = 30


class ConsoleBar:
    """Draws at most ten times a second, and nothing when stderr is no terminal."""

    def __init__(self) -> None:
        self._shows = sys.stderr is not None and sys.stderr.isatty()
        self._last = 0.0

    def show(self, progress: Progress) -> None:
        """Draw the bar unless it was drawn just now."""
        if self._shows and (now := time.monotonic()) - self._last >= _EVERY_SECONDS:
            self._last = now
            sys.stderr.write("\r\x1b[K" + bar(progress))
            sys.stderr.flush()

    def end(self, progress: Progress) -> None:
        """Draw the last state and go to the next line."""
        if self._shows:
            sys.stderr.write("\r\x1b[K" + bar(progress) + "\n")

    def line(self, text: str) -> None:
        """Print a line of output above the bar."""
        if self._shows:
            sys.stderr.write("\r\x1b[K" + text.rstrip("\n") + "\n")


def bar(progress: Progress) -> str:
    """One line: share, bar, count, message."""
    unit = f" {progress.unit}" if progress.unit and progress.unit != "%" else ""
    share = progress.share
    if share is None:
        head = f"{progress.done:,g}{unit}"
    else:
        full = round(share * _WIDTH)
        count = "" if progress.unit == "%" else f"  {progress.done:,g} of {progress.total:,g}{unit}"
        head = f"{share:4.0%} {'█' * full}{'·' * (_WIDTH - full)}{count}"
    return "  ".join(part for part in (progress.stage, head, progress.message) if part)
