"""An app whose jobs run in processes of their own; a worker in the test's process starts them."""

import os
import time
from contextvars import ContextVar
from pathlib import Path

from backburner import Backburner, JobContext

tenant: ContextVar[str | None] = ContextVar("tenant", default=None)


def build(url: str) -> Backburner:
    """The app on a database."""
    jobs = Backburner(url, auto_migrate=True)
    jobs.app = "tests.worker.apart:jobs"
    jobs.capture("tenant", tenant)
    for function in (end_in_transaction, leave_a_child, deaf, tenant_here):
        jobs.task(name=function.__name__, isolate=True, max_attempts=1)(function)
    return jobs


def end_in_transaction(job: JobContext) -> None:
    """Ends with its own transaction."""
    with job.transaction():
        job.finish("inside")


def leave_a_child(place: str) -> None:
    """Dies, and leaves a child of its own behind, which has everything open that it had."""
    child = os.fork()
    if child == 0:
        while not Path(place).exists():
            time.sleep(0.01)
        os._exit(0)
    os._exit(7)


def tenant_here() -> str | None:
    """Whom it works for."""
    return tenant.get()


def deaf() -> None:
    """Listens to nobody."""
    while True:
        time.sleep(0.01)


def __getattr__(name: str) -> Backburner:
    if name != "jobs":
        raise AttributeError(name)
    made = globals()["jobs"] = build(os.environ["WORKER_TEST_URL"])
    return made
