"""The broker is stopped, purged, its queue deleted while jobs run: slower, nothing lost, nothing twice."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from backburner import JobState, current_job
from backburner.job import JobFilter
from tests.broker.conftest import SLOW, Apps, Server, Workers
from tests.broker.messages import delete_queue, heard, purge, sent
from tests.waiting import wait_until

WENT_WELL = JobFilter(states=frozenset({JobState.SUCCEEDED}))


class Load:
    """Three workers and jobs that end when they are let go: some always wait at the gate, with others behind them."""

    def __init__(self, app: Apps, start: Workers, broker: Server) -> None:
        self.jobs, self.broker = app(), broker
        self.ids: list[str] = []
        self.begun: Counter[str] = Counter()
        self._lock, self._gate = threading.Lock(), threading.Semaphore(0)
        self._let_go = 0
        workers = [app() for _ in range(3)]
        for one in (self.jobs, *workers):
            one.task(name="count")(self._body())
        for one in workers:
            start(one, replace(SLOW, poll=0.2, grace=1.0))
            heard(one)

    def _body(self) -> Callable[[], None]:
        def count() -> None:
            job = current_job()
            assert job is not None
            with self._lock:
                self.begun[str(job.id)] += 1
            assert self._gate.acquire(timeout=120)

        return count

    def enqueue(self, count: int) -> None:
        """So many jobs, the last of them one by one."""
        task, alone = self.jobs.registry.require("count"), min(count, 20)
        self.ids += self.jobs.enqueue_many(task, [()] * (count - alone))
        self.ids += [task.enqueue().id for _ in range(alone)]

    def let_go(self, count: int) -> None:
        """So many bodies more may end."""
        self._let_go += count
        self._gate.release(count)

    def is_worked_off(self) -> None:
        """Wait until all that was let go has gone well."""
        wait_until(lambda: self.done() == self._let_go, f"{self._let_go} jobs have gone well", 240)

    def done(self) -> int:
        """How many jobs have gone well."""
        return self.jobs.control.count(WENT_WELL, 1_000_000)

    def ends(self) -> None:
        """The rest is let go; each job has run once and gone well."""
        self.let_go(len(self.ids) - self._let_go)
        self.is_worked_off()
        assert self.begun == dict.fromkeys(self.ids, 1)
        assert self.jobs.control.count(JobFilter(), 1_000_000) == len(self.ids)


def stopped(load: Load) -> None:
    """Down until jobs have been enqueued and worked off meanwhile."""
    load.broker.stop()
    load.enqueue(30)
    load.let_go(30)
    load.is_worked_off()
    load.broker.start()


def killed(load: Load) -> None:
    load.broker.stop(crash=True)
    load.broker.start()


def purged(load: Load) -> None:
    sent(load.jobs)
    purge(load.broker, load.jobs)


def deleted(load: Load) -> None:
    sent(load.jobs)
    delete_queue(load.broker, load.jobs)


STORM = (purged, deleted, stopped, purged, killed, deleted, stopped, deleted, purged, killed)


@pytest.mark.parametrize(
    ("count", "harms"),
    [
        pytest.param(600, (purged, stopped, deleted), id="600"),
        pytest.param(10_000, STORM, id="10000", marks=[pytest.mark.long, pytest.mark.timeout(600)]),
    ],
)
def test_whatever_befalls_the_broker_each_job_runs_once(
    app: Apps, start: Workers, broker: Server, count: int, harms: Sequence[Callable[[Load], None]]
) -> None:
    load = Load(app, start, broker)
    for harm in harms:
        load.enqueue(count // len(harms))
        # These run while it happens, and the others wait in the database and at the gate.
        load.let_go(count // len(harms) // 2)
        harm(load)
    assert len(load.ids) >= count
    load.ends()
