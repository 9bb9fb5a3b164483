"""Jobs of small real apps, which run when the test says so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backburner import Backburner
from backburner.job import Job
from backburner.testing import JobsTesting


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Backburner]:
    made = Backburner(
        f"sqlite:///{tmp_path / 'unused.db'}", secret="a secret for tests, long enough", files=str(tmp_path / "files")
    )
    yield made
    made.close()


@pytest.fixture
def testing(jobs: Backburner, tmp_path: Path) -> Iterator[JobsTesting]:
    with JobsTesting(jobs, tmp_path) as made:
        yield made


def output(jobs: Backburner, job: Job) -> list[str]:
    """The lines that a job has put out."""
    return "".join(line.text for line in jobs.store.progress.log(job.id)).splitlines()
