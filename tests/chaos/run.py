"""A supervisor of a chaos run, in a process of its own."""

import ctypes
import faulthandler
import logging
import signal
from contextlib import suppress
from typing import Any

from backburner.worker import Supervisor, WorkerOptions, process
from tests.chaos import clock
from tests.chaos.app import folder
from tests.chaos.recording import record_ends
from tests.worker.seams import DeadlySeams

_PR_SET_PDEATHSIG = 1


def supervise(options: dict[str, Any]) -> int:
    """Run until told to stop; the exit code."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s.%(msecs)03d %(process)d %(message)s", datefmt="%H:%M:%S"
    )
    process.STOP_GRACE = 2.0
    # With the run, however that ends; the children find out by themselves.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Whoever hangs says where when he is asked: see `harms.ended`.
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    clock.follow(folder())
    record_ends(folder() / "history")
    return Supervisor("tests.chaos.live:jobs", WorkerOptions(**options), DeadlySeams(folder())).run()
