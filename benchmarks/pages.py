"""How long the pages of a large installation take: dashboard and lists with a million finished jobs.

    python -m benchmarks.pages [--database NAME] [--finished 1000000] [--requests 40] [--small]

The table holds finished jobs of 20 tasks in five queues, of 20 days and 500 owners; a worker adds thousands of failures
of a hundred causes; some hundred jobs wait. Charts have 30 days of rollups. Pages are asked of a web server in another
process, in turn, one at a time. Printed, a line per database: milliseconds, the 95th percentile of each page, and that
of the slowest.
"""

from __future__ import annotations

import argparse
import http.client
import json
import logging
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import timedelta

import uvicorn

from backburner import Backburner, PermanentError, Retry, Task
from backburner.histogram import BUCKETS, Histogram
from backburner.job import NewJob
from backburner.rollup import Rollup, minute_of
from backburner.web import User, web_app
from backburner.web.server import run
from backburner.worker import Worker, WorkerOptions
from benchmarks.drain import new_url
from benchmarks.suite.limits import finished
from benchmarks.suite.results import percentile
from examples.shop.listening import listener

TASKS = [f"{kind}.{verb}" for kind in ("orders", "mails", "images", "reports", "users") for verb in "abcd"]
QUEUES = ("default", "mail", "slow", "import", "export")
CAUSES, OWNERS = 100, 500

NOTHING = "nothing but an answer"
PAGES = {
    NOTHING: "/livez",
    "overview": "/dashboard/overview",
    "jobs": "/dashboard/jobs",
    "jobs, failed": "/dashboard/jobs?q=state%3Afailed",
    "jobs, one task": "/dashboard/jobs?q=task%3Aorders.a",
    "jobs, tasks by prefix": "/dashboard/jobs?q=task%3Aorders.%2A",
    "jobs, one owner": "/dashboard/jobs?q=owner%3Aowner7",
    "jobs, a queue and a time": "/dashboard/jobs?q=queue%3Amail+created%3A%3E2d",
    "jobs, nothing matches": "/dashboard/jobs?q=state%3Asucceeded+owner%3Anobody",
    "job": "/dashboard/jobs/{job}",
    "failures": "/dashboard/failures",
    "queues": "/dashboard/queues",
    "schedules": "/dashboard/schedules",
    "workers": "/dashboard/workers",
    "tasks": "/dashboard/tasks",
    "task": "/dashboard/tasks/orders.a",
    "audit": "/dashboard/audit",
    "settings": "/dashboard/settings",
    "mine": "/mine",
    "list": "/jobs",
    "list, failed": "/jobs?state=failed",
    "list, second page": "{following}",
    "job as JSON": "/jobs/{job}",
    "metrics": "/metrics",
}


def declared(jobs: Backburner) -> dict[str, Task[[int], None]]:
    """Tasks whose jobs succeed, fail or try again, as their number says."""

    def body(number: int) -> None:
        if number % 4 == 1:
            raise PermanentError(f"cause {number % CAUSES} of many")
        if number % 100 == 2:
            raise Retry(f"cause {number % CAUSES} of many", after=timedelta(hours=1))

    return {name: jobs.task(name=name, queue=QUEUES[n % len(QUEUES)])(body) for n, name in enumerate(TASKS)}


def fill(url: str, count: int) -> None:
    """Store all that the pages show."""
    logging.getLogger("backburner").setLevel(logging.CRITICAL)
    jobs = Backburner(url, auto_migrate=True)
    tasks = declared(jobs)
    now = jobs.store.clock.now()
    templates = [
        NewJob(
            "", TASKS[n % len(TASKS)], '{"number":0}', "json", QUEUES[n % len(QUEUES)], 50, now, now,
            owner=f"owner{n}", title=f"Number {n}",
        )
        for n in range(min(OWNERS, count // 10))
    ]  # fmt: skip
    finished(url, count, templates)
    for name, task in tasks.items():
        jobs.enqueue_many(task, [(number,) for number in range(min(1_000, count // 100))])
        jobs.schedule(task, args=(0,), name=f"nightly {name}", cron="0 3 * * *")
    worker = Worker(jobs, WorkerOptions(burst=True))
    with worker:
        if not worker.wait(120):
            raise RuntimeError("the worker did not come to its end within 120 s")
    _chart(jobs, minute_of(now))
    for task in tasks.values():
        jobs.enqueue_many(task, [(0,)] * 20)
        task.options(delay=timedelta(days=1)).enqueue(0)
    jobs.close()


def _chart(jobs: Backburner, now: int) -> None:
    """A row per task and hour of 30 days, merged as workers do."""
    times = Histogram((0, 50, 30, 10, 5, 3, 2, *(0,) * (BUCKETS - 7)))
    for day in range(30):
        jobs.store.rollups.write(
            [
                Rollup(now - day * 1_440 - hour * 60, QUEUES[n % len(QUEUES)], name, (90, 5, 3, 0, 1, 1), times, times)
                for hour in range(24)
                for n, name in enumerate(TASKS)
            ],
            None,
        )
    while jobs.store.rollups.merge(now):
        pass


def serve(url: str) -> None:
    """Print the port, and serve until the process is ended."""
    jobs = Backburner(url)
    declared(jobs)
    app = web_app(jobs, resolve_user=lambda request: User("owner7", operator=True))
    with listener() as listening:
        print(listening.getsockname()[1], flush=True)
        run(uvicorn.Config(app, log_level="warning"), [listening])


def measured(url: str, count: int, requests: int) -> dict[str, float]:
    """Milliseconds of the 95th percentile by page, of so many requests each, with `count` finished jobs."""
    fill(url, count)
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.pages", "--serve", url], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        connection = http.client.HTTPConnection("127.0.0.1", int(server.stdout.readline()), timeout=60)
        _, body = _asked(connection, "/jobs")
        found = json.loads(body)
        job, following = found["jobs"][0]["id"], found["next"]
        paths = {name: path.format(job=job, following=following) for name, path in PAGES.items()}
        times: dict[str, list[float]] = {name: [] for name in paths}
        # The first round compiles templates and statements and fills the database's memory.
        for number in range(requests + 1):
            for name, path in paths.items():
                milliseconds, _ = _asked(connection, path)
                if number:
                    times[name].append(milliseconds)
        connection.close()
    finally:
        server.terminate()
        server.wait(30)
    return {name: percentile(each, 0.95) for name, each in times.items()}


def _asked(connection: http.client.HTTPConnection, path: str) -> tuple[float, bytes]:
    """Milliseconds until the whole answer is there, and its body. Raises RuntimeError if it is none of those wanted."""
    began = time.perf_counter()
    connection.request("GET", path, headers={"Accept": "application/json" if path.startswith("/jobs") else "text/html"})
    answer = connection.getresponse()
    body = answer.read()
    took = (time.perf_counter() - began) * 1e3
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}: {body[:300]!r}")
    return took, body


def main() -> None:
    """Measure and print one line per database."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages")
    parser.add_argument("--database", action="append", choices=("sqlite", "postgresql", "mariadb"))
    parser.add_argument("--finished", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=40, help="of each page")
    parser.add_argument("--small", action="store_true", help="see that it works")
    parser.add_argument("--serve", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    if options.small:
        options.finished, options.requests = 2_000, 2
    for database in options.database or ("sqlite", "postgresql", "mariadb"):
        with ExitStack() as stack:
            found = measured(new_url(database, stack)(), options.finished, options.requests)
            figures = {name: round(milliseconds, 1) for name, milliseconds in found.items()}
            slowest = max(figures.values())
            print(json.dumps({"database": database, "finished": options.finished, "slowest": slowest, "p95": figures}))


if __name__ == "__main__":
    main()
