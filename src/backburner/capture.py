"""Print capture: what a job prints goes to its log as well, when its task asks for that."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import IO, Any

from backburner.context import JobContext

_captured: ContextVar[JobContext | None] = ContextVar("backburner_capture", default=None)


class PrintCapture:
    """A stand-in for `sys.stdout` that sends what a job prints to its log, and all else where it went before."""

    def __init__(self, real: IO[str]) -> None:
        self._real = real

    def write(self, text: str) -> int:
        context = _captured.get()
        if context is not None and text.strip():
            context.log(text)
        return self._real.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@contextmanager
def prints_to_log(context: JobContext) -> Iterator[None]:
    """Send what is printed meanwhile, in this thread or task, to the job's log too."""
    if not isinstance(sys.stdout, PrintCapture):
        sys.stdout = PrintCapture(sys.stdout)
    token = _captured.set(context)
    try:
        yield
    finally:
        _captured.reset(token)
