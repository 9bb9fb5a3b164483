"""`Arena`: the database and broker of a run, the wire to them, and the trees of worker processes."""

import os
import random
import re
import signal
import subprocess
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import psutil
from sqlalchemy import text

from backburner import Backburner
from backburner.seams import Seams
from tests.chaos import clock
from tests.chaos.app import EFFECTS, build
from tests.chaos.history import Recorder
from tests.chaos.run import supervise
from tests.forked import Forked
from tests.proxy import Proxy
from tests.servers import MariaDBServer, PostgresServer, RabbitServer, RedisServer
from tests.waiting import wait_until
from tests.worker.world import Tree as WorkerTree

ROOT = Path(__file__).parents[2]
Database = Literal["sqlite", "postgresql", "mariadb"]
Broker = Literal["rabbitmq", "redis"]
LEASE = 2.0
OPTIONS = {"processes": 2, "concurrency": 4, "lease": LEASE, "beat": 0.4, "poll": 0.2, "grace": 2.0}
DISK_BYTES = {"sqlite": 64 << 20, "postgresql": 320 << 20, "mariadb": 320 << 20}
APP_USER = "app"
"""An account that may not write to a read-only server, as root may."""


class Tree(WorkerTree):
    """A supervisor and its children in a process group of their own."""

    def __init__(self, arena: "Arena", environ: dict[str, str]) -> None:
        self.log = arena.folder / f"tree-{len(list(arena.folder.glob('tree-*')))}.log"
        self.process = Forked(supervise, (OPTIONS,), folder=ROOT, environ=os.environ | environ, output=self.log)
        self.pid = self.process.pid

    def family(self) -> list[int]:
        """Every process of the tree, those of isolated jobs included."""
        with suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.pid)
            return [first.pid, *(child.pid for child in first.children(recursive=True))]
        return []


@dataclass(frozen=True)
class Plan:
    """What a run is to be. `disk`: the database on a small disk of its own, where the machine allows it."""

    database: Database
    broker: Broker | None = None
    seconds: float = 10.0
    seed: int = 1
    harms: tuple[str, ...] = ()
    trees: int = 2
    rate: float = 25.0
    fault_rate: float = 0.01


class Arena:
    """Everything of a run; gone when it is left."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.random = plan, random.Random(plan.seed)
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="backburner-chaos-")))
        self.recorder = Recorder(self.folder / "history")
        self.trees: list[Tree] = []
        self.disk: Path | None = None
        self.server: PostgresServer | MariaDBServer | None = None
        self.proxy: Proxy | None = None
        self.broker: RabbitServer | RedisServer | None = None
        self.clock_moved = False

    def __enter__(self) -> Self:
        clock.move(self.folder, 0.0)
        if "full" in self.plan.harms:
            self.disk = self._mounted(DISK_BYTES[self.plan.database])
        self.url = self._database()
        if self.plan.broker is not None:
            self.broker = RabbitServer() if self.plan.broker == "rabbitmq" else RedisServer()
            self._stack.enter_context(self.broker)
        more = {"broker": self.broker.url} if self.broker is not None else {}
        self.jobs = build(self.url, self.folder, Seams(), auto_migrate=True, **more)  # type: ignore[arg-type]
        self._stack.callback(self.jobs.close)
        self.jobs.store.ready()
        self.jobs.store.run(lambda c: c.execute(text(f"CREATE TABLE {EFFECTS} (job VARCHAR(36), number INTEGER)")))
        self._stack.callback(self._end_trees)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def app(self) -> Backburner:
        """The app once more, as another process of it has: for a producer."""
        more = {"broker": self.broker.url} if self.broker is not None else {}
        made = build(self.url, self.folder, Seams(), **more)
        self._stack.callback(made.close)
        return made

    def start(self, place: int) -> None:
        """Start the tree of this number, from 0 on. Every second one has connections that fail now and then."""
        environ = {"CHAOS_URL": self._wired(self.url), "CHAOS_FOLDER": str(self.folder)}
        if self.broker is not None:
            environ["CHAOS_BROKER"] = self.broker.url
        if "statements" in self.plan.harms and place % 2:
            environ["CHAOS_FAULT_RATE"] = str(self.plan.fault_rate)
        self.trees[place : place + 1] = [Tree(self, environ)]

    def ready(self) -> None:
        """Wait until each tree has its workers, and they hold their leases."""

        def all_hold() -> bool:
            children = {child for tree in self.trees for child in tree.children()}
            live = self.jobs.store.workers.live()
            now = self.jobs.store.clock.now()
            holding = {worker.pid for worker in live if worker.lease_until > now}
            return len(children) == len(self.trees) * OPTIONS["processes"] and children <= holding

        wait_until(all_hold, "all workers hold a lease", 60)

    def replace(self, tree: Tree) -> None:
        """Another tree in the place of one that has ended."""
        tree.end()
        self.start(self.trees.index(tree))

    def kill(self, *pids: int) -> None:
        """kill -9, written down before."""
        for pid in pids:
            self.recorder.note("kill", pid=pid)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _end_trees(self) -> None:
        for tree in self.trees:
            tree.end()

    def _database(self) -> str:
        if self.plan.database == "sqlite":
            return f"sqlite:///{(self.disk or self.folder) / 'jobs.db'}"
        self.server = server = self._server()
        self._stack.enter_context(server)
        self.proxy = self._stack.enter_context(Proxy(server.port))
        url = server.create_database("chaos")
        if isinstance(server, MariaDBServer):
            for order in (
                f"CREATE USER {APP_USER}@'127.0.0.1'",
                f"GRANT ALL ON chaos.* TO {APP_USER}@'127.0.0.1'",
            ):
                server._order(order)
            url = url.replace("root@", f"{APP_USER}@")
        return url

    def _server(self) -> PostgresServer | MariaDBServer:
        small: dict[str, Any] = {"settings": {"max_wal_size": "96MB", "min_wal_size": "32MB"}} if self.disk else {}
        before, tempfile.tempdir = tempfile.tempdir, str(self.disk) if self.disk else tempfile.tempdir
        try:
            return PostgresServer(**small) if self.plan.database == "postgresql" else MariaDBServer()
        finally:
            tempfile.tempdir = before

    def _wired(self, url: str) -> str:
        """The address as workers get it: by way of the proxy."""
        if self.server is None or self.proxy is None:
            return url
        return re.sub(rf":{self.server.port}/", f":{self.proxy.port}/", url)

    def _mounted(self, size: int) -> Path | None:
        """A file system of its own in memory, or None where we may not mount one."""
        place = Path(tempfile.mkdtemp(prefix="backburner-disk-"))
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(place)]
        done = subprocess.run(mount, capture_output=True, check=False)
        self._stack.callback(place.rmdir)
        if done.returncode:
            return None
        self._stack.callback(lambda: subprocess.run(["umount", "-l", str(place)], capture_output=True, check=False))
        return place
