"""The systems that are compared, each in its default and in the fastest configuration its documentation gives."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PEERS = Path(__file__).parents[1] / "peers"
ROOT = PEERS.parents[1]
ENVIRONMENTS = ROOT / ".peers"
"""A virtual environment for each peer."""


@dataclass(frozen=True, eq=False)
class Fleet:
    """How workers are started: `processes` times this command, whose first word is a program of the environment."""

    command: tuple[str, ...]
    processes: int = 1
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class System:
    """One system on one server. `server` is sqlite, postgresql, mariadb, rabbitmq or redis; `says` what is not durable.

    `broker` is what rings beside the database: rabbitmq or redis.

    `drained`, `asked` and `bulked` are how many jobs are drained, enqueued one at a time, and enqueued in bulk: each
    takes some seconds.
    """

    name: str
    script: str
    server: str
    package: str | None
    default: Fleet
    best: Fleet
    drained: int
    asked: int = 3_000
    bulked: int = 20_000
    says: str = ""
    broker: str | None = None

    @property
    def programs(self) -> Path:
        """Where its Python and its programs are."""
        if self.package is None:
            return Path(sys.executable).parent
        return ENVIRONMENTS / self.script.removesuffix("_app") / "bin"

    def install(self) -> None:
        """Make its virtual environment, unless it is there with this package."""
        if self.package is None:
            return
        home = self.programs.parent
        stamp = home / "installed"
        if stamp.exists() and stamp.read_text() == self.package:
            return
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, self.package], check=True)
        stamp.write_text(self.package)

    def environ(self, url: str, folder: Path, more: Mapping[str, str]) -> dict[str, str]:
        """What its processes are told."""
        path = os.pathsep.join([str(PEERS), str(ROOT)] if self.package is None else [str(PEERS)])
        return os.environ | {"BENCH_URL": url, "BENCH_FOLDER": str(folder), "PYTHONPATH": path} | dict(more)

    def version(self) -> str:
        """Its release."""
        name = "backburner" if self.package is None else self.package.split("[")[0].split("=")[0]
        order = f"from importlib.metadata import version; print(version({name!r}))"
        found = subprocess.run([str(self.programs / "python"), "-c", order], capture_output=True, text=True, check=True)
        return found.stdout.strip()


def _backburner(server: str, processes: int, drained: int, broker: str | None = None) -> System:
    command = ("backburner", "--app", "backburner_app:jobs", "worker")
    best = Fleet((*command, "--processes", str(processes)))
    name = f"Backburner, {server} and {broker}" if broker else f"Backburner, {server}"
    return System(
        name, "backburner_app", server, None, Fleet(command), best, drained, bulked=100_000, broker=broker
    )  # fmt: skip


_PGQ = ("python", "{peers}/pgqueuer_worker.py")
_PROCRASTINATE = ("procrastinate", "--app", "procrastinate_app.app", "worker")
_CELERY = ("celery", "-A", "celery_app", "--quiet", "worker", "--loglevel", "ERROR")
_DRAMATIQ = ("dramatiq", "dramatiq_app", "--skip-logging")
_SAQ = ("saq", "saq_app.settings", "--quiet")
_HUEY = ("huey_consumer", "huey_app.huey", "--quiet")

SYSTEMS = (
    _backburner("postgresql", 2, 100_000),
    _backburner("sqlite", 1, 100_000),
    _backburner("mariadb", 2, 40_000),
    _backburner("postgresql", 2, 100_000, "rabbitmq"),
    System(
        "pgqueuer", "pgqueuer_app", "postgresql", "pgqueuer[asyncpg]", Fleet(_PGQ),
        Fleet((*_PGQ, "250"), 2), 60_000, bulked=100_000,
    ),
    System(
        "Procrastinate", "procrastinate_app", "postgresql", "procrastinate", Fleet(_PROCRASTINATE),
        Fleet((*_PROCRASTINATE, "--concurrency", "30", "--delete-jobs", "always"), 2), 3_000,
    ),
    System(
        "SAQ, postgresql", "saq_app", "postgresql", "saq[postgres,redis]", Fleet(_SAQ),
        Fleet(_SAQ, 2, {"BENCH_CONCURRENCY": "100"}), 4_000, bulked=6_000,
    ),
    System(
        "Huey, sqlite", "huey_app", "sqlite", "huey[redis]", Fleet((*_HUEY, "-w", "1")),
        Fleet((*_HUEY, "-w", "1", "-d", "0.001")), 10_000, asked=6_000,
    ),
    System(
        "Huey, sqlite, not durable", "huey_app", "sqlite", "huey[redis]",
        Fleet((*_HUEY, "-w", "1"), environ={"BENCH_DURABLE": "0"}),
        Fleet((*_HUEY, "-w", "1", "-d", "0.001"), environ={"BENCH_DURABLE": "0"}), 40_000, asked=6_000,
        says="no fsync, no results",
    ),
    System(
        "Huey, redis", "huey_app", "redis", "huey[redis]", Fleet((*_HUEY, "-w", "1")),
        Fleet((*_HUEY, "-w", "2", "-k", "process", "-d", "0.001")), 10_000, says="Redis keeps nothing on disk",
    ),
    System(
        "Celery, rabbitmq", "celery_app", "rabbitmq", "celery[redis]", Fleet(_CELERY),
        Fleet(
            (*_CELERY, "--concurrency", "2", "--without-gossip", "--without-mingle", "--without-heartbeat"),
            environ={"BENCH_PREFETCH": "100", "BENCH_DURABLE": "0"},
        ), 20_000, says="no confirms; best: messages in memory",
    ),
    System(
        "Celery, redis", "celery_app", "redis", "celery[redis]", Fleet(_CELERY),
        Fleet(
            (*_CELERY, "--concurrency", "2", "--without-gossip", "--without-mingle", "--without-heartbeat"),
            environ={"BENCH_PREFETCH": "100"},
        ), 10_000, says="Redis keeps nothing on disk",
    ),
    System(
        "Dramatiq, rabbitmq", "dramatiq_app", "rabbitmq", "dramatiq[rabbitmq]", Fleet(_DRAMATIQ),
        Fleet((*_DRAMATIQ, "--processes", "2", "--threads", "2"), environ={"dramatiq_queue_prefetch": "200"}),
        40_000, says="no confirms",
    ),
    System(
        "RQ, redis", "rq_app", "redis", "rq", Fleet(("rq", "worker", "--quiet", "--url", "{url}")),
        Fleet(("rq", "worker-pool", "--quiet", "-n", "2", "-w", "rq.worker.SimpleWorker", "--url", "{url}")), 1_500,
        says="Redis keeps nothing on disk",
    ),
    System(
        "SAQ, redis", "saq_app", "redis", "saq[postgres,redis]", Fleet(_SAQ),
        Fleet(_SAQ, 2, {"BENCH_CONCURRENCY": "100"}), 8_000, says="Redis keeps nothing on disk",
    ),
)  # fmt: skip
