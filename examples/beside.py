"""`Beside`: a server and what runs beside it, for the small shops; both end together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

_LOOK_SECONDS = 0.2
_END_SECONDS = 30.0


class Beside:
    """Each command is a process of its own."""

    def __init__(self, *commands: Sequence[str]) -> None:
        self._commands = commands

    def run(self) -> int:
        """Until one ends by itself, which is 1, or Ctrl-C or SIGTERM, which is 0."""
        # A shell that starts it in the background has SIGINT ignored.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        # Started behind each other: the server makes the tables.
        started = [subprocess.Popen(command) for command in self._commands]
        try:
            while all(process.poll() is None for process in started):
                time.sleep(_LOOK_SECONDS)
            print("One of them has ended: see what it said above.", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 0
        finally:
            _end(started)


def _end(started: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in started:
        if process.poll() is None:
            process.terminate()
    for process in started:
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
