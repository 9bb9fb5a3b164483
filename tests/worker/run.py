"""`python -m tests.worker.run APP OPTIONS`: a supervisor with its workers, as the command line starts it."""

import json
import logging
import sys

from backburner.worker import Supervisor, WorkerOptions, process
from tests.worker.history import folder
from tests.worker.seams import DeadlySeams


def main() -> int:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s.%(msecs)03d %(process)d %(message)s", datefmt="%H:%M:%S"
    )
    options = json.loads(sys.argv[2])
    process.STOP_GRACE = options.pop("stop_grace", process.STOP_GRACE)
    options["queues"] = tuple(options.get("queues", ()))
    return Supervisor(sys.argv[1], WorkerOptions(**options), DeadlySeams(folder())).run()


if __name__ == "__main__":
    sys.exit(main())
