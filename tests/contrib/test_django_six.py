"""The same tests with the latest Django on a later Python: it has the Tasks framework itself."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import IN_CI

ROOT = Path(__file__).parents[2]
LATER = ("python3.13", "python3.12")
NEEDED = (
    "django>=6",
    "pytest",
    "pytest-timeout",
    "pytest-xdist",
    "httpx",
    "aiosmtpd",
    "aiosqlite",
    "asyncmy",
    "greenlet",
)


def later_python() -> str | None:
    """A Python that Django 6 runs on. What is only a shim of a version manager does not run."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which(name) for name in LATER] + [str(each) for each in versions.glob("3.1[23]*/bin/python")]
    tried = [one for one in found if one and subprocess.run([one, "-c", ""], capture_output=True).returncode == 0]
    return next(iter(tried), None)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_tests_pass_with_the_latest_django(tmp_path: Path) -> None:
    python = later_python()
    if python is None:
        assert not IN_CI, "with CI=true nothing may be left out"
        pytest.skip("No Python 3.12 or later is installed.")
    subprocess.run([python, "-m", "venv", str(tmp_path / "env")], check=True)
    here = tmp_path / "env" / "bin" / "python"
    package = f"{ROOT}[broker,cookies,files,http,metrics,mysql,postgresql,redis,web]"
    subprocess.run([here, "-m", "pip", "install", "-q", "-e", package, *NEEDED], check=True)
    tests = sorted(str(path) for path in Path(__file__).parent.glob("test_django_*.py") if path != Path(__file__))
    run = subprocess.run(
        [here, "-m", "pytest", "-q", "-n", "2", *tests], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-4000:]
