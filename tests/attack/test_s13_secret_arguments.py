"""S13: what is annotated `Secret` is encrypted, and in no table, file, log, answer, export or command."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

import pytest
from click.testing import CliRunner
from sqlalchemy import select, update

from backburner import Backburner, Job, JobState, RetryPolicy, Secret, Task
from backburner.cli import main
from backburner.errors import DecodeError
from backburner.web import web_app
from backburner.web.contract import CONTRACT
from backburner.where import Where
from backburner.worker import Worker, WorkerOptions
from tests.attack.apps import OURS, OWNER
from tests.attack.estate import Estate
from tests.attack.test_s13_secrets import GIVEN
from tests.waiting import wait_until
from tests.web.shop import SECRET, Caller, by_header

CANARY, TYPED, SENT = "canary-5e17", "canary-by-form", "canary-by-http"
QUICK = WorkerOptions(poll=0.05, concurrency=4)


class Login(TypedDict):
    user: str
    pin: Secret[str]


class Scene:
    """An app whose task keeps what it was given, in memory alone."""

    def __init__(self, url: str, folder: Path, **settings: Any) -> None:
        self.jobs = Backburner(url, files=str(folder / "files"), **{"secret": SECRET, **settings})
        self.seen: list[str] = []

        @self.jobs.task(
            name="sync", title="Sync {shop} by {code}", max_attempts=2, retry=RetryPolicy.fixed(0.01), api=True
        )
        def sync(shop: str, code: Secret[str], login: Login | None = None) -> str:
            self.seen.append(code.reveal())
            if shop == "fails":
                raise PermissionError(f"{code} of {login} was refused")
            return f"{shop} by {code}"

        self.sync: Task[..., str] = sync

    def call(self, shop: str, code: str = CANARY, **options: Any) -> Job:
        login = {"user": "ada", "pin": Secret(code)}
        return self.sync.options(owner=OWNER, **options).enqueue(shop, Secret(code), login)

    def asked_as(self, who: str) -> Caller:
        return Caller(web_app(self.jobs, resolve_user=by_header), {"x-user": who, **OURS})

    def ended(self, *jobs: Job) -> None:
        with Worker(self.jobs, QUICK):
            assert all(job.wait(60) for job in jobs)

    def change(self, job: Job, **values: Any) -> None:
        """What somebody with access to the database may do."""
        t = self.jobs.store.schema.jobs
        self.jobs.store.run(lambda c: c.execute(update(t).where(t.c.id == job.id).values(**values)))

    def held(self, job: Job) -> Job:
        wait_until(lambda: job.refresh().blocked_on == "damaged row", "it is held")
        return job.refresh()

    def tables(self) -> str:
        """All that is stored."""

        def work(connection: Any) -> str:
            tables = self.jobs.store.schema.metadata.sorted_tables
            return "\n".join(repr([tuple(row) for row in connection.execute(select(table))]) for table in tables)

        return self.jobs.store.read(work)


@pytest.fixture
def scene(sqlite_url: str, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(sqlite_url, tmp_path)
    yield made
    made.jobs.close()


@pytest.fixture
def scene_everywhere(database_url: str, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(database_url, tmp_path)
    yield made
    made.jobs.close()


def files(folder: Path) -> str:
    """What is in all files, those of the database too."""
    return "\n".join(path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file())


def pages(scene: Scene, jobs: list[Job], export: Job) -> Iterator[str]:
    """All that may be read about jobs, by who may read everything."""
    [file] = scene.jobs.control.files_of([export.id])[export.id]
    places = {"file_id": file.id, "name": "sync", "schedule": "nightly", "queue": "default"}
    boss = scene.asked_as("boss")
    for number, job in enumerate(jobs):
        estate = Estate(scene.jobs, CANARY, OWNER, job, job, job, places)
        for route in CONTRACT:
            if route.method != "GET" or route.path in GIVEN or (number and "{job_id}" not in route.path):
                continue
            answer = boss.get(estate.address(route))
            yield f"{route.path} {answer.text} {answer.headers}"


def commands(scene: Scene, jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("BACKBURNER_URL", scene.jobs.settings.url)
    ids = [job.id for job in jobs]
    for more in ([], ["--json"]):
        for command in (["jobs", "show", *ids], ["jobs", "list"], ["schedules", "show", "nightly"]):
            yield CliRunner().invoke(main, [*command, *more]).output


def by_form(scene: Scene, later: Job, good: Job) -> Iterator[str]:
    """Edit and retry, run, and start by HTTP: what is typed and what stays as it is."""
    boss = scene.asked_as("boss")
    form = boss.get(f"/dashboard/jobs/{later.id}/edit").text
    assert 'name="arg.code" type="password"' in form
    assert 'value="other"' in form, "what is no secret is filled in"
    kept = {"arg.shop": "other", "arg.code": "", "arg.login": ""}
    for fields, status in (
        ({**kept, "arg.code": TYPED, "arg.login": "{"}, 422),
        ({**kept, "arg.login": json.dumps({"user": "ada", "pin": [TYPED]})}, 422),
        ({**kept, "arg.shop": "again"}, 303),
        ({**kept, "arg.shop": "again", "arg.code": TYPED}, 303),
        (kept, 303),
    ):
        answer = boss.post(f"/dashboard/jobs/{later.id}/edit", data=fields)
        assert answer.status_code == status, answer.text
        yield answer.text
    assert boss.post(f"/dashboard/jobs/{good.id}/edit", data=kept).status_code == 303
    run = boss.post("/dashboard/tasks/sync/run", data={**kept, "arg.code": TYPED})
    assert run.status_code == 303
    yield run.text + boss.post("/dashboard/tasks/sync/run", data={**kept, "arg.code": TYPED, "arg.login": "{"}).text
    user = scene.asked_as(OWNER)
    for arguments, status in (
        ({"shop": "http", "code": SENT}, 202),
        ({"shop": "http", "code": [SENT]}, 422),
        ({"shop": "http", "code": {"$secret": SENT}}, 422),
        ({"shop": [SENT], "cod": SENT}, 422),
    ):
        answer = user.post("/jobs", json={"task": "sync", "arguments": arguments})
        assert answer.status_code == status, answer.text
        yield answer.text


def test_s13_a_secret_argument_is_stored_and_shown_nowhere(
    scene_everywhere: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Through success, failure with its traceback, retry, edit, schedule, a damaged row, and export."""
    caplog.set_level(logging.DEBUG)
    scene = scene_everywhere
    jobs, operator = scene.jobs, scene.jobs.insight.operator("boss", "code")
    good, bad, later = scene.call("good"), scene.call("fails"), scene.call("other", delay=3600)
    damaged = scene.call("damaged")
    scene.change(damaged, args=good.args)
    jobs.schedules.add(scene.sync, name="nightly", cron="0 2 * * *", args=("nightly", Secret(CANARY)))
    fired = jobs.schedules.run("nightly")
    scene.ended(good, bad, fired)
    scene.held(damaged)
    assert (good.refresh().result(), good.title) == ("good by ***", "Sync good by ***")
    said = [*by_form(scene, later, good)]
    jobs.retry(bad)
    export = operator.export(Where.of(""), columns=["id", "title", "args", "result", "error"])
    scene.ended(good, bad, export)
    assert bad.refresh().state is JobState.FAILED
    assert set(scene.seen) == {CANARY, TYPED, SENT}, "the task itself has them"
    every = [good, bad, later, damaged, fired]
    said += [*pages(scene, every, export), *commands(scene, every, monkeypatch)]
    said += [repr([scene.sync, later, good.refresh(), jobs.control.show(bad.id), scene.sync.parameters.schema()])]
    said += [scene.tables(), files(tmp_path), caplog.text, *capfd.readouterr()]
    everything = "\n".join(said)
    for seen in ("was refused", "encrypted", "by ***", "does not open here"):
        assert seen in everything, "what is no secret is shown"
    found = [
        text[max(0, text.index(canary) - 100) :][:300]
        for canary in (CANARY, TYPED, SENT)
        for text in said
        if canary in text
    ]
    assert found == []


def test_s13_what_stays_when_a_field_is_left_empty_is_the_value(scene: Scene) -> None:
    later = scene.call("other", delay=3600)
    boss = scene.asked_as("boss")
    path = f"/dashboard/jobs/{later.id}/edit"
    boss.post(path, data={"arg.shop": "kept", "arg.code": "", "arg.login": ""})
    kept = scene.sync.load(later.refresh())[1]
    assert (kept["shop"], kept["code"], kept["login"]["pin"]) == ("kept", Secret(CANARY), Secret(CANARY))
    boss.post(path, data={"arg.shop": "kept", "arg.code": TYPED, "arg.login": ""})
    assert scene.sync.load(later.refresh())[1]["code"] == Secret(TYPED)
    scene.change(later, args='{"shop":"old","code":"canary-5e17"}')
    page = boss.get(f"/dashboard/jobs/{later.id}").text + boss.get(path).text
    assert "old" in page
    assert CANARY not in page, "nor is a value shown that was stored before it was a secret"
    boss.post(path, data={"arg.shop": "old", "arg.code": ""})
    assert CANARY not in later.refresh().args, "an edit encrypts it"


def test_s13_a_moved_secret_opens_nowhere_else(scene: Scene) -> None:
    """Whoever can write rows cannot have one used for a job of their own."""
    one, other = scene.call("one", delay=3600), scene.call("other", "of another", delay=3600)
    stolen = json.loads(one.args)["code"]
    theirs = json.loads(other.args)
    swapped = [
        (other, theirs | {"code": stolen}),
        (other, theirs | {"login": {"user": "eve", "pin": theirs["code"]}}),
        (other, theirs | {"code": theirs["login"]["pin"]}),
        (other, theirs | {"shop": stolen}),
    ]
    for job, args in swapped:
        scene.change(job, args=json.dumps(args))
        with pytest.raises(DecodeError) as refused:
            scene.sync.load(job.refresh())
        assert CANARY not in str(refused.value)
    scene.change(other, args=json.dumps(theirs))
    assert scene.sync.load(other.refresh())[1]["code"] == Secret("of another")
    after = scene.call("after")
    scene.change(other, args=one.args)
    other = scene.jobs.retry(other.cancel().id)
    scene.ended(after)
    with Worker(scene.jobs, QUICK):
        held = scene.held(other)
    assert held.reason == "Its stored call cannot be read."
    assert "code: is encrypted, and does not open here" in scene.jobs.control.why_not_running(held)[0]
    assert scene.seen == [CANARY], "of the one that ran"


def test_s13_another_secret_opens_none_and_a_former_one_does(sqlite_url: str, tmp_path: Path, scene: Scene) -> None:
    first, second = scene.call("first"), scene.call("second")
    without = Scene(sqlite_url, tmp_path, secret=None)
    with Worker(without.jobs, QUICK):
        assert [scene.held(job).attempt for job in (first, second)] == [1, 1]
    changed = Scene(sqlite_url, tmp_path, secret="another secret, long enough", former_secrets=(SECRET,))
    for job in (first, second):
        changed.jobs.retry(job.id)
    third = changed.call("third")
    changed.ended(first, second, third)
    assert (without.seen, changed.seen) == ([], [CANARY] * 3)
    again = scene.jobs.get(third.id)
    with pytest.raises(DecodeError):
        scene.sync.load(again)
    without.jobs.close()
    changed.jobs.close()
