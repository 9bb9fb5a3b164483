"""MariaDB by mysqlclient, `mysql+mysqldb://` and what Django uses by itself: the tests that a driver can fail."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import IN_CI
from tests.programs import find_mariadb_client

ROOT = Path(__file__).parents[2]
TESTS = [
    *(f"tests/store/test_{name}.py" for name in ("claim", "fork", "grants", "groups", "insert", "intake", "keys")),
    *(f"tests/store/test_{name}.py" for name in ("life", "mariadb", "progress", "settle", "transient", "unavailable")),
    *(f"tests/api/test_{name}.py" for name in ("after", "bulk", "enqueue", "transaction", "unique")),
    *(f"tests/contrib/test_django_{name}.py" for name in ("atomic", "tables", "tasks")),
]


@pytest.fixture(scope="module")
def mysqlclient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the driver, built here: there are no wheels of it."""
    if find_mariadb_client() is None:
        assert not IN_CI, "with CI=true nothing may be left out"
        pytest.skip("mysqlclient cannot be built. Type: sudo apt-get install libmariadb-dev.")
    folder = tmp_path_factory.mktemp("mysqlclient")
    install = ("-m", "pip", "install", "-q", "--no-deps", "--target", folder, "mysqlclient>=2.2.4")
    subprocess.run([sys.executable, *install], check=True)
    return folder


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_tests_pass_with_mysqlclient(mysqlclient: Path) -> None:
    environ = os.environ | {"MARIADB_DRIVER": "mysqldb", "PYTHONPATH": f"{ROOT / 'src'}:{mysqlclient}"}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "-k", "mariadb", *TESTS], cwd=ROOT, env=environ,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-4000:]
