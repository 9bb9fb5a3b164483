"""What those who watch cost: viewers on live streams of running jobs.

    python -m benchmarks.viewers [--database NAME] [--viewers 200] [--jobs 50] [--seconds 20] [--small]

One web process serves all viewers, another process runs the jobs; each job says twice a second how far it is, and when
it said so. Printed, a line per database: queries per second of the web process while all watch, what each connection
cost before that, and how old an update was when a viewer had it. Every viewer has a connection of its own, as in 200
browsers; streams are renewed after 30 s, so connections count again then.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import uvicorn
from sqlalchemy import event

from backburner import Backburner, Job, Task, current_job
from backburner.web import User, web_app
from backburner.worker import Worker, WorkerOptions
from benchmarks.drain import new_url

PAUSE = 0.5


def declared(jobs: Backburner) -> Task[[], None]:
    """The task: says twice a second what time it is, until it is cancelled."""

    @jobs.task(name="benchmarks.viewers.tell")
    def tell() -> None:
        job = current_job()
        number = 0
        while True:
            number += 1
            job.progress(number % 99, repr(time.time()))
            time.sleep(PAUSE)

    return tell


def work(url: str, count: int) -> None:
    """Run the jobs until standard input is closed."""
    jobs = Backburner(url)
    declared(jobs)
    with Worker(jobs, WorkerOptions(concurrency=count, poll=0.1)):
        sys.stdin.read()
        jobs.cancel(done=False)


def measured(url: str, viewers: int, count: int, seconds: float) -> dict[str, Any]:
    """One database: so many viewers of `count` running jobs, for so many seconds."""
    jobs = Backburner(url, auto_migrate=True)
    task = declared(jobs).options(visibility="public")
    running = [task.enqueue() for _ in range(count)]
    queries = [0]

    def asked(*_: object) -> None:
        queries[0] += 1

    app = web_app(jobs, resolve_user=lambda request: User("viewer"))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    worker = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.viewers", "--work", url, "--jobs", str(count)], stdin=subprocess.PIPE
    )
    try:
        thread.start()
        while not server.started or not all(job.refresh().progress for job in running):
            time.sleep(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        event.listen(jobs.store.engine, "before_cursor_execute", asked)
        opened: list[tuple[int, float]] = []
        ages = asyncio.run(
            watched(
                port, running, viewers, seconds,
                all_there=lambda: bool(app.state.feed.viewers >= viewers),
                begin=lambda: opened.append((queries[0], time.monotonic())),
            )
        )  # fmt: skip
        [(connecting, begun)] = opened
        while_watched, took = queries[0] - connecting, time.monotonic() - begun
        event.remove(jobs.store.engine, "before_cursor_execute", asked)
    finally:
        app.state.shutdown.ask()
        server.should_exit = True
        worker.communicate()
        thread.join()
        jobs.close()
    percentiles = statistics.quantiles(ages, n=20)
    return {
        "viewers": viewers,
        "jobs": count,
        "updates": len(ages),
        "queries_per_second": round(while_watched / took, 1),
        "queries_per_connection": round(connecting / viewers, 1),
        "age_p50": round(percentiles[9], 3),
        "age_p95": round(percentiles[18], 3),
    }


async def watched(
    port: int,
    running: Sequence[Job],
    viewers: int,
    seconds: float,
    all_there: Callable[[], bool],
    begin: Callable[[], None],
) -> list[float]:
    """How old each update was, in seconds, when it came; of all viewers together, from when `all_there` is true on."""
    ages, enough = list[float](), asyncio.Event()

    async def view(job: Job) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /jobs/{job.id}/events?log=0 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        while line := await reader.readline():
            if line.startswith(b'data: {"id"') and b'"progress": {' in line:
                body = json.loads(line.removeprefix(b"data: "))
                # Not of a snapshot: what it holds may be as old as it likes.
                if "job" not in body:
                    ages.append(time.time() - float(body["progress"]["message"]))
                    if len(ages) >= 2 * viewers:
                        enough.set()
        writer.close()

    tasks = [asyncio.create_task(view(running[n % len(running)])) for n in range(viewers)]
    while not all_there():  # noqa: ASYNC110 (it is true in another thread)
        await asyncio.sleep(0.02)
    begin()
    ages.clear()
    await asyncio.sleep(seconds)
    await asyncio.wait_for(enough.wait(), 60)
    for each in tasks:
        each.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception):
            raise error
    return ages


def main() -> None:
    """Measure and print one line per database."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.viewers")
    parser.add_argument("--database", action="append", choices=("sqlite", "postgresql", "mariadb"))
    parser.add_argument("--viewers", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--small", action="store_true", help="see that it works")
    parser.add_argument("--work", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options.jobs)
        return
    if options.small:
        options.viewers, options.jobs, options.seconds = 12, 4, 2.0
    for database in options.database or ("sqlite", "postgresql"):
        with ExitStack() as stack:
            url = new_url(database, stack)()
            found = measured(url, options.viewers, options.jobs, options.seconds)
            print(json.dumps({"database": database, **found}))


if __name__ == "__main__":
    main()
