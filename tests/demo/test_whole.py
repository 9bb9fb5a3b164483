"""The demo as one command: by itself, and with a million rows."""

import os
import subprocess
import sys
from pathlib import Path

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
        timeout=110,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    seen = [line.strip() for line in run.stdout.splitlines() if line.startswith("  ")]
    assert len(seen) == 9
    assert "killed with kill -9" in seen[0]
    assert all(line.startswith("ok ") for line in seen)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_million_rows_stay_within_bounded_memory() -> None:
    found = measure(ROWS)
    assert (found.state, found.rows) == ("succeeded", ROWS)
    assert 0 < found.peak < MOST_BYTES
