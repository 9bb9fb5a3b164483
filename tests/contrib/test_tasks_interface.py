"""The tests of Django's own Tasks framework pass against our backend: with Django, and with the package before it."""

import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.contrib.later_django import ROOT, environment

DJANGO = "6.1.3"
CHECKSUM = "b5d2d9e35295065d13b1927b3f19a59bd119f737aa6299def14ccca1ae3c8c0d"
"""Of Django's source distribution: the wheel has no tests."""

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has this Django and what our backend needs."""
    packages = ("-e", f"{ROOT}[web]", f"django=={DJANGO}", "setuptools", "wheel")
    return environment(tmp_path_factory.mktemp("later") / "env", packages)


@pytest.fixture(scope="module")
def suite(later: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `tests` of Django's source."""
    folder = tmp_path_factory.mktemp("django")
    download = ("-m", "pip", "download", "-q", "--no-deps", "--no-build-isolation", "--no-binary", "django")
    subprocess.run([later, *download, f"django=={DJANGO}", "-d", folder], check=True)
    (file,) = folder.glob("*.tar.gz")
    assert hashlib.sha256(file.read_bytes()).hexdigest() == CHECKSUM
    with tarfile.open(file) as archive:
        archive.extractall(folder, filter="data")
    return folder / f"django-{DJANGO}" / "tests"


def passes(python: str | Path, suite: Path, home: str) -> str:
    """Run the suite; what it says at its end."""
    run = subprocess.run(
        [python, "-m", "tests.contrib.tasks_interface", suite, home], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-8000:] + run.stdout
    return run.stdout


def test_those_of_django(later: Path, suite: Path) -> None:
    assert "78 tests pass, and 7 are not about a durable backend." in passes(later, suite, "django.tasks")


def test_the_same_with_the_package_for_earlier_django(suite: Path) -> None:
    """Its own source distribution has no tests, and the interface is the same."""
    passes(sys.executable, suite, "django_tasks")
