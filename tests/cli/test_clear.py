"""`backburner clear`: what is old goes, what is not finished stays."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from backburner import Backburner
from backburner.states import FINAL, JobState
from tests.cli.conftest import Run


@pytest.fixture
def ids(jobs: Backburner) -> dict[str, str]:
    """A job per state: the final ones ended 45 days ago."""

    @jobs.task
    def add() -> None: ...

    made = {state.value: add.enqueue().id for state in JobState}
    t, ended = jobs.store.schema.jobs, jobs.store.clock.now() - timedelta(days=45)
    for state in JobState:
        finished = ended if state in FINAL else None
        statement = update(t).where(t.c.id == made[state]).values(state=state, finished_at=finished)
        jobs.store.run(lambda c, s=statement: c.execute(s))  # type: ignore[misc]
    return made


def left(jobs: Backburner) -> set[str]:
    return {job.state.value for job in jobs.find(limit=1000)}


ALL = {state.value for state in JobState}


def test_a_preview_deletes_nothing(jobs: Backburner, ids: dict[str, str], run: Run) -> None:
    shown = run("clear", "--dry-run")
    assert shown.exit_code == 0
    assert shown.stderr == "Nothing was deleted.\n"
    rows = [tuple(line.split()) for line in shown.stdout.splitlines()[1:]]
    assert rows == [
        ("cancelled", "60", "d", "0"),
        ("failed", "60", "d", "0"),
        ("interrupted", "60", "d", "0"),
        ("skipped", "30", "d", "1"),
        ("succeeded", "30", "d", "1"),
    ]
    assert left(jobs) == ALL


def test_by_the_settings(jobs: Backburner, ids: dict[str, str], run: Run) -> None:
    done = run("clear", "--yes")
    assert done.exit_code == 0
    assert done.stdout.endswith("deleted 2 jobs\n")
    assert left(jobs) == ALL - {"skipped", "succeeded"}
    assert run("clear", "--yes").stderr == "There is nothing to delete.\n"


def test_by_age_and_state(jobs: Backburner, ids: dict[str, str], run: Run) -> None:
    assert run("clear", "--older-than", "46d", "--yes").stderr == "There is nothing to delete.\n"
    assert run("clear", "-s", "failed", "--older-than", "44d", "-y").stdout.endswith("deleted 1 job\n")
    assert left(jobs) == ALL - {"failed"}
    assert run("clear", "--older-than", "0", "-y").exit_code == 0
    assert left(jobs) == {state.value for state in JobState if state not in FINAL}


def test_zero_keeps_for_ever(jobs: Backburner, ids: dict[str, str], run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKBURNER_KEEP_SUCCEEDED", "0")
    done = run("clear", "--yes")
    assert "succeeded jobs are kept for ever by the setting keep_succeeded: give --older-than." in done.stderr
    assert left(jobs) == ALL - {"skipped"}


def test_without_a_yes_nothing_goes(jobs: Backburner, ids: dict[str, str], run: Run) -> None:
    refused = run("clear")
    assert refused.exit_code == 2
    assert "Delete 2 jobs? Say --yes" in refused.stderr
    assert left(jobs) == ALL


def test_unfinished_states_cannot_be_named(jobs: Backburner, run: Run) -> None:
    assert run("clear", "--state", "queued", "--yes").exit_code == 2
