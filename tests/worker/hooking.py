"""An app with a hook that writes down what it hears; isolated jobs find it by name."""

import os
from pathlib import Path

from backburner import Backburner, JobContext, current_job
from backburner.hooks import Attempt, Hook, JobProcess


class Diary(Hook):
    """Appends a line for each call, with the process it was made in."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def note(self, *words: object) -> None:
        with self.place.open("a") as file:
            file.write(" ".join(map(str, words)) + "\n")

    def on_start(self, process: JobProcess) -> None:
        self.note("start", "isolated" if process.isolated else "worker", process.pid == os.getpid())
        if process.isolated and "HOOKS_TEST_FAILS" in os.environ:
            raise ConnectionError("no cache")

    def on_end(self, process: JobProcess) -> None:
        self.note("end", "isolated" if process.isolated else "worker")

    def before(self, attempt: Attempt) -> None:
        assert current_job() is not None
        self.note("before", attempt.task)

    async def after(self, attempt: Attempt) -> None:
        self.note("after", attempt.task, attempt.outcome)


def lines(place: Path) -> list[str]:
    """What the diary says so far."""
    return place.read_text().splitlines() if place.exists() else []


def build(url: str, place: Path) -> Backburner:
    """The app on a database."""
    jobs = Backburner(url, auto_migrate=True)
    jobs.app = "tests.worker.hooking:jobs"
    jobs.hooks.add(Diary(place))
    jobs.task(name="alone", isolate=True)(alone)
    jobs.task(name="once", isolate=True, repeatable=False)(alone)
    return jobs


def alone(job: JobContext) -> int:
    """Says where it ran."""
    return os.getpid()


def __getattr__(name: str) -> Backburner:
    if name != "jobs":
        raise AttributeError(name)
    made = globals()["jobs"] = build(os.environ["HOOKS_TEST_URL"], Path(os.environ["HOOKS_TEST_DIARY"]))
    return made
