"""What tasks did, as they wrote it down: lines appended to one file by all processes."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from backburner import current_job
from backburner.clock import boot_seconds


class Entry(NamedTuple):
    """`kind` is begin or end; `at` is in seconds since boot, the same for all processes."""

    kind: str
    job: str
    attempt: int
    pid: int
    at: float


def folder() -> Path:
    """The folder of the test that this process belongs to."""
    return Path(os.environ["WORKER_TEST_FOLDER"])


def note(kind: str) -> None:
    """Write down that the body of the current job begins or ends."""
    job = current_job()
    line = f"{kind} {job and job.id} {job and job.attempt} {os.getpid()} {boot_seconds():.6f}\n"
    file = os.open(folder() / "history", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


@contextmanager
def noted() -> Iterator[None]:
    """A body between its begin and its end; an exception is an end as well."""
    note("begin")
    try:
        yield
    finally:
        note("end")


class History:
    """The history of one test."""

    def __init__(self, place: Path) -> None:
        self._file = place / "history"

    def entries(self) -> list[Entry]:
        if not self._file.exists():
            return []
        found = []
        for line in self._file.read_text().splitlines():
            kind, job, attempt, pid, at = line.split()
            found.append(Entry(kind, job, int(attempt), int(pid), float(at)))
        return found

    def of(self, job: str, kind: str = "begin") -> list[Entry]:
        return [entry for entry in self.entries() if entry.job == job and entry.kind == kind]

    def most_at_once(self, jobs: Iterable[str]) -> int:
        """How many bodies of these jobs were under way at the same time, at most."""
        mine, running, most = set(jobs), 0, 0
        for entry in sorted(self.entries(), key=lambda entry: entry.at):
            if entry.job in mine:
                running += 1 if entry.kind == "begin" else -1
                most = max(most, running)
        return most

    def begun(self) -> Counter[str]:
        """How often the body of each job began."""
        return Counter(entry.job for entry in self.entries() if entry.kind == "begin")

    def ended(self) -> Counter[str]:
        return Counter(entry.job for entry in self.entries() if entry.kind == "end")
