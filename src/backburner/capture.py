"""Print capture: what a job prints goes to its log as well, when its task asks for that."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import IO, Any

from backburner.context import MAX_TEXT, JobContext
from backburner.errors import LeaseLost
from backburner.outcome import Cancelled, TimedOut


class LogLines:
    """Puts lines of the log together: `print` writes its arguments, the spaces between and the end one by one."""

    def __init__(self, context: JobContext) -> None:
        self._context, self._rest = context, ""

    def write(self, text: str) -> None:
        """Log what is whole."""
        *lines, self._rest = (self._rest + text).split("\n")
        if len(self._rest) >= MAX_TEXT:
            lines, self._rest = [*lines, self._rest], ""
        for line in lines:
            if line.strip():
                self._context.log(line)

    def end(self) -> None:
        """Log what has no end of line. The body has ended: it is too late to stop it."""
        rest, self._rest = self._rest, ""
        if rest.strip():
            with suppress(Cancelled, TimedOut, LeaseLost):
                self._context.log(rest)


_captured: ContextVar[LogLines | None] = ContextVar("backburner_capture", default=None)


class PrintCapture:
    """A stand-in for `sys.stdout` that sends what a job prints to its log, and all else where it went before."""

    def __init__(self, real: IO[str]) -> None:
        self._real = real

    def write(self, text: str) -> int:
        lines = _captured.get()
        if lines is not None:
            lines.write(text)
        return self._real.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@contextmanager
def prints_to_log(context: JobContext) -> Iterator[None]:
    """Send what is printed meanwhile, in this thread or task, to the job's log too."""
    if not isinstance(sys.stdout, PrintCapture):
        sys.stdout = PrintCapture(sys.stdout)
    lines = LogLines(context)
    token = _captured.set(lines)
    try:
        yield
    finally:
        _captured.reset(token)
        lines.end()
