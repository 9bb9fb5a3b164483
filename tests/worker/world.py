"""A database, an app, and real worker processes on it: what every test here plays with."""

import os
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import func, select

from backburner import Backburner, Job
from backburner.seams import SeamName
from backburner.states import JobState
from tests.forked import Forked
from tests.waiting import wait_until
from tests.worker.history import Entry, History
from tests.worker.run import supervise
from tests.worker.seams import order_file

ROOT = Path(__file__).parents[2]
QUICK = {"lease": 2.0, "beat": 0.5, "poll": 0.2, "concurrency": 4, "grace": 5.0}


class Tree:
    """A supervisor and its children, in a process group of their own; `options` are those of `supervise`."""

    def __init__(self, url: str, folder: Path, options: dict[str, Any]) -> None:
        self.log = folder / f"tree-{len(list(folder.glob('tree-*')))}.log"
        environ = os.environ | {"WORKER_TEST_URL": url, "WORKER_TEST_FOLDER": str(folder)}
        self.process = Forked(
            supervise, ("tests.worker.live:jobs", options), folder=ROOT, environ=environ, output=self.log
        )
        self.pid = self.process.pid

    def children(self) -> list[int]:
        """Worker processes, without those of isolated jobs."""
        try:
            return sorted(child.pid for child in psutil.Process(self.pid).children())
        except psutil.NoSuchProcess:
            return []

    def tell(self, number: int) -> None:
        """Send a signal to the supervisor alone."""
        self.process.send_signal(number)

    def tell_all(self, number: int) -> None:
        """Send a signal to every process of the tree."""
        self.process.send_signal_to_all(number)

    def ended(self, seconds: float = 60.0) -> int:
        """Wait for the supervisor to end; its exit code."""
        return self.process.wait(seconds)

    def end(self) -> None:
        self.tell_all(signal.SIGKILL)
        self.process.wait(10)
        wait_until(lambda: not _group(self.pid), "every process of the tree is gone")


def _group(leader: int) -> list[int]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


@dataclass
class World:
    """One test's database and workers."""

    url: str
    folder: Path
    jobs: Backburner
    trees: list[Tree] = field(default_factory=list)

    @property
    def history(self) -> History:
        return History(self.folder)

    @property
    def on_sqlite(self) -> bool:
        return self.url.startswith("sqlite")

    def start(self, **options: Any) -> Tree:
        """Start a supervisor with one quick worker."""
        tree = Tree(self.url, self.folder, QUICK | options)
        self.trees.append(tree)
        return tree

    def ready(self, tree: Tree, workers: int = 1) -> Tree:
        """Wait until this many workers of a tree hold a lease."""

        def holding() -> bool:
            now = self.jobs.store.clock.now()
            mine = [w for w in self.jobs.store.workers.live() if w.pid in tree.children() and w.lease_until > now]
            return len(mine) == workers

        wait_until(holding, f"{workers} workers of tree {tree.pid} hold a lease")
        return tree

    def enqueue(self, task: str, *args: Any, **options: Any) -> Job:
        found = self.jobs.registry.get(task)
        assert found is not None
        return found.options(**options).enqueue(*args) if options else found.enqueue(*args)

    def enqueue_many(self, task: str, calls: Sequence[tuple[Any, ...]]) -> list[str]:
        found = self.jobs.registry.get(task)
        assert found is not None
        return self.jobs.enqueue_many(found, calls)

    def say(self, word: str) -> None:
        """Let the bodies go on that wait for this word."""
        (self.folder / f"say {word}").touch()

    def arm(self, point: SeamName, times: int = 1) -> None:
        """Have the next process that comes by this point for the `times`-th time kill itself there."""
        order = order_file(self.folder, point)
        order.with_suffix(".new").write_text(str(times))
        order.with_suffix(".new").rename(order)

    def fired(self, point: SeamName) -> bool:
        return order_file(self.folder, point).with_suffix(".done").exists()

    def job(self, job: Job | str) -> Job:
        return self.jobs.get(job if isinstance(job, str) else job.id)

    def begun(self, job: Job | str, times: int = 1) -> Entry:
        """Wait until the body of a job has begun for the `times`-th time."""
        job_id = job if isinstance(job, str) else job.id
        wait_until(lambda: len(self.history.of(job_id)) >= times, f"body number {times} of job {job_id} begins")
        return self.history.of(job_id)[times - 1]

    def ends(self, job: Job | str, state: JobState = JobState.SUCCEEDED, seconds: float = 90.0) -> Job:
        """Wait for the end of a job; it must be this one."""
        job_id = job if isinstance(job, str) else job.id
        wait_until(lambda: self.job(job_id).done, f"job {job_id} ends", seconds)
        found = self.job(job_id)
        assert found.state is state, found
        return found

    def states(self) -> Counter[str]:
        t = self.jobs.store.schema.jobs.c
        query = select(t.state, func.count()).group_by(t.state)
        rows = self.jobs.store.read(lambda c: c.execute(query).all())
        return Counter({str(state): count for state, count in rows})

    def all_done(self, seconds: float = 90.0) -> Counter[str]:
        """Wait until no job is waiting or running; the count of each final state."""
        wait_until(lambda: all(JobState(state).final for state in self.states()), "every job ends", seconds)
        return self.states()

    def attempts(self, job: Job | str) -> list[Any]:
        """The attempt records of a job."""
        job_id = job if isinstance(job, str) else job.id
        t = self.jobs.store.schema.attempts
        query = select(t).where(t.c.job == job_id).order_by(t.c.attempt)
        return list(self.jobs.store.read(lambda c: c.execute(query).all()))

    def owned(self) -> list[str]:
        """Jobs that some worker owns."""
        t = self.jobs.store.schema.jobs.c
        return list(self.jobs.store.read(lambda c: c.execute(select(t.id).where(t.worker.is_not(None))).scalars()))

    def close(self) -> None:
        for tree in self.trees:
            tree.end()
        for tree in self.trees:
            print(f"--- {tree.log.name}\n{tree.log.read_text(errors='replace')[-8000:]}")
        self.jobs.close()
