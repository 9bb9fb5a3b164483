"""Apps whose workers are woken by a broker, RabbitMQ or Redis; every test with `broker` runs once for each."""

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from backburner import Backburner
from backburner.broker.rings import Names
from backburner.worker import Worker, WorkerOptions
from tests.servers import RabbitServer, RedisServer

Server = RabbitServer | RedisServer
Apps = Callable[..., Backburner]
Workers = Callable[..., Worker]

SLOW = WorkerOptions(concurrency=4, poll=30.0)
"""Without a ring such a worker finds nothing within the time of a test."""


@pytest.fixture(params=["rabbit", "redis"])
def broker(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A broker that runs when the test begins; the test may stop it."""
    server: Server = request.getfixturevalue(request.param)
    server.start()
    yield server
    server.resume()
    server.start()


@pytest.fixture
def app(postgresql_url: str, broker: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Apps]:
    """Make a Backburner with a bell of its own, as another process has: only the broker leads from one to the other.

    Each test has names of its own in the broker, so that none sees what another has left there.
    """
    made: list[Backburner] = []
    key = secrets.token_hex(6)
    monkeypatch.setattr(Names, "of", classmethod(lambda cls, store: cls(key)))

    def make(**settings: Any) -> Backburner:
        settings = {"broker": broker.url, "files": str(tmp_path / "files")} | settings
        jobs = Backburner(postgresql_url, **settings)
        jobs.task(name="add")(add)
        made.append(jobs)
        return jobs

    yield make
    for jobs in made:
        jobs.close()


@pytest.fixture
def start() -> Iterator[Workers]:
    """Start workers in this process; they end with the test."""
    started: list[Worker] = []

    def start_worker(jobs: Backburner, options: WorkerOptions = SLOW) -> Worker:
        started.append(Worker(jobs, options).start())
        return started[-1]

    yield start_worker
    # Together: each may have to wait a second for what it has asked Redis.
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda worker: worker.stop(5.0), started))


def add(a: int, b: int = 0) -> int:
    return a + b
