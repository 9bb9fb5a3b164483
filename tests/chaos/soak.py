"""`./scripts/soak`: the mixed load of the chaos runs for a long time, unharmed, and what grows meanwhile.

Samples memory, descriptors and threads of all worker processes, the database, its log, and how long jobs wait;
writes plots and a verdict: flat, or what has grown.
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median
from typing import get_args

import psutil
from sqlalchemy import func, select, text

from backburner.clock import boot_seconds
from tests.chaos.arena import Arena, Database, Plan
from tests.chaos.history import Recorder
from tests.chaos.load import Producer
from tests.chaos.plot import plot
from tests.servers import MariaDBServer

SECONDS = 5.0
"""Between two samples."""
KEPT = 60.0
"""Seconds that ends are kept: cleaning is a part of it, and so the tables stay as large as they are."""
GROWTH = 1.25
"""From the second quarter of the run to the last one, by so much at most may the median of anything grow."""
UNITS = {
    "memory": "MiB", "descriptors": "", "threads": "", "jobs": "rows", "database": "MiB", "log": "MiB",
    "median wait": "ms", "p99 wait": "ms",
}  # fmt: skip
SLACK = {
    "memory": 32.0, "descriptors": 12.0, "threads": 8.0, "jobs": 300.0, "database": 8.0, "log": 16.0,
    "median wait": 20.0, "p99 wait": 250.0,
}  # fmt: skip
"""What anything may grow besides: of small numbers a part says nothing."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look. Sums over all worker processes; sizes in MiB, waits in milliseconds."""

    minute: float
    memory: float
    descriptors: float
    threads: float
    jobs: float
    database: float
    log: float
    median_wait: float
    p99_wait: float


class Waits:
    """How long jobs that began since the last look had waited, from their enqueue on: of those that need not wait."""

    def __init__(self, recorder: Recorder) -> None:
        self._path, self._read = recorder.path, 0
        self._accepted: dict[str, float] = {}

    def since(self) -> list[float]:
        """Milliseconds, sorted."""
        found = []
        with self._path.open("rb") as file:
            file.seek(self._read)
            lines = file.read().split(b"\n")
            self._read += sum(len(line) + 1 for line in lines[:-1])
        for event in Recorder.parsed(lines[:-1]):
            if event.kind == "accepted" and event.token.startswith("plain"):
                self._accepted[event.job] = event.at
            elif event.kind == "begin" and event.attempt == 1 and event.job in self._accepted:
                found.append(max(0.0, 1000 * (event.at - self._accepted.pop(event.job))))
        return sorted(found)


def look(arena: Arena, began: float, waits: Waits) -> Sample:
    """Take one sample."""
    memory = descriptors = threads = 0
    for pid in (pid for tree in arena.trees for pid in (tree.pid, *tree.children())):
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            memory += process.memory_info().rss
            descriptors += process.num_fds()
            threads += process.num_threads()
    t = arena.jobs.store.schema.jobs
    rows = arena.jobs.store.read(lambda c: c.execute(select(func.count()).select_from(t)).scalar_one())
    database, log = _sizes(arena)
    found = waits.since() or [0.0]
    return Sample(
        (boot_seconds() - began) / 60, memory / 2**20, descriptors, threads, rows, database / 2**20, log / 2**20,
        median(found), found[min(len(found) - 1, int(len(found) * 0.99))],
    )  # fmt: skip


def _sizes(arena: Arena) -> tuple[int, int]:
    """Bytes of the database, and of the log of its changes."""
    if arena.server is None:
        file = Path(str(arena.jobs.store.url.database))
        log = file.with_name(file.name + "-wal")
        return file.stat().st_size, log.stat().st_size if log.exists() else 0
    if isinstance(arena.server, MariaDBServer):
        query = (
            "SELECT sum(data_length + index_length), 0 FROM information_schema.tables WHERE table_schema = database()"
        )
    else:
        query = "SELECT pg_database_size(current_database()), 0"
    sizes = arena.jobs.store.read(lambda c: c.execute(text(query)).one())
    logs = [*arena.server.folder.glob("cluster/pg_wal/*"), *arena.server.folder.glob("cluster/ib_logfile*")]
    return int(sizes[0] or 0), sum(log.stat().st_size for log in logs if log.is_file())


def grown(samples: Sequence[Sample]) -> Iterator[str]:
    """What is larger at the end than it was when the run had settled, in words."""
    quarter = len(samples) // 4
    if quarter < 2:
        yield "the run was too short to say whether anything grows"
        return
    for name, unit in UNITS.items():
        early, late = (
            median(getattr(one, name.replace(" ", "_")) for one in part)
            for part in (samples[quarter : 2 * quarter], samples[-quarter:])
        )
        if late > early * GROWTH + SLACK[name]:
            yield f"{name} grew from {early:,.1f} to {late:,.1f} {unit}".rstrip()


def write(folder: Path, plan: Plan, samples: Sequence[Sample]) -> None:
    """Plots, figures and verdict, as files for a browser and for a program."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [one.name for one in fields(Sample)]
    rows = [",".join(names), *(",".join(f"{value:g}" for value in asdict(one).values()) for one in samples)]
    (folder / "samples.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    pictures: Mapping[str, tuple[str, ...]] = {
        "Memory of all workers": ("memory",), "Descriptors and threads of all workers": ("descriptors", "threads"),
        "Jobs stored": ("jobs",), "Database and its log": ("database", "log"),
        "From enqueue to begin": ("median wait", "p99 wait"),
    }  # fmt: skip
    verdict = list(grown(samples)) or ["nothing grew"]
    place = f"{plan.database}{f' with {plan.broker}' if plan.broker else ''}, {plan.rate:g} enqueues a second"
    page = [
        "<!doctype html><meta charset=utf-8><title>Soak</title>",
        "<style>body{font:16px system-ui,sans-serif;max-width:760px;margin:2rem auto;padding:0 1rem}</style>",
        f"<h1>Soak: {place}, {samples[-1].minute:.1f} minutes</h1>",
        *(f"<p>{line[0].upper()}{line[1:]}.</p>" for line in verdict),
    ]
    for title, wanted in pictures.items():
        lines = {name: [(one.minute, getattr(one, name.replace(" ", "_"))) for one in samples] for name in wanted}
        picture = plot(title, UNITS[wanted[0]], lines)
        (folder / f"{wanted[0].replace(' ', '-')}.svg").write_text(picture, encoding="utf-8")
        page.append(picture)
    (folder / "index.html").write_text("\n".join(page), encoding="utf-8")


def soak(plan: Plan) -> list[Sample]:
    """Run the load, and look every few seconds."""
    samples: list[Sample] = []
    with Arena(plan) as arena:
        for place in range(plan.trees):
            arena.start(place)
        arena.ready()
        producers = [Producer(arena.app(), arena.recorder, number, plan.seed, plan.rate / 2) for number in range(2)]
        for producer in producers:
            producer.start()
        began, pause, waits = boot_seconds(), threading.Event(), Waits(arena.recorder)
        while boot_seconds() - began < plan.seconds:
            pause.wait(SECONDS)
            samples.append(look(arena, began, waits))
        for producer in producers:
            producer.stop()
            if producer.problem is not None:
                raise producer.problem
    return samples


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--database", choices=get_args(Database), default="postgresql", help="(postgresql)")
    parser.add_argument("--seed", type=int, default=1, help="of the load (1)")
    parser.add_argument("--rate", type=float, default=25.0, help="enqueues per second (25)")
    parser.add_argument("--to", type=Path, default=Path("soak"), help="the folder of the report (soak)")
    chosen = parser.parse_args()
    # An end from outside is an end in good order: nothing stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ["BACKBURNER_KEEP_SUCCEEDED"] = os.environ["BACKBURNER_KEEP_FAILED"] = str(KEPT)
    plan = Plan(chosen.database, None, 60 * chosen.minutes, chosen.seed, rate=chosen.rate)
    samples = soak(plan)
    write(chosen.to, plan, samples)
    print(f"{chosen.to / 'index.html'}: {len(samples)} samples")
    verdict = list(grown(samples))
    for line in verdict or ["nothing grew"]:
        print(line)
    return 1 if verdict else 0


if __name__ == "__main__":
    sys.exit(main())
