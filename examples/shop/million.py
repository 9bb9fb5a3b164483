"""`python -m examples.shop.million`: imports a million rows, and measures the memory of the process that does it."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from backburner import Backburner
from examples.shop.example_file import example_lines
from examples.shop.folder import Folder
from examples.shop.processes import Processes
from examples.shop.visitor import Visitor

ROWS = 1_000_000
MOST_BYTES = 150_000_000
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Measured:
    """What one import took: resident memory in bytes, before and at most; seconds; how it ended."""

    before: int
    peak: int
    seconds: float
    state: str
    rows: int
    looks: int


def measure(rows: int = ROWS) -> Measured:
    """Import so many rows in a shop of its own."""
    with tempfile.TemporaryDirectory(prefix="shop-") as place:
        folder = Folder(Path(place))
        with Processes(folder) as running:
            path = Path(place) / "million.csv"
            with path.open("w", encoding="utf-8", newline="") as file:
                file.writelines(example_lines(rows))
            print(f"{rows:,} rows, {path.stat().st_size / 1e6:,.0f} MB", flush=True)
            child = _child_of(running.supervisor)
            before = child.memory_info().rss
            visitor, jobs = Visitor(running.port), Backburner(folder.url, files=folder.downloads)
            began = time.monotonic()
            job = visitor.upload("million.csv", path.read_bytes())
            peak, looks = before, 0
            # The job may be tried again in another process: every process below the supervisor counts.
            while not jobs.get(job).done:
                peak, looks = max(peak, _resident(running.supervisor)), looks + 1
                time.sleep(_LOOK_SECONDS)
            ended = jobs.get(job)
            stored = ended.result()["rows"] if ended.state == "succeeded" else 0
            jobs.close()
            return Measured(before, peak, time.monotonic() - began, ended.state, stored, looks)


def main() -> int:
    """Measure once; 0 when it stays below the limit."""
    found = measure()
    print(
        f"{found.rows:,} rows {found.state} in {found.seconds:.1f} s. The worker had {found.before / 1e6:.0f} MB "
        f"before, {found.peak / 1e6:.0f} MB at most ({found.looks} looks); the limit is {MOST_BYTES / 1e6:.0f} MB."
    )
    good = found.state == "succeeded" and found.rows == ROWS and found.peak < MOST_BYTES
    print("PASSED" if good else "FAILED")
    return 0 if good else 1


def _child_of(supervisor: int) -> psutil.Process:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        children = psutil.Process(supervisor).children()
        if children:
            return children[0]
        time.sleep(0.05)
    raise TimeoutError("the supervisor has started no process within 30 s")


def _resident(supervisor: int) -> int:
    """The most that one process below the supervisor has now, in bytes."""
    most = 0
    for process in psutil.Process(supervisor).children(recursive=True):
        try:
            most = max(most, process.memory_info().rss)
        except psutil.NoSuchProcess:
            continue
    return most


if __name__ == "__main__":
    sys.exit(main())
