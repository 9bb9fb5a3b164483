"""A supervisor with its workers, as the command line starts it; runs in a process of its own."""

import logging
from typing import Any

from backburner.worker import Supervisor, WorkerOptions, process
from tests.worker.history import folder
from tests.worker.seams import DeadlySeams


def supervise(app: str, options: dict[str, Any]) -> int:
    """Run until told to stop; the exit code."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s.%(msecs)03d %(process)d %(message)s", datefmt="%H:%M:%S"
    )
    process.STOP_GRACE = options.pop("stop_grace", process.STOP_GRACE)
    options["queues"] = tuple(options.get("queues", ()))
    return Supervisor(app, WorkerOptions(**options), DeadlySeams(folder())).run()
