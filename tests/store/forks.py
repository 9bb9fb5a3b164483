"""A forked child that does some work and then stays until it is let go or killed."""

import os
import signal
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Forked:
    """Runs `work` in a forked child; entering waits until it is done, leaving ends the child."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work

    def __enter__(self) -> Self:
        done_here, done_there = os.pipe()
        self._gate, gate_there = os.pipe()[::-1]
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._gate)
            self._in_child(done_there, gate_there)
        os.close(done_there)
        os.close(gate_there)
        with os.fdopen(done_here) as report:
            told = report.read()
        assert told == "done", f"the child failed:\n{told}"
        return self

    def _in_child(self, done: int, gate: int) -> None:
        # Never back into pytest: whatever happens, the child ends here.
        try:
            try:
                self._work()
                os.write(done, b"done")
            except BaseException:
                os.write(done, traceback.format_exc().encode())
            os.close(done)
            os.read(gate, 1)
        finally:
            os._exit(0)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        os.kill(self._pid, signal.SIGKILL)
        self._bury()

    def _bury(self) -> None:
        if self._pid:
            os.waitpid(self._pid, 0)
            self._pid = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._gate)
        self._bury()
