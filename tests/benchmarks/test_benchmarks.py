"""The benchmarks work: they run small, and say what they measured. How fast is not asserted."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(module: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("database", ["sqlite", "postgresql", pytest.param("mariadb", marks=pytest.mark.long)])
def test_the_drain_is_measured_beside_the_raw_loop(database: str) -> None:
    figures = json.loads(run("benchmarks.drain", "--small", "--database", database))
    assert figures["database"] == database
    assert figures["jobs"] == 2_000
    assert figures["raw"] > 0
    assert figures["backburner"] > 0


@pytest.mark.long
@pytest.mark.parametrize("broker", ["rabbitmq", "redis"])
def test_the_drain_is_measured_with_a_broker(broker: str) -> None:
    figures = json.loads(run("benchmarks.drain", "--small", "--database", "postgresql", "--broker", broker))
    assert (figures["broker"], figures["jobs"]) == (broker, 2_000)
    assert figures["backburner"] > 0


@pytest.mark.long
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_layouts_are_compared(database: str) -> None:
    table = run("benchmarks.layout", "--rows", "2000", "--jobs", "1000", "--rounds", "1", "--database", database)
    assert "| one | " in table
    assert "| two | " in table


@pytest.mark.long
@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"])
def test_the_cost_of_groups_is_measured(database: str) -> None:
    figures = json.loads(run("benchmarks.groups", "--small", "--database", database))
    assert figures["none"]["ratio"] == 1.0
    assert all(figures[name]["per_second"] > 0 for name in ("parked", "arrived", "tenth", "many", "row", "raw row"))


def test_the_suite_prints_a_target() -> None:
    text = run("benchmarks.suite", "--small", "P10")
    target = next(line for line in text.splitlines() if line.startswith("| P10 |"))
    assert re.search(r"\| (holds|\*\*does not hold\*\*.*) \|$", target)


@pytest.mark.long
def test_the_suite_prints_systems_side_by_side() -> None:
    text = run("benchmarks.suite", "--small", "Backburner, sqlite")
    systems = [line for line in text.splitlines() if line.startswith("| Backburner, sqlite |")]
    assert len(systems) == 2, "rates, and latencies with what an idle worker uses"
    assert not [line for line in systems if "failed" in line]


@pytest.mark.long
def test_the_cost_of_viewers_is_measured() -> None:
    figures = json.loads(run("benchmarks.viewers", "--small", "--database", "sqlite"))
    assert (figures["database"], figures["viewers"], figures["jobs"]) == ("sqlite", 12, 4)
    assert figures["updates"] > 0
    assert figures["queries_per_second"] > 0


@pytest.mark.long
@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"])
def test_the_pages_are_measured(database: str) -> None:
    figures = json.loads(run("benchmarks.pages", "--small", "--database", database))
    assert (figures["database"], figures["finished"]) == (database, 2_000)
    assert figures["slowest"] == max(figures["p95"].values()) > 0


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def test_the_parts_of_a_job_s_life_are_measured(database: str) -> None:
    text = run("benchmarks.life", "--database", database, "--jobs", "3000")
    assert text.startswith(f"{database}: ")
    assert {"claimer", "bodies", "finisher"} <= {line.strip("| ").split(":")[0] for line in text.splitlines()}


def test_a_server_s_reach_is_computed() -> None:
    text = run("benchmarks.scale", "--most", "2", "--seconds", "0.2")
    fleets = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith(("| 1 ", "| 2 "))]
    assert fleets == ["1", "2", "1", "2"]
    assert not [line for line in text.splitlines() if "| 0 (" in line]


def test_every_benchmark_is_run_here_or_by_hand() -> None:
    named = Path(__file__).read_text(encoding="utf-8")
    by_hand = {"kill"}
    programs = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text()}
    unrun = {name for name in programs if f"benchmarks.{name}" not in named} - by_hand - {"noop"}
    assert unrun == set()
