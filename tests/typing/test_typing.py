"""Both type checkers see the errors that the files beside this one expect, and no others.

In the gate that is shown by the step `types`, where both check these files: they complain about a comment that hides
nothing. Here it is shown without those comments.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
_COMMENTS = re.compile(r"  # type: ignore.*")


def expected(calls: Path) -> set[int]:
    """The lines on which an error must be."""
    return {n for n, line in enumerate(calls.read_text().splitlines(), 1) if "# type: ignore[" in line}


@pytest.fixture(
    params=[("enqueueing.py", 9), ("secret_arguments.py", 7), ("tracing.py", 4), ("tracking.py", 5)],
    ids=lambda param: param[0],
)
def wrong(request: pytest.FixtureRequest) -> tuple[Path, int]:
    """A file of calls, and how many of them are wrong."""
    name, count = request.param
    return HERE / name, count


def bare(calls: Path, folder: Path) -> Path:
    """The same calls without the comments that hide the errors."""
    copy = folder / "bare.py"
    copy.write_text("\n".join(_COMMENTS.sub("", line) for line in calls.read_text().splitlines()) + "\n")
    return copy


def mypy(file: Path) -> dict[int, str]:
    """Line and text of each error mypy finds."""
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml"), str(file)],
        cwd=ROOT, capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert run.returncode in (0, 1), run.stdout + run.stderr
    found = re.findall(rf"{re.escape(file.name)}:(\d+): error: (.*)", run.stdout)
    assert (run.returncode == 0) == (not found), run.stdout
    return {int(line): text for line, text in found}


def pyright(file: Path) -> dict[int, str]:
    """Line and text of each error pyright finds."""
    run = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", str(file)],
        cwd=ROOT, capture_output=True, text=True, timeout=250, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
    )  # fmt: skip
    report = json.loads(run.stdout[run.stdout.index("{") :])
    assert report["summary"]["filesAnalyzed"] == 1
    return {
        entry["range"]["start"]["line"] + 1: entry["message"]
        for entry in report["generalDiagnostics"]
        if entry["severity"] == "error"
    }


def test_both_complain_of_a_comment_that_hides_nothing(wrong: tuple[Path, int]) -> None:
    calls, count = wrong
    assert len(expected(calls)) == count
    assert "# pyright: reportUnnecessaryTypeIgnoreComment=error" in calls.read_text().splitlines()
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert config["mypy"]["strict"] is True, "which warns of unused comments"
    assert str(HERE.relative_to(ROOT)) in config["pyright"]["include"]


@pytest.mark.long
def test_mypy_sees_each_wrong_call_and_nothing_else(wrong: tuple[Path, int], tmp_path: Path) -> None:
    calls, count = wrong
    assert mypy(calls) == {}
    found = mypy(bare(calls, tmp_path))
    assert found.keys() == expected(calls)
    assert len(found) == count


@pytest.mark.long
def test_pyright_sees_each_wrong_call_and_nothing_else(wrong: tuple[Path, int], tmp_path: Path) -> None:
    calls, count = wrong
    assert pyright(calls) == {}
    found = pyright(bare(calls, tmp_path))
    assert found.keys() == expected(calls)
    assert len(found) == count
