"""The demo as one command: by itself, and with a million rows."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from examples.shop.million import MOST_BYTES, ROWS, measure

ROOT = Path(__file__).parents[2]


def test_the_demo_plays_itself_through() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "examples.shop"],
        cwd=ROOT,
        env=os.environ | {"DEMO_ONCE": "1"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    seen = [line.strip() for line in run.stdout.splitlines() if line.startswith("  ")]
    assert len(seen) == 9
    assert "killed with kill -9" in seen[0]
    assert all(line.startswith("ok ") for line in seen)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_starts_with_one_command_and_stops_with_everything_it_started(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-m", "examples.shop", "--data", str(tmp_path / "shop"), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        try:
            assert run.stdout is not None
            address = next(line for line in run.stdout if "http://" in line).split()[-1]
            assert address.startswith("http://127.0.0.1:")
            family = psutil.Process(run.pid).children(recursive=True)
            assert len(family) >= 2
            run.send_signal(number)
            assert run.wait(30) == 0
        finally:
            run.kill()
    assert psutil.wait_procs(family, timeout=10)[1] == []


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_million_rows_stay_within_bounded_memory() -> None:
    found = measure(ROWS)
    assert (found.state, found.rows) == ("succeeded", ROWS)
    assert 0 < found.peak < MOST_BYTES
