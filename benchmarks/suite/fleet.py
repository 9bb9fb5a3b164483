"""Runs one system: asks it, starts its workers, and waits for what they count."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.peers.counted import counted, noted
from benchmarks.suite.systems import PEERS, Fleet, System

LOOK_SECONDS = 0.002
PATIENCE_SECONDS = 180.0


class Stage:
    """One system on one fresh server or database; `folder` is its own, and empty. `broker` is the URL of its bell."""

    def __init__(self, system: System, url: str, folder: Path, broker: str | None = None) -> None:
        self.system, self.url, self.folder = system, self._for(system, url), folder
        self._bell = {"BACKBURNER_BROKER": broker} if broker else {}
        self._started: list[subprocess.Popen[bytes]] = []

    @staticmethod
    def _for(system: System, url: str) -> str:
        """The URL as the system's driver wants it."""
        return url if system.package is None else url.replace("+psycopg", "")

    def ask(self, verb: str, *numbers: float, fleet: Fleet | None = None) -> float:
        """Seconds that the asking side took for `verb`."""
        command = [str(self.system.programs / "python"), str(PEERS / "asking.py"), self.system.script, verb]
        done = subprocess.run(
            [*command, *(str(number) for number in numbers)], env=self._environ(fleet), capture_output=True, text=True,
            check=False, timeout=PATIENCE_SECONDS, cwd=self.folder,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{self.system.name}: {verb} ended with {done.returncode}: {done.stderr[-2000:]}")
        return float(done.stdout or 0)

    @contextmanager
    def working(self, fleet: Fleet) -> Iterator[list[int]]:
        """The pids of running workers; all of their processes are gone afterwards."""
        words = [word.format(url=self.url, peers=PEERS) for word in fleet.command]
        with (self.folder / "log").open("ab") as log:
            started = [
                subprocess.Popen(
                    [str(self.system.programs / words[0]), *words[1:]], env=self._environ(fleet), cwd=self.folder,
                    stdout=log, stderr=log, start_new_session=True,
                )
                for _ in range(fleet.processes)
            ]  # fmt: skip
        try:
            self._started = started
            yield [process.pid for process in started]
        finally:
            for process in started:
                _end(process)

    def drained(self, fleet: Fleet, count: int) -> float:
        """Jobs per second from the first body to the last of `count` that wait already."""
        with self.working(fleet):
            self._until(lambda: counted(self.folder) > 0)
            began, first = time.perf_counter(), counted(self.folder)
            self._until(lambda: counted(self.folder) >= count)
            return (count - first) / (time.perf_counter() - began)

    def latencies(self, fleet: Fleet, count: int, gap: float) -> list[float]:
        """Seconds from the call to the body, of `count` calls to an idle worker; the first ten are left out."""
        with self.working(fleet):
            self.ask("stamp", 1, 0, fleet=fleet)
            self._until(lambda: len(noted(self.folder)) >= 1)
            self.ask("stamp", count + 9, gap, fleet=fleet)
            self._until(lambda: len(noted(self.folder)) >= count + 10)
        return [seconds for path in sorted(self.folder.glob("*.noted")) for seconds in _of(path)][10:]

    def idle(self, fleet: Fleet, seconds: float) -> Idle:
        """What workers without work use."""
        with self.working(fleet) as pids:
            self.ask("one", 1, fleet=fleet)
            self._until(lambda: counted(self.folder) >= 1)
            # What starting left behind is over by then.
            time.sleep(min(seconds, 5.0))
            before = _cpu(pids)
            time.sleep(seconds)
            return Idle((_cpu(pids) - before) / seconds, sum(p.memory_full_info().pss for p in _tree(pids)) / 1e6)

    def _until(self, what: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while not what():
            ended = [process for process in self._started if process.poll() is not None]
            if ended or time.monotonic() > until:
                end = (self.folder / "log").read_text(errors="replace")[-2000:]
                why = "a worker ended" if ended else f"not done within {PATIENCE_SECONDS:g} s"
                raise RuntimeError(f"{self.system.name}: {why}: {end}")
            time.sleep(LOOK_SECONDS)

    def _environ(self, fleet: Fleet | None) -> dict[str, str]:
        return self.system.environ(self.url, self.folder, self._bell | dict(fleet.environ if fleet else {}))


class Idle(NamedTuple):
    """`cpu` is a share of one core, `megabytes` the proportional set size of all processes together."""

    cpu: float
    megabytes: float


def _tree(pids: list[int]) -> list[psutil.Process]:
    found = []
    for pid in pids:
        root = psutil.Process(pid)
        found += [root, *root.children(recursive=True)]
    return found


def _cpu(pids: list[int]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in _tree(pids))


def _of(path: Path) -> list[float]:
    return [float(line) for line in path.read_text().splitlines()]


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(subprocess.TimeoutExpired, ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
