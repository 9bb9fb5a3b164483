"""The app that the workers under test run: tasks that leave a history of their bodies, and worse ones."""

import ctypes
import os
import signal
import time
from pathlib import Path

from backburner import Backburner, RetryPolicy, current_job
from tests.worker.history import folder, noted
from tests.worker.seams import DeadlySeams

AT_ONCE = RetryPolicy.fixed(0.05)


def build(url: str, place: Path) -> Backburner:
    """The app on a database; `place` holds the history and what tests say to running tasks."""
    jobs = Backburner(url, files=str(place / "files"))
    jobs.seams = DeadlySeams(place)
    jobs.app = "tests.worker.live:jobs"
    for function in (work, hold, listen, die, hold_gil):
        jobs.task(name=function.__name__, retry=AT_ONCE)(function)
    return jobs


def work(number: int = 0, seconds: float = 0.0) -> int:
    """Takes `seconds`, and says nothing meanwhile."""
    with noted():
        if seconds:
            time.sleep(seconds)
        return number


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


def die(how: str) -> None:
    """Ends its process, or tries to."""
    with noted():
        if how == "exit":
            os._exit(3)
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


def said(word: str) -> bool:
    return (folder() / f"say {word}").exists()
