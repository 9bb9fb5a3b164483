"""A type checker knows the full type of everything the root exports."""

import json
import os
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

import backburner
from tests.architecture.sources import SOURCE


@cache
def symbols() -> list[dict[str, Any]]:
    """Every symbol of the package as pyright sees it, installed as a user would have it."""
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pyright", "--pythonpath", sys.executable),
            *("--outputjson", "--ignoreexternal", "--verifytypes", "backburner"),
        ],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        # pyright does not follow editable installs here, but it knows PYTHONPATH.
        env={**os.environ, "PYTHONPATH": str(SOURCE), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
    )
    report = json.loads(run.stdout[run.stdout.index("{") :])
    return list(report["typeCompleteness"]["symbols"])


def homes() -> set[str]:
    """Where the exported names are written."""
    exported = [getattr(backburner, name) for name in getattr(backburner, "__all__", ())]
    return {f"{value.__module__}.{value.__qualname__}" for value in exported if hasattr(value, "__qualname__")}


def belongs_to(symbol: str, home: str) -> bool:
    return symbol == home or symbol.startswith(f"{home}.")


def own_faults(symbol: dict[str, Any]) -> list[str]:
    """What pyright says about the symbol itself, not about the types that it mentions."""
    messages = [str(diagnostic["message"]) for diagnostic in symbol["diagnostics"]]
    return [message for message in messages if "partially unknown" not in message]


@pytest.mark.long
def test_every_public_type_is_known() -> None:
    public = homes()
    incomplete = {
        symbol["name"]: own_faults(symbol)
        for symbol in symbols()
        if any(belongs_to(symbol["name"], home) for home in public) and own_faults(symbol)
    }
    assert incomplete == {}


@pytest.mark.long
def test_pyright_sees_the_package() -> None:
    assert "backburner.states.JobState" in {symbol["name"] for symbol in symbols()}
