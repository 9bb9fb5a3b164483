"""`backburner worker` in processes of its own."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from backburner import Backburner, Task
from tests.cli.conftest import Run
from tests.cli.programs import Shop, make_shop
from tests.waiting import wait_until


def enqueue(shop: Shop, *calls: tuple[object, ...]) -> list[str]:
    """Store calls of the app's tasks from outside of it: (name, arguments ...)."""
    made = Backburner(shop.url)

    @made.task(name="shop.add")
    def add(a: int, b: int) -> int: ...  # type: ignore[empty-body]

    @made.task(name="shop.perm")
    def perm() -> None: ...

    @made.task(name="shop.hold")
    def hold(name: str) -> None: ...

    @made.task(name="shop.gone")
    def gone() -> None: ...

    tasks: dict[str, Task[..., Any]] = {"add": add, "perm": perm, "hold": hold, "gone": gone}
    ids = [tasks[str(name)].enqueue(*values).id for name, *values in calls]
    made.close()
    return ids


def states(shop: Shop) -> dict[str, str]:
    """Each job's state, by id."""
    made = Backburner(shop.url)
    found = {job.id: job.state.value for job in made.find()}
    made.close()
    return found


def test_burst_runs_what_is_ready_and_ends(shop_everywhere: Shop) -> None:
    shop = shop_everywhere
    added, perm = enqueue(shop, ("add", 1, 2), ("perm",))
    ran = shop.run_afresh("worker", "--burst")
    assert ran.returncode == 0, ran.stderr
    assert states(shop) == {added: "succeeded", perm: "failed"}
    lines = ran.stderr.splitlines()
    assert any("is ready (process " in line for line in lines)
    assert lines[-1].endswith("ends: nothing is ready any more")
    assert "alembic" not in ran.stderr
    assert "\x1b" not in ran.stderr
    shown = json.loads(shop.run("jobs", "show", added, "--json").stdout)
    assert shown["result_text"] == "3"


def test_a_process_is_replaced_at_its_limit_and_burst_goes_on(sqlite_url: str, tmp_path: Path) -> None:
    shop = make_shop(tmp_path, sqlite_url)
    (tmp_path / "a.go").touch()
    ids = enqueue(shop, *[("hold", "a")] * 3)
    ran = shop.run("worker", "--burst", "--max-jobs", "1", "-c", "1")
    assert ran.returncode == 0, ran.stderr
    assert states(shop) == dict.fromkeys(ids, "succeeded")
    assert ran.stderr.count("ends: 1 jobs are done") == 3


def test_only_the_queues_that_were_named(sqlite_url: str, tmp_path: Path) -> None:
    shop = make_shop(tmp_path, sqlite_url)
    (made,) = enqueue(shop, ("add", 1, 2))
    assert shop.run("worker", "--burst", "-q", "mails").returncode == 0
    assert states(shop) == {made: "queued"}
    assert shop.run("worker", "--burst", "-q", "mails", "-q", "default").returncode == 0
    assert states(shop) == {made: "succeeded"}


def test_a_queue_that_the_app_does_not_have(sqlite_url: str, tmp_path: Path) -> None:
    shop = make_shop(tmp_path, sqlite_url)
    ran = shop.run("worker", "--burst", "-q", "mials", BACKBURNER_QUEUES="default,mails")
    assert ran.returncode == 2
    assert "'mials' is not among the app's queues: default, mails." in ran.stderr


def test_settings_of_the_apps_code_reach_the_worker(sqlite_url: str, tmp_path: Path) -> None:
    shop = make_shop(tmp_path, sqlite_url)
    (tmp_path / "small.py").write_text(
        "from shop import *\nfrom backburner import Backburner\n"
        "jobs = Backburner(os.environ['SHOP_URL'], concurrency=3)\n"
    )
    with shop.started("--app", "small:jobs", "worker", "--label", "till") as running:
        made = Backburner(shop.url)
        wait_until(lambda: "is ready" in shop.said(), "the worker is ready")
        (worker,) = made.store.workers.live()
        made.close()
        assert (worker.concurrency, worker.label, worker.queues) == (3, "till", None)
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0


def test_a_running_job_may_end_after_sigterm(shop: Shop) -> None:
    (made,) = enqueue(shop, ("hold", "a"))
    with shop.started("worker") as running:
        wait_until((shop.folder / "a.started").exists, "the job began")
        running.send_signal(signal.SIGTERM)
        wait_until(lambda: "stopping; running jobs have 25 s" in shop.said(), "the worker was told")
        (shop.folder / "a.go").touch()
        assert running.wait(30) == 0
    assert states(shop) == {made: "succeeded"}


@pytest.mark.parametrize(
    ("app", "problem"),
    [
        ("nowhere:jobs", "there is no module 'nowhere' here"),
        ("shop:job", "'job' in shop is not there"),
        ("shop:add", "names a Task, no Backburner"),
        ("shop", "names no object"),
        ("broken:jobs", "ZeroDivisionError: division by zero ("),
        ("leaving:jobs", "SystemExit: 3 ("),
    ],
)
@pytest.mark.parametrize("command", ["worker", "jobs list"])
def test_an_app_that_cannot_be_used(command: str, app: str, problem: str, sqlite_url: str, tmp_path: Path) -> None:
    shop = make_shop(tmp_path, sqlite_url)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "leaving.py").write_text("raise SystemExit(3)\n")
    ran = shop.run("--app", app, *command.split())
    assert ran.returncode == 78
    assert ran.stderr.startswith("Error: ")
    assert problem in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_verbose_shows_where(sqlite_url: str, tmp_path: Path) -> None:
    shop = make_shop(tmp_path, sqlite_url)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    for command in (("worker",), ("jobs", "list")):
        ran = shop.run("-v", "--app", "broken:jobs", *command)
        assert "Traceback (most recent call last):" in ran.stderr
        assert ran.stderr.splitlines()[-1].startswith("Error: the app broken:jobs cannot be imported: ZeroDivision")
        assert f"{tmp_path / 'broken.py'}, line 1)" in ran.stderr


@pytest.mark.parametrize("command", ["worker", "process", "jobs list"])
def test_without_an_app_it_says_how_to_name_one(command: str, sqlite_url: str, tmp_path: Path) -> None:
    shop = make_shop(tmp_path, sqlite_url)
    ran = shop.run(*command.split(), app=None)
    assert ran.returncode == 78
    assert ran.stderr.startswith(
        "Error: setting 'app' = None (from command line): is not set. Give --app module:object"
    )


@pytest.mark.parametrize(
    ("file", "text"),
    [("backburner.toml", 'app = "shop:jobs"\n'), ("pyproject.toml", '[tool.backburner]\napp = "shop:jobs"\n')],
)
def test_a_file_names_the_app(file: str, text: str, sqlite_url: str, tmp_path: Path) -> None:
    shop = make_shop(tmp_path, sqlite_url)
    (tmp_path / file).write_text(text)
    (made,) = enqueue(shop, ("add", 1, 2))
    ran = shop.run("worker", "--burst", app=None)
    assert ran.returncode == 0, ran.stderr
    assert states(shop) == {made: "succeeded"}
    (tmp_path / file).write_text(text.replace('"shop:jobs"', "7"))
    wrong = shop.run("worker", "--burst", app=None)
    assert wrong.returncode == 78
    assert f"setting 'app' = 7 (from {tmp_path / file}): names no object" in wrong.stderr


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("nonsense", "is no database URL"),
        ("oracle://x/y", "'oracle' is not supported. Use one of: mariadb, mysql, postgresql, sqlite"),
        ("sqlite:////no/such/folder/jobs.db", "the folder /no/such/folder does not exist"),
        ("sqlite://", "a database in memory is gone with its connection"),
    ],
)
def test_a_wrong_url(url: str, problem: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = make_shop(tmp_path, url)
    for command in ("worker", "process"):
        ran = shop.run(command)
        assert ran.returncode == 78
        assert problem in ran.stderr
        assert "Traceback" not in ran.stderr
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKBURNER_URL", url)
    for arguments in (("jobs", "list"), ("migrate",), ("clear",)):
        said = run(*arguments)
        assert said.exit_code == 78
        assert said.stderr.startswith("Error: setting 'url' = ")
        assert problem in said.stderr


@pytest.mark.parametrize("command", ["worker", "process", "jobs list", "doctor"])
def test_a_missing_driver(command: str, tmp_path: Path) -> None:
    shop = make_shop(tmp_path, "postgresql://nobody@127.0.0.1:1/none")
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "sitecustomize.py").write_text("import sys\nsys.modules['psycopg'] = None\n")
    ran = shop.run_afresh(*command.split(), PYTHONPATH=str(blocked))
    assert ran.returncode == (1 if command == "doctor" else 78)
    said = " ".join((ran.stdout + ran.stderr).split())
    assert "needs the package 'psycopg'. Run: pip install 'backburner[postgresql]'" in said


def test_missing_tables(empty_postgresql_url: str, tmp_path: Path) -> None:
    shop = make_shop(tmp_path, empty_postgresql_url)
    for command in (("worker",), ("process",), ("jobs", "list"), ("clear",)):
        ran = shop.run(*command)
        assert ran.returncode == 78, command
        assert "has no Backburner tables" in ran.stderr
        assert "Run: backburner migrate" in ran.stderr


@pytest.mark.parametrize("command", ["process", "jobs list", "migrate", "clear"])
def test_a_database_that_does_not_answer(command: str, tmp_path: Path) -> None:
    ran = make_shop(tmp_path, "postgresql://ada:tiger@127.0.0.1:1/none").run(*command.split())
    assert ran.returncode == 1
    assert "does not answer" in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert "tiger" not in ran.stderr
