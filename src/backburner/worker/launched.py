"""A launched process: it is told its job and its secrets through a pipe, and runs that job under a supervisor."""

from __future__ import annotations

import json
import os
import sys

from backburner.log_lines import log_to_stderr
from backburner.secrets import keep_secrets
from backburner.worker import exits
from backburner.worker.options import WorkerOptions
from backburner.worker.supervisor import Supervisor

LABEL = "launched"


def main() -> int:
    """`python -m backburner.worker.launched APP PIPE PLACE`; the app is imported when the secrets are here."""
    app, pipe, place = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    # What it leaves in files is its user's alone; and only forks of this process keep its place.
    os.umask(0o077)
    os.set_inheritable(place, False)  # noqa: FBT003 (it takes no name)
    # To a file, where text of a job is to forge no line either.
    log_to_stderr(verbose=False)
    with os.fdopen(pipe, "rb") as reading:
        said = reading.read()
    if not said:
        # Whoever started it stored no job, or died.
        return exits.STOPPED
    order = json.loads(said)
    keep_secrets(order["secrets"])
    options = WorkerOptions(**order["options"], only=order["job"], burst=True, concurrency=1, label=LABEL)
    return Supervisor(app, options).run()


if __name__ == "__main__":
    sys.exit(main())
