"""Every dependency has a pinned version, so that the gate tests tomorrow what it tests today."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
ELSEWHERE = {"mysqlclient"}
"""What is compiled where it is installed, and is not in .venv: a test at length installs the latest."""


def normal(requirement: str) -> str:
    """The normalised name of the project that a requirement or a pin is about."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", name[0]).lower() if name else ""


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lists = [project["project"]["dependencies"]]
    lists += [*project["project"]["optional-dependencies"].values(), *project["dependency-groups"].values()]
    wanted = {normal(entry) for entries in lists for entry in entries if isinstance(entry, str)}
    lines = (ROOT / "scripts" / "constraints.txt").read_text().splitlines()
    # An extra may name another one.
    wanted -= {"backburner"} | ELSEWHERE
    pinned = {normal(line) for line in lines if "==" in line}
    assert wanted - pinned == set(), "install them in .venv and run scripts/pin"
