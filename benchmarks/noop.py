"""The app whose jobs the drain measures, and its worker: `python -m benchmarks.noop URL PROCESSES`."""

from __future__ import annotations

import os
import sys

from backburner import Backburner
from backburner.worker import Supervisor, WorkerOptions

URL_VARIABLE = "BENCHMARK_URL"


def jobs_at(url: str) -> Backburner:
    """The app on one database."""
    jobs = Backburner(url)

    @jobs.task(name="benchmarks.noop.noop")
    def noop(n: int) -> None:
        """Do nothing."""

    return jobs


jobs = jobs_at(os.environ.get(URL_VARIABLE, "sqlite:///unused.db"))


def main() -> None:
    """Work off what is queued and end."""
    os.environ[URL_VARIABLE] = sys.argv[1]
    options = WorkerOptions(processes=int(sys.argv[2]), burst=True)
    sys.exit(Supervisor("benchmarks.noop:jobs", options).run())


if __name__ == "__main__":
    main()
