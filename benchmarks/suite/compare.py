"""The systems side by side: each round asks and drains every one of them, in turn."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.suite.fleet import Idle, Stage
from benchmarks.suite.results import Size
from benchmarks.suite.servers import broker, fresh
from benchmarks.suite.systems import Fleet, System

LATENCIES, GAP_SECONDS = 300, 0.02
IDLE_SECONDS = 10.0


@dataclass
class Figures:
    """What the rounds brought for one system: jobs per second, latencies of each round in milliseconds."""

    one: list[float] = field(default_factory=list)
    bulk: list[float] = field(default_factory=list)
    default: list[float] = field(default_factory=list)
    best: list[float] = field(default_factory=list)
    latencies: list[list[float]] = field(default_factory=list)
    idle: Idle | None = None
    failed: str | None = None


def compare(systems: Iterable[System], size: Size) -> dict[System, Figures]:
    """Run all rounds. A system that does not work is said to have failed, and left out of later rounds."""
    found = {system: Figures() for system in systems}
    for number in range(size.rounds):
        for system, figures in found.items():
            if figures.failed is not None:
                continue
            print(f"round {number + 1}: {system.name}", flush=True)
            try:
                _round(system, size, figures, last=number == size.rounds - 1)
            except Exception as error:  # noqa: BLE001 (a peer that fails must not take the others along)
                figures.failed = f"{type(error).__name__}: {error}"
                print(f"  failed: {figures.failed}", flush=True)
    return found


def _round(system: System, size: Size, figures: Figures, *, last: bool) -> None:
    with ExitStack() as stack:
        new = fresh(system.server, stack)

        def stage() -> Stage:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            made = Stage(system, new(), folder, broker(system.broker, stack) if system.broker else None)
            made.ask("setup")
            return made

        asked, bulked = size.jobs(system.asked), size.jobs(system.bulked)
        figures.one.append((asked - 1) / stage().ask("one", asked))
        figures.bulk.append((bulked - 1) / stage().ask("bulk", bulked))
        figures.default.append(_drained(stage(), system.default, size.jobs(min(system.drained, 20_000))))
        figures.best.append(_drained(stage(), system.best, size.jobs(system.drained)))
        waited = stage().latencies(system.default, max(20, int(LATENCIES * size.share)), GAP_SECONDS)
        figures.latencies.append([seconds * 1e3 for seconds in waited])
        if last:
            figures.idle = stage().idle(system.default, 1.0 if size.small else IDLE_SECONDS)


def _drained(stage: Stage, fleet: Fleet, count: int) -> float:
    # As its workers find them: some systems keep with a job how it is to be kept.
    stage.ask("bulk", count, fleet=fleet)
    return stage.drained(fleet, count)
