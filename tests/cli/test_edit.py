"""`backburner jobs edit`."""

import click
import pytest

from backburner import Backburner, Secret
from tests.cli.conftest import Run


@pytest.fixture
def app(jobs: Backburner, monkeypatch: pytest.MonkeyPatch) -> Backburner:
    """The app whose tasks the command knows."""
    monkeypatch.setattr("backburner.cli.jobs.open_app", lambda call: jobs)
    jobs.task(name="export")(export)
    return jobs


def export(month: str) -> str:
    return month


def test_arguments_are_changed_and_the_job_is_run_again(app: Backburner, run: Run) -> None:
    job = app.registry.require("export").enqueue("2026-10")
    done = run("jobs", "edit", job.id, "--args", '{"month": "2026-11"}')
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"edited: {job.id}\n", "")
    assert job.refresh().args == '{"month":"2026-11"}'
    job.cancel()
    said = run("jobs", "edit", job.id, "--args", '{"month": "2026-12"}')
    assert said.stderr == f"It is cancelled. To run it: backburner jobs retry {job.id}\n"
    again = run("jobs", "edit", job.id, "--args", '{"month": "2026-12"}', "--retry")
    assert again.stdout == f"edited: {job.id}\nretried: {job.id}\n"
    assert job.refresh().state == "queued"


def test_what_does_not_fit_is_refused(app: Backburner, run: Run) -> None:
    job = app.registry.require("export").enqueue("2026-10")
    done = run("jobs", "edit", job.id, "--args", '{"month": 7}')
    assert done.exit_code == 1
    assert "at month: needs str" in done.stderr
    assert job.refresh().args == '{"month":"2026-10"}'
    assert run("jobs", "edit", "no-such-job", "--args", "{}").exit_code == 1
    assert run("jobs", "edit", job.id).exit_code == 2, "there is no terminal"


def test_an_editor_opens_on_a_terminal(app: Backburner, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    job = app.registry.require("export").enqueue("2026-10")
    seen: list[str] = []
    answers = [None, '{"month": "2026-11"}\n']

    def edit(text: str, extension: str) -> str | None:
        seen.append(text)
        return answers.pop(0)

    monkeypatch.setattr("backburner.cli.jobs._has_terminal", lambda: True)
    monkeypatch.setattr(click, "edit", edit)
    assert run("jobs", "edit", job.id).stderr == "Nothing was changed.\n"
    assert run("jobs", "edit", job.id).exit_code == 0
    assert seen == ['{"month":"2026-10"}'] * 2
    assert job.refresh().args == '{"month":"2026-11"}'


def test_the_editor_keeps_what_is_secret_and_has_nothing_of_it(
    app: Backburner, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sync(shop: int, token: Secret[str]) -> None: ...

    app.configure(secret="a secret for tests, long enough")
    task = app.task(name="sync")(sync)
    job, other = task.enqueue(7, Secret("canary-8d")), task.enqueue(7, Secret("another"))
    seen: list[str] = []

    def edit(text: str, extension: str) -> str | None:
        seen.append(text)
        return text.replace('"shop":7', '"shop":8')

    monkeypatch.setattr("backburner.cli.jobs._has_terminal", lambda: True)
    monkeypatch.setattr(click, "edit", edit)
    assert run("jobs", "edit", job.id).exit_code == 0
    assert task.load(job.refresh())[1] == {"shop": 8, "token": Secret("canary-8d")}
    wrong = run("jobs", "edit", job.id, "--args", other.args)
    assert (wrong.exit_code, "does not open here" in wrong.stderr) == (1, True)
    new = run("jobs", "edit", job.id, "--args", '{"shop": 9, "token": "canary-9e"}')
    assert task.load(job.refresh())[1] == {"shop": 9, "token": Secret("canary-9e")}
    shown = run("jobs", "show", job.id, "--json")
    assert '"args": "{\\"shop\\": 9, \\"token\\": \\"encrypted\\"}"' in shown.stdout
    assert "canary" not in "".join([*seen, wrong.stderr, new.stdout, shown.stdout, job.refresh().args])
