"""`backburner schedules`."""

import json
from datetime import UTC, datetime

import pytest

from backburner import Backburner, Secret
from backburner.cli import codes
from backburner.states import JobState
from tests.cli.conftest import Run


def add(run: Run, *more: str, name: str = "nightly") -> None:
    done = run("schedules", "add", name, "shop.report", *(more or ("--cron", "30 2 * * *", "--zone", "Europe/Prague")))
    assert done.exit_code == 0, done.output


@pytest.fixture
def shop(jobs: Backburner, monkeypatch: pytest.MonkeyPatch) -> Backburner:
    """The commands open this app, with a task."""

    @jobs.task(name="shop.report", queue="reports")
    def report(country: str = "cz") -> None: ...

    monkeypatch.setattr("backburner.cli.schedules.open_app", lambda call: jobs)
    monkeypatch.setattr("backburner.cli.doctor.open_app", lambda call: jobs)
    return jobs


def test_there_are_none(shop: Backburner, run: Run) -> None:
    assert run("schedules", "list").stderr == "No schedules.\n"
    assert json.loads(run("schedules", "list", "--json").stdout) == []


def test_one_is_added_and_listed_in_plain_words(shop: Backburner, run: Run) -> None:
    done = run("schedules", "add", "nightly", "shop.report", "--cron", "30 2 * * *", "--zone", "Europe/Prague")
    assert done.stdout.startswith("added: nightly, every day at 02:30, Europe/Prague; 20")
    add(run, "--every", "5min", "--args", '{"country": "sk"}', name="often")
    head, *rows = run("schedules", "list").stdout.splitlines()
    assert head.split() == ["SCHEDULE", "TASK", "NEXT", "WHEN"]
    assert rows[0].split()[:2] == ["nightly", "shop.report"]
    assert rows[0].endswith("every day at 02:30, Europe/Prague")
    assert rows[1].endswith("every 5 minutes")
    assert shop.schedules.get("often").args == '{"country":"sk"}'


def test_what_is_secret_is_not_shown(shop: Backburner, run: Run) -> None:
    @shop.task(name="shop.sync")
    def sync(password: str, code: Secret[str]) -> None: ...

    shop.configure(secret="a secret for tests, long enough")
    done = run("schedules", "add", "sync", "shop.sync", "--every", "1h",
               "--args", '{"password": "canary-1", "code": "canary-2"}')  # fmt: skip
    assert done.exit_code == 0, done.output
    shown = run("schedules", "show", "sync"), run("schedules", "show", "sync", "--json")
    assert '{"password": "hidden", "code": "encrypted"}' in shown[0].stdout
    assert json.loads(shown[1].stdout)["args"] == {"password": "hidden", "code": "encrypted"}
    assert "canary" not in shown[0].output + shown[1].output
    assert "canary-2" not in shop.schedules.get("sync").args


def test_json_has_the_next_runs(shop: Backburner, run: Run) -> None:
    add(run, "--cron", "@yearly")
    [found] = json.loads(run("schedules", "list", "--json").stdout)
    year = datetime.now(UTC).year
    assert found["next_runs"] == [f"{year + more}-01-01T00:00:00+00:00" for more in (1, 2, 3)]
    assert (found["name"], found["description"], found["source"]) == ("nightly", "at 00:00 on January 1, UTC", "run")
    shown = json.loads(run("schedules", "show", "nightly", "--json").stdout)
    assert (shown["args"], shown["fires"], shown["problems"]) == ({}, [], [])


def test_run_now(shop: Backburner, run: Run) -> None:
    add(run)
    job_id = run("schedules", "run", "nightly").stdout.removeprefix("enqueued: ").strip()
    job = shop.get(job_id)
    assert (job.state, job.queue, job.owner, job.tags) == (JobState.QUEUED, "reports", None, ("schedule:nightly",))
    assert [found.id for found in shop.find(tag="schedule:nightly")] == [job_id]
    assert job_id in run("schedules", "show", "nightly").stdout
    again = json.loads(run("schedules", "run", "nightly", "--json").stdout)
    assert shop.get(again["job"]).task == "shop.report"


def test_pause_and_resume(shop: Backburner, run: Run) -> None:
    add(run)
    assert run("schedules", "pause", "nightly", "--reason", "month end").exit_code == 0
    assert run("schedules", "list").stdout.splitlines()[1].split()[2] == "paused"
    shown = run("schedules", "show", "nightly").stdout
    assert "It is paused since" in shown
    assert ": month end." in shown
    doctor = run("doctor").output
    assert "nightly: It is paused" in " ".join(doctor.split())
    assert run("schedules", "resume", "nightly").exit_code == 0
    assert shop.schedules.get("nightly").active


def test_remove(shop: Backburner, run: Run) -> None:
    add(run)
    refused = run("schedules", "remove", "nightly")
    assert refused.exit_code == codes.USAGE
    assert "--yes" in refused.stderr
    assert run("schedules", "remove", "nightly", "--yes").stdout == "removed: nightly\n"
    assert shop.schedules.list() == []


@pytest.mark.parametrize("verb", ["show", "run", "pause", "resume", "remove"])
def test_one_that_is_not_there(shop: Backburner, run: Run, verb: str) -> None:
    done = run("schedules", verb, "nobody")
    assert done.exit_code == codes.FAILED
    assert "there is no schedule 'nobody'" in done.stderr


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (["--cron", "30 2 30 2 *"], "never comes"),
        (["--cron", "nonsense"], "five fields"),
        ([], "Give one of the two"),
        (["--cron", "@daily", "--every", "60"], "Give one of the two"),
        (["--every", "1ms"], "duration"),
        (["--cron", "@daily", "--zone", "Mars/Base"], "unknown time zone"),
        (["--cron", "@daily", "--args", "[1]"], "no JSON object"),
        (["--cron", "@daily", "--args", "["], "no JSON object"),
        (["--cron", "@daily", "--bound", "3"], "missed='all'"),
    ],
)
def test_what_cannot_be_added(shop: Backburner, run: Run, given: list[str], complaint: str) -> None:
    done = run("schedules", "add", "nightly", "shop.report", *given)
    assert done.exit_code == codes.USAGE
    assert complaint in done.stderr
    assert shop.schedules.list() == []


def test_a_name_is_taken_once_and_a_task_must_be_known(shop: Backburner, run: Run) -> None:
    add(run)
    again = run("schedules", "add", "nightly", "shop.report", "--cron", "@daily")
    assert (again.exit_code, "is taken" in again.stderr) == (codes.USAGE, True)
    unknown = run("schedules", "add", "other", "shop.nothing", "--cron", "@daily")
    assert (unknown.exit_code, "not registered" in unknown.stderr) == (codes.FAILED, True)


def test_a_schedule_of_an_unknown_task_is_seen(shop: Backburner, run: Run) -> None:
    add(run)
    shop.registry._tasks.clear()

    @shop.task(name="other")
    def other() -> None: ...

    sentence = "Task shop.report is not registered in this app."
    assert sentence in run("schedules", "show", "nightly").stdout
    assert f"nightly: {sentence}" in " ".join(run("doctor").output.split())
