"""The app of a chaos run: one task for each kind of job there is. Every body writes down when it is at work."""

import asyncio
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text

from backburner import Backburner, RetryPolicy, current_job
from backburner.seams import Seams
from tests.chaos.history import Recorder

AGAIN = RetryPolicy.fixed(0.2)
STEP = 0.02
"""How often a body writes down that it still is at work: what runs side by side is seen by it."""
EVERY = 2
"""Seconds between two fires of the app's schedules."""
EFFECTS = "chaos_effects"
BATCHES = 4


def build(url: str, place: Path, seams: Seams, **settings: str) -> Backburner:
    """The app on a database; `place` is the folder of the run."""
    jobs = Backburner(url, files=str(place / "files"), **settings)
    jobs.seams = seams
    jobs.app = "tests.chaos.live:jobs"
    for function in (work, transient, asleep, checkpointed, poison):
        jobs.task(name=function.__name__, retry=AGAIN)(function)
    jobs.task(name="failing", retry=AGAIN, max_attempts=3)(failing)
    jobs.task(name="hungry", retry=AGAIN, max_attempts=2, isolate=True)(hungry)
    jobs.task(name="isolated", retry=AGAIN, isolate=True)(isolated)
    jobs.task(name="once", repeatable=False)(once)
    jobs.task(name="capped", retry=AGAIN, max_running=2)(capped)
    tick = jobs.task(name="tick", retry=AGAIN)(ticked)
    for name in ("one", "two"):
        jobs.schedule(tick, name=name, every=EVERY, missed="all", bound=1000)
    return jobs


def folder() -> Path:
    """The folder of the run that this process belongs to."""
    return Path(os.environ["CHAOS_FOLDER"])


class _Noted:
    """Writes down what becomes of one body."""

    def __init__(self) -> None:
        job = current_job()
        self.attempt: int = job.attempt
        self._said = {"job": job.id, "attempt": job.attempt}
        self._recorder = Recorder(folder() / "history")

    def note(self, kind: str) -> None:
        self._recorder.note(kind, **self._said)  # type: ignore[arg-type]

    def work(self, seconds: float) -> int:
        """Be at work for so long; the number of the attempt."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, STEP))
            self.note("step")
        return self.attempt


@contextmanager
def _noted() -> Iterator[_Noted]:
    noted = _Noted()
    noted.note("begin")
    try:
        yield noted
    except BaseException:
        noted.note("raise")
        raise
    noted.note("end")


def work(seconds: float) -> int:
    """Takes its time."""
    with _noted() as body:
        return body.work(seconds)


def capped(seconds: float) -> int:
    """The same, and not many at once."""
    with _noted() as body:
        return body.work(seconds)


def ticked() -> int:
    """What a schedule starts."""
    with _noted() as body:
        return body.attempt


def transient(seconds: float) -> int:
    """Fails at its first attempt."""
    with _noted() as body:
        body.work(seconds)
        if body.attempt == 1:
            raise RuntimeError("not the first time")
        return body.attempt


async def asleep(seconds: float) -> int:
    """A coroutine."""
    with _noted() as body:
        await asyncio.sleep(seconds)
        return body.attempt


def failing() -> int:
    """Fails."""
    with _noted():
        raise RuntimeError("as always")


def hungry() -> int:
    """Asks for more memory than its process may have."""
    with _noted():
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), most))
        return len(b"x" * (1 << 30))


def isolated(seconds: float) -> int:
    """Runs in a process of its own."""
    with _noted() as body:
        return body.work(seconds)


def once(seconds: float) -> int:
    """Must not run twice."""
    with _noted() as body:
        return body.work(seconds)


def poison() -> None:
    """Takes its process with it."""
    with _noted():
        os._exit(3)


def checkpointed() -> int:
    """Writes numbers, each together with the checkpoint behind it, and the last one together with its end."""
    with _noted() as body:
        job = current_job()
        for number in range(job.last_checkpoint or 0, BATCHES):
            body.work(STEP)
            with job.transaction() as connection:
                numbers = (number, -1) if number == BATCHES - 1 else (number,)
                for one in numbers:
                    connection.execute(
                        text(f"INSERT INTO {EFFECTS} (job, number) VALUES (:job, :number)"),
                        {"job": job.id, "number": one},
                    )
                job.checkpoint(number + 1)
                if number == BATCHES - 1:
                    job.finish(body.attempt)
        return body.attempt
