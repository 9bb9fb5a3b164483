"""The app that the workers under test run: tasks that leave a history of their bodies, and worse ones."""

import asyncio
import ctypes
import hashlib
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

from sqlalchemy import text

from backburner import Backburner, PermanentError, RetryPolicy, Secret, StopWorker, current_job, track
from backburner.notice import Notice
from tests.worker.history import folder, noted
from tests.worker.seams import DeadlySeams

AT_ONCE = RetryPolicy.fixed(0.05)
SLOW = "import slowly"
"""While a file of this name is in the test's folder, the app is not loaded."""


SECRET = "a secret for tests, long enough"


def build(url: str, place: Path) -> Backburner:
    """The app on a database; `place` holds the history and what tests say to running tasks."""
    jobs = Backburner(url, files=str(place / "files"), secret=SECRET)
    jobs.seams = DeadlySeams(place)
    jobs.app = "tests.worker.live:jobs"
    for function in (work, hold, listen, die, hold_gil, leave_child, talk, grow, stop_worker, resumed, import_rows):
        jobs.task(name=function.__name__, retry=AT_ONCE)(function)
    for function in (fail_once, fail_for_good):
        jobs.task(name=function.__name__, retry=AT_ONCE)(function)
    jobs.task(name="hold_two", retry=AT_ONCE, max_running=2)(hold)
    jobs.task(name="always", retry=AT_ONCE)(always)
    jobs.task(name="digest_of", retry=AT_ONCE)(digest_of)
    for waiting in (wait_for, reaches):
        jobs.task(name=waiting.__name__, retry=AT_ONCE)(waiting)
    for coroutine in (alisten, await_for, areaches):
        jobs.task(name=coroutine.__name__, retry=AT_ONCE)(coroutine)
    return jobs


def work(number: int = 0, seconds: float = 0.0) -> int:
    """Takes `seconds`, and says nothing meanwhile."""
    with noted():
        if seconds:
            time.sleep(seconds)
        return number


def digest_of(token: Secret[str]) -> str:
    """A digest of what it was given, and of nothing else."""
    print(f"given {token}")
    return hashlib.sha256(token.reveal().encode()).hexdigest()


def hold(word: str) -> str:
    """Goes on until the test says the word; does not listen."""
    with noted():
        while not said(word):
            time.sleep(0.005)
        return word


def listen(word: str) -> str:
    """Goes on until the test says the word, or until it is told to stop."""
    with noted():
        job = current_job()
        assert job is not None
        while not said(word):
            job.check()
            time.sleep(0.005)
        return word


def fail_once() -> None:
    """Fails at its first attempt."""
    with noted():
        job = current_job()
        if job is not None and job.attempt == 1:
            raise RuntimeError("not the first time")


def fail_for_good() -> None:
    """Fails, and says that another try is of no use."""
    with noted():
        raise PermanentError("it cannot be done")


async def alisten(word: str) -> str:
    """`listen` as a coroutine."""
    with noted():
        while not said(word):  # noqa: ASYNC110 (a file says it)
            await asyncio.sleep(0.005)
        return word


def die(how: str) -> None:
    """Ends its process, or tries to."""
    with noted():
        if how == "exit":
            os._exit(3)
        if how == "exit in good order":
            os._exit(0)
        if how == "segfault":
            ctypes.string_at(0)
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "system exit":
            raise SystemExit(4)
        raise MemoryError("no memory")


def hold_gil(seconds: int) -> None:
    """Sleeps in C code without letting go of the interpreter's lock: no thread of this process runs."""
    with noted():
        ctypes.PyDLL(None).sleep(seconds)


def leave_child(word: str) -> None:
    """Forks a process that stays, and then holds."""
    with noted():
        process = multiprocessing.get_context("fork").Process(target=_wait_for, args=(word,))
        process.start()
        (folder() / "left").write_text(str(process.pid))
        _wait_for(word)


def talk(first_word: str, later_word: str) -> str:
    """Reports, and waits: the first attempt for one word, later ones for the other. Reports again at the end."""
    with noted():
        job = current_job()
        assert job is not None
        job.progress(job.attempt, f"attempt {job.attempt} is here")
        job.log(f"attempt {job.attempt} begins")
        _wait_for(first_word if job.attempt == 1 else later_word)
        job.log(f"attempt {job.attempt} goes on")
        job.message(f"attempt {job.attempt} is nearly done")
        job.progress(90)
        return f"attempt {job.attempt}"


def _wait_for(word: str) -> None:
    while not said(word):
        time.sleep(0.005)


def grow(megabytes: int) -> int:
    """Uses memory, and keeps it."""
    with noted():
        _kept.append(b"x" * (megabytes << 20))
        return os.getpid()


_kept: list[bytes] = []


def resumed(count: int) -> int:
    """Does one item after the other, and goes on where the last attempt stopped."""
    with noted():
        items = os.open(folder() / "items", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        job = current_job()
        assert job is not None
        for item in track(range(count), resume=True):
            os.write(items, f"{job.attempt} {item}\n".encode())
            time.sleep(0.002)
        return count


def import_rows(count: int, batch: int) -> None:
    """Writes rows into the jobs' database, each batch together with the checkpoint behind it."""
    with noted():
        job = current_job()
        assert job is not None
        start = job.last_checkpoint or 0
        for first in range(start, count, batch):
            numbers = range(first, min(first + batch, count))
            with job.transaction() as connection:
                connection.execute(text("INSERT INTO imported (number) VALUES (:n)"), [{"n": n} for n in numbers])
                job.checkpoint(numbers.stop)
                job.progress(100 * numbers.stop / count)
                if numbers.stop == count:
                    connection.execute(text("INSERT INTO imported (number) VALUES (-1)"))
                    job.finish("imported")


def wait_for(other: str, milestone: str | None) -> int:
    """Waits for another job; the number of the attempt that found it done."""
    with noted():
        current_job().wait_for(other, milestone)
        return int(current_job().attempt)


async def await_for(other: str, milestone: str | None) -> int:
    """`wait_for` as a coroutine."""
    with noted():
        await current_job().await_for(other, milestone)
        return int(current_job().attempt)


def reaches(reach_word: str, end_word: str) -> None:
    """Reaches a milestone at one word, and ends at another."""
    with noted():
        _wait_for(reach_word)
        current_job().milestone("half")
        _wait_for(end_word)


async def areaches(reach_word: str, end_word: str) -> None:
    """`reaches` as a coroutine."""
    with noted():
        for word in (reach_word, end_word):
            while not said(word):  # noqa: ASYNC110 (a file says it)
                await asyncio.sleep(0.005)
            if word == reach_word:
                await current_job().amilestone("half")


def stop_worker() -> None:
    """Asks its worker to end."""
    with noted():
        raise StopWorker("this process has had enough")


def always() -> None:
    """Fails."""
    raise ValueError("as always")


def note_notice(notice: Notice) -> None:
    """Writes down whom it is about."""
    with (folder() / "notices").open("a") as file:
        file.write(json.dumps({"job": notice.job}) + "\n")


def said(word: str) -> bool:
    return (folder() / f"say {word}").exists()
