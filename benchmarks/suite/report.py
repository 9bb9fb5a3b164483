"""`benchmarks/RESULTS.md`: written by the command alone."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.suite.compare import Figures
from benchmarks.suite.results import Pair, Size, median, percentile, spread
from benchmarks.suite.systems import ROOT, System
from benchmarks.suite.targets import COMPARISONS, Target

RESULTS = ROOT / "benchmarks" / "RESULTS.md"


def written(targets: list[tuple[Target, Pair]], systems: Mapping[System, Figures], size: Size) -> str:
    """The whole file."""
    parts = [_head(systems, size)]
    if targets:
        parts.append(_targets(targets))
    if systems:
        parts += [_systems(systems), _latencies(systems), _beside(systems)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(systems: Mapping[System, Figures], size: Size) -> str:
    commit = _said("git", "rev-parse", "--short", "HEAD") + ("+" if _said("git", "status", "--porcelain") else "")
    moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    versions = ", ".join(sorted({f"{system.name.split(',')[0]} {system.version()}" for system in systems}))
    load = os.getloadavg()[0]
    return f"""# Figures of one run

Written by `./scripts/bench` on {moment}, commit {commit}; {size.rounds} rounds, systems in turn within each.

Machine: {os.cpu_count()} cores ({_processor()}), {_memory():.0f} GiB, {platform.platform()}, Python
{platform.python_version()}; load when it ended: {load:.1f}. Servers are private to the run, on loopback, `fsync` on;
{_said("postgres", "--version")}, {_said("mariadbd", "--version").split("for")[0].strip()}. Redis keeps nothing on disk.

{versions}

Rates and times are medians of the rounds, with the lowest and the highest. The machine is shared: compare figures of
one run only."""


def _targets(targets: list[tuple[Target, Pair]]) -> str:
    lines = [
        "## Targets", "",
        "| | measure | unit | baseline | baseline's figure | Backburner | ratio | target | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for target, pair in targets:
        base, ours = spread(pair.base, target.digits), spread(pair.ours, target.digits)
        lines.append(
            f"| {target.id} | {target.what} | {target.unit} | {target.base} | {base} | {ours} | "
            f"{spread(pair.ratios, 2)} | {target.target} | {target.verdict(pair)} |"
        )
    return "\n".join(lines)


def _systems(systems: Mapping[System, Figures]) -> str:
    lines = [
        "## Systems side by side", "",
        "Jobs per second, for bodies that only count. *Default* and *best*: see `benchmarks/suite/systems.py`.", "",
        "| system | enqueue, one at a time | enqueue, in bulk | drain, default | drain, best | not durable |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for system, found in systems.items():
        if found.failed is not None:
            lines.append(f"| {system.name} | failed: {found.failed.splitlines()[0][:100]} | | | | |")
            continue
        figures = (spread(rates) for rates in (found.one, found.bulk, found.default, found.best))
        lines.append(f"| {system.name} | {' | '.join(figures)} | {system.says} |")
    return "\n".join(lines)


def _latencies(systems: Mapping[System, Figures]) -> str:
    lines = [
        "## From the call to the body, and idle", "",
        "Milliseconds, default configuration, all rounds together; what the whole tree of an idle worker uses.", "",
        "| system | p50 | p99 | idle, share of a core | idle, MB (PSS) |",
        "|---|---|---|---|---|",
    ]  # fmt: skip
    for system, found in systems.items():
        if found.failed is None and found.idle is not None:
            waited = [figure for figures in found.latencies for figure in figures]
            lines.append(
                f"| {system.name} | {median(waited):.2f} | {percentile(waited, 0.99):.2f} | {found.idle.cpu:.2%} | "
                f"{found.idle.megabytes:.0f} |"
            )
    return "\n".join(lines)


def _beside(systems: Mapping[System, Figures]) -> str:
    """The targets that other systems decide."""
    found = {system.name: figures for system, figures in systems.items() if figures.failed is None}
    lines = []
    for one in COMPARISONS:
        if one.ours not in found or one.theirs not in found:
            continue
        ours, theirs = one.figure(found[one.ours]), one.figure(found[one.theirs])
        if ours is None or theirs is None:
            continue
        verdict = one.verdict(ours, theirs)
        digits = 2 if ours < 100 else 0
        lines.append(
            f"| {one.id} | {one.what} | {one.ours} | {ours:,.{digits}f} | {one.theirs} | {theirs:,.{digits}f} | "
            f"{ours / theirs:.2f} | {one.target} | {verdict} |"
        )
    if not lines:
        return ""
    head = [
        "## Targets beside others", "",
        "| | measure | | figure | beside | its figure | ratio | target | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    return "\n".join(head + lines)


def _said(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False).stdout.strip()
    except OSError:
        return ""


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
