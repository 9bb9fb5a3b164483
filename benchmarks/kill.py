"""What `kill -9` costs: 200 jobs of 0.2 s, killed half-way, watched until all have succeeded or 140 s are over.

    python -m benchmarks.kill [--jobs N]

`child` kills the worker process under its supervisor, `tree` all of them, and starts the worker again. It
prints how many jobs were cut off, after how long the first and the last of them ran again, and how many never
succeeded. What was cut off comes back in processes of its own, four at a time.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import psutil

from backburner import Backburner
from backburner.job import Job
from backburner.states import JobState
from tests.servers import PostgresServer

URL_VARIABLE = "BENCHMARK_URL"
WATCHED_SECONDS = 140.0
LOOK_SECONDS = 0.02


class Outcome(NamedTuple):
    """Seconds are counted from the kill; None: not within `WATCHED_SECONDS`."""

    cut: int
    first: float | None
    last: float | None
    lost: int


def jobs_at(url: str) -> Backburner:
    """The app on one database."""
    jobs = Backburner(url, auto_migrate=True)

    @jobs.task(name="benchmarks.kill.work")
    def work(n: int) -> None:
        time.sleep(0.2)

    return jobs


jobs = jobs_at(os.environ.get(URL_VARIABLE, "sqlite:///unused.db"))


def measure(url: str, whole_tree: bool, count: int) -> Outcome:
    """One run on an empty database."""
    watched = jobs_at(url)
    ids = watched.enqueue_many(watched.registry.require("benchmarks.kill.work"), [(n,) for n in range(count)])
    worker = _worker(url)
    try:
        while _succeeded(watched, ids) < count // 2:
            time.sleep(LOOK_SECONDS)
        killed_at = time.monotonic()
        if whole_tree:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
            worker = _worker(url)
        else:
            os.kill(psutil.Process(worker.pid).children()[0].pid, signal.SIGKILL)
        return _watch(watched, ids, killed_at)
    finally:
        worker.terminate()
        worker.wait()
        watched.close()


def _watch(watched: Backburner, ids: list[str], killed_at: float) -> Outcome:
    cut = [job_id for job_id, state in watched.store.jobs.states(ids).items() if state is JobState.RUNNING]
    first: float | None = None
    last: float | None = None
    while time.monotonic() - killed_at < WATCHED_SECONDS and _succeeded(watched, ids) < len(ids):
        again = [_ran_again(job) for job in watched.control.get_many(cut).values()]
        passed = time.monotonic() - killed_at
        first = passed if first is None and any(again) else first
        last = passed if last is None and all(again) else last
        time.sleep(LOOK_SECONDS)
    return Outcome(len(cut), first, last, len(ids) - _succeeded(watched, ids))


def _ran_again(job: Job) -> bool:
    return job.attempt > 1 or job.state is JobState.SUCCEEDED


def _succeeded(watched: Backburner, ids: list[str]) -> int:
    return sum(state is JobState.SUCCEEDED for state in watched.store.jobs.states(ids).values())


def _worker(url: str) -> subprocess.Popen[bytes]:
    command = [str(Path(sys.executable).with_name("backburner")), "--app", "benchmarks.kill:jobs", "worker"]
    return subprocess.Popen(
        command, env=os.environ | {URL_VARIABLE: url}, start_new_session=True, stderr=subprocess.DEVNULL
    )


def main() -> None:
    """Measure all four and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=200)
    count = parser.parse_args().jobs
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(PostgresServer())
        for killed in ("child", "tree"):
            for name, url in (("SQLite", f"sqlite:///{folder / killed}.db"), ("PostgreSQL", server.create_database())):
                found = measure(url, killed == "tree", count)
                first, last = ("not seen" if at is None else f"{at:.1f} s" for at in (found.first, found.last))
                print(f"{name:10}  {killed:5}  cut off {found.cut}, never succeeded {found.lost}")
                print(f"{'':19}the first again after {first}, the last after {last}")


if __name__ == "__main__":
    main()
