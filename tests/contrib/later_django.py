"""The latest Django, which wants a later Python than the oldest of ours: an environment of its own."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import IN_CI

ROOT = Path(__file__).parents[2]
PYTHONS = ("python3.13", "python3.12")


def later_python() -> str:
    """A Python that Django 6 runs on; the test is skipped without one. A shim of a version manager may not run."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which(name) for name in PYTHONS] + [str(each) for each in versions.glob("3.1[23]*/bin/python")]
    for one in found:
        if one and subprocess.run([one, "-c", ""], capture_output=True).returncode == 0:
            return one
    assert not IN_CI, "with CI=true nothing may be left out"
    pytest.skip("No Python 3.12 or later is installed.")


def environment(folder: Path, packages: Sequence[str]) -> Path:
    """The Python of a new environment in `folder` with these packages."""
    subprocess.run([later_python(), "-m", "venv", str(folder)], check=True)
    here = folder / "bin" / "python"
    subprocess.run([here, "-m", "pip", "install", "-q", *packages], check=True)
    return here
