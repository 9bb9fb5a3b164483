"""The same tests with the latest Django on a later Python: it has the Tasks framework itself."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.contrib.later_django import ROOT, environment

NEEDED = (
    "django>=6",
    "pytest",
    "pytest-timeout",
    "pytest-xdist",
    "httpx",
    "aiosmtpd",
    "aiosqlite",
    "asyncmy",
    "axe-playwright-python",
    "greenlet",
    "gunicorn",
    "playwright",
)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_tests_pass_with_the_latest_django(tmp_path: Path) -> None:
    package = f"{ROOT}[broker,cookies,files,http,metrics,mysql,postgresql,redis,web]"
    here = environment(tmp_path / "env", ("-e", package, *NEEDED))
    tests = sorted(str(path) for path in Path(__file__).parent.glob("test_django_*.py") if path != Path(__file__))
    run = subprocess.run(
        [here, "-m", "pytest", "-q", "-n", "2", "--disable-warnings", *tests], cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-4000:]
