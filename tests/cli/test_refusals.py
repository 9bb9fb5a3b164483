"""What the command line refuses: with the exit code that says whose turn it is, and with value and remedy."""

import subprocess
from pathlib import Path

import click
import pytest

from backburner import Backburner
from backburner.cli.values import DURATION, SIZE
from tests.cli.conftest import Run
from tests.commands import BACKBURNER

APP = """
from backburner import Backburner
jobs = Backburner("sqlite:///jobs.db")
mails = Backburner("sqlite:///jobs.db", queues=["mails"], default_queue="mails")
"""


@pytest.mark.parametrize("typed", ["9" * 400, "99999999999d", "5219w"])
def test_a_duration_longer_than_a_hundred_years(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="more than a hundred years"):
        DURATION.convert(typed, None, None)


@pytest.mark.parametrize("typed", ["9" * 400 + "GB", "2000000000GB"])
def test_a_size_larger_than_any_machine(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="larger than any machine"):
        SIZE.convert(typed, None, None)


def test_old_jobs_of_an_age_that_no_calendar_has(jobs: Backburner, run: Run) -> None:
    refused = run("clear", "--older-than", "99999999999d", "--dry-run")
    assert refused.exit_code == 2
    assert "99999999999d" in refused.stderr


@pytest.mark.parametrize(
    ("app", "arguments", "words"),
    [
        ("jobs", ["worker", "--burst", "-q", ""], "--queue: option 'queue' = '': is no text"),
        ("jobs", ["worker", "--burst", "-q", "mails,reports"], "'mails,reports': is no queue name"),
        ("mails", ["worker", "--burst", "-q", "reports"], "'reports' is not among the app's queues: mails"),
        ("mails", ["process", "-q", "reports"], "'reports' is not among the app's queues: mails"),
        ("jobs", ["worker", "--burst", "--label", "x" * 101], "has 101 characters"),
        ("jobs", ["worker", "--burst", "--label", ""], "--label: option 'label' = '': is no text"),
        ("jobs", ["process", "--label", "x" * 101], "has 101 characters"),
        ("jobs", ["worker", "--burst", "--max-time", "0"], "'0' is no time at all. Give 1s or more."),
    ],
)
def test_what_no_worker_can_work_with(
    app: str, arguments: list[str], words: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "refused.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    refused = run("--app", f"refused:{app}", *arguments)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert words in refused.stderr
    assert not (tmp_path / "jobs.db").exists()


def test_an_option_of_the_wrong_kind_is_a_wrong_command_line(jobs: Backburner, run: Run) -> None:
    refused = run("jobs", "list", "--before", "yesterday")
    assert refused.exit_code == 2
    assert "'yesterday': is no id of a job" in refused.stderr


@pytest.mark.parametrize(
    ("environ", "file", "source"),
    [
        ({"BACKBURNER_APP": "nowhere:jobs"}, "", "environment variable BACKBURNER_APP"),
        ({}, 'app = "nowhere:jobs"', "backburner.toml"),
    ],
)
@pytest.mark.parametrize("command", [["jobs", "list"], ["worker"], ["doctor"]])
def test_an_app_that_is_not_there_is_named_with_its_source(
    command: list[str], environ: dict[str, str], file: str, source: str, run: Run,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKBURNER_APP", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    if file:
        Path("backburner.toml").write_text(file)
    said = " ".join(run(*command).output.split())
    assert "'nowhere:jobs'" in said
    assert source in said
    assert "from argument" not in said


def test_a_web_side_without_a_rule_does_not_say_that_it_serves(run: Run, jobs: Backburner) -> None:
    refused = run("web")
    assert refused.exit_code == 78
    assert "no rule says who may see which job" in refused.stderr
    assert "Serving" not in refused.stderr


def test_a_list_without_standard_output(jobs: Backburner) -> None:
    @jobs.task
    def nothing() -> None: ...

    nothing.enqueue()
    done = subprocess.run(
        f"{BACKBURNER} jobs list >&-", shell=True, stderr=subprocess.PIPE, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("url", ["bogus", "oracle://u:tiger@host/x", "sqlite:///nowhere/jobs.db", "sqlite://"])
@pytest.mark.parametrize("command", [["jobs", "list"], ["doctor"]])
def test_a_url_that_cannot_be_used_is_named_with_its_source(
    command: list[str], url: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKBURNER_APP", raising=False)
    monkeypatch.setenv("BACKBURNER_URL", url)
    said = " ".join(run(*command).output.split())
    assert "setting 'url'" in said
    assert "(from environment variable BACKBURNER_URL)" in said
    assert "tiger" not in said


def test_a_filter_with_a_character_that_no_database_stores(jobs: Backburner, run: Run) -> None:
    refused = run("jobs", "list", "--owner", "\udcff")
    assert refused.exit_code == 2
    assert "option 'owner'" in refused.stderr
    assert "Remove NUL and lone surrogates" in refused.stderr


def test_a_default_that_no_longer_fits_is_called_one(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKBURNER_LEASE", "1")
    refused = run("settings")
    assert refused.exit_code == 78
    assert "setting 'beat' = 5.0 (from default): is more than a third of lease (1)" in refused.stderr


def test_a_misspelt_app_in_a_file_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKBURNER_APP", raising=False)
    Path("backburner.toml").write_text('ap = "shop:jobs"')
    refused = run("jobs", "list")
    assert refused.exit_code == 78
    assert "setting 'ap' = " in refused.stderr
    assert "backburner.toml" in refused.stderr
