"""S13: what is secret by its name is shown nowhere: on no page, in no answer, log, error, export or command.

It is stored as any argument is: see the threat model. The canaries are looked for wherever anybody looks.
"""

import logging
from typing import Any

import pytest
from click.testing import CliRunner

from backburner import Backburner, Job, RetryPolicy, Task
from backburner.cli import main
from backburner.errors import BackburnerError, shown
from backburner.job import ClaimedJob
from backburner.web.contract import CONTRACT
from backburner.where import Where
from backburner.worker import Worker
from tests.attack.apps import OURS, OWNER, App
from tests.attack.estate import Estate

CANARY = "canary-93ac"
GIVEN = {"/jobs/{job_id}/result", "/jobs/{job_id}/events", "/jobs/feed"}
"""What a job returned is given whole to whoever may have it; streams send what JSON sends, until their end."""
SECRET_NAMES = ("password", "api_token", "secret", "credentials", "private_key", "apiKey", "db_passwd", "passphrase")


@pytest.fixture
def sign_in(app: App) -> Task[..., Any]:
    @app.jobs.task(name="sign.in", max_attempts=2, retry=RetryPolicy.fixed(0.01))
    def sign_in(user: str, password: str, options: dict[str, Any]) -> dict[str, Any]:
        if user == "fails":
            raise PermissionError("it was refused")
        return {"user": user, "session_token": password, "nested": [{"api_key": password}]}

    return sign_in


def call(task: Task[..., Any], user: str, **more: Any) -> Job:
    options = dict.fromkeys(SECRET_NAMES, CANARY) | {"plain": "seen", "list": [{"client_secret": CANARY}]}
    return task.options(owner=OWNER, meta={"note": "seen", "api_key": CANARY}, **more).enqueue(user, CANARY, options)


def test_s13_what_is_secret_by_its_name_is_shown_nowhere(
    app: App, sign_in: Task[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Through success, failure with its traceback, retry, edit and export: to the operator who may see everything."""
    caplog.set_level(logging.DEBUG, "backburner")
    jobs, said = app.jobs, list[str]()
    good, bad = call(sign_in, "ada"), call(sign_in, "fails")
    later, damaged = call(sign_in, "ada", delay=3600), call(sign_in, "ada")
    jobs.store.run(lambda c: c.exec_driver_sql("UPDATE backburner_jobs SET args = args || '}' WHERE id = ?",
                                               (damaged.id,)))  # fmt: skip
    export = jobs.insight.operator("boss", "code").export(Where.of(""), columns=["id", "args", "result", "error"])
    with Worker(jobs):
        assert all(job.wait(30) for job in (good, bad, export))
    jobs.retry(bad)
    with Worker(jobs):
        assert bad.wait(30)
    [file] = jobs.control.files_of([export.id])[export.id]
    places = {"file_id": file.id, "name": "sign.in", "schedule": "none"}
    reads = [route for route in CONTRACT if route.method == "GET" and route.path not in GIVEN]
    for job in (good, bad, later, damaged):
        estate = Estate(jobs, CANARY, OWNER, job, job, job, places)
        # Addresses of no job in particular once, those of a job for each.
        for route in reads if job is good else [one for one in reads if "{job_id}" in one.path]:
            answer = app.ask("GET", estate.address(route), "boss", OURS, None)
            said.append(f"{route.path} {answer.text} {answer.headers}")
    wrong = app.ask("POST", f"/dashboard/jobs/{later.id}/edit", "boss", OURS,
                    {"arg.user": "", "arg.password": "", "arg.options": "{"})  # fmt: skip
    said.append(wrong.text)
    monkeypatch.setenv("BACKBURNER_URL", jobs.settings.url)
    ids = [job.id for job in (good, bad, later, damaged)]
    said += [CliRunner().invoke(main, ["jobs", "show", *ids, *more]).output for more in ([], ["--json"])]
    said += [CliRunner().invoke(main, ["jobs", "list", *more]).output for more in ([], ["--json"])]
    said += [repr([jobs, jobs.settings, good.refresh(), damaged, jobs.control.show(bad.id)])]
    said += [caplog.text, *capfd.readouterr()]
    everything = "\n".join(said)
    assert "seen" in everything, "what is not secret is shown"
    assert "it was refused" in everything, "and so is the failure"
    found = [text[max(0, text.index(CANARY) - 100) :][:200] for text in said if CANARY in text]
    assert found == []


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_s13_a_wrong_value_is_not_repeated(jobs: Backburner, name: str) -> None:
    function = eval(f"lambda {name}: 1")
    function.__annotations__ = {name: int}
    task = jobs.task(name=f"takes.{name}")(function)
    with pytest.raises(BackburnerError) as refused:
        task.enqueue(CANARY)
    seen: list[str] = []
    error: BaseException | None = refused.value
    while error is not None:
        seen += [str(error), repr(error), shown(error)]
        error = error.__cause__ or error.__context__
    assert CANARY not in "\n".join(seen)


def test_s13_what_stands_in_a_variable_shows_no_argument(sign_in: Task[..., Any], app: App) -> None:
    """Services that collect errors keep the `repr` of all variables, also of those of a worker."""
    store, held = app.jobs.store, list[object]()
    job = call(sign_in, "ada")
    now = store.clock.now()
    held.append(sign_in.new_job(store.jobs.get(job.id).id, now, ("ada", CANARY, {}), {}))
    with Worker(app.jobs) as worker:
        assert job.wait(30)
        held.append(worker)
    with store.engine.begin() as connection:
        row = connection.exec_driver_sql("SELECT args FROM backburner_jobs").scalar_one()
    held.append(
        ClaimedJob(job.id, 1, 1, job.task, row, "json", "default", 50, 0, 0, 0, None, True, None, None, None, None)
    )
    assert CANARY in row
    assert CANARY not in repr(held)
