"""`History`: what producers, workers and those who harm them did, as they wrote it down at once, line by line."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from backburner.clock import boot_seconds

Kind = Literal[
    "try", "accepted", "rolled back",  # of an enqueue: before it, after it, or after the caller's rollback
    "begin", "step", "end", "raise",  # of a body
    "settled",  # an end of an attempt that the database has accepted
    "kill", "thaw",  # of a process: written before it is killed, and before a stopped one goes on
    "fault", "healed",  # of a harm
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """`at` and `since` are seconds since boot, the same for all processes. `since`, of an end: when it was first asked.

    `token` names an enqueue and the job made by it, before it has an id. `what` is the state of an end, or a harm.
    """

    kind: Kind
    at: float
    pid: int = 0
    job: str = ""
    attempt: int = 0
    token: str = ""
    what: str = ""
    since: float = 0.0


class Recorder:
    """Appends events to a file that any number of processes append to. A line is written by one call, or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, kind: Kind, **said: Any) -> None:
        """Write down that this happens now."""
        event = {"kind": kind, "at": boot_seconds(), "pid": os.getpid()} | said
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, json.dumps(event).encode() + b"\n")
        finally:
            os.close(file)

    def events(self) -> list[Event]:
        """All that was written, in the order of its times."""
        lines = self.path.read_bytes().splitlines() if self.path.exists() else []
        return sorted(self.parsed(lines), key=lambda event: event.at)

    @staticmethod
    def parsed(lines: Iterable[bytes]) -> Iterator[Event]:
        """Lines as events."""
        known = {one.name for one in fields(Event)}
        for line in lines:
            found = json.loads(line)
            assert found.keys() <= known, line
            yield Event(**found)


def written(event: Event) -> str:
    """An event in one line, for people."""
    said = {name: value for name, value in asdict(event).items() if value}
    return " ".join(f"{name}={value}" for name, value in said.items())
