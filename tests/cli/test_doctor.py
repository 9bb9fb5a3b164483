"""`backburner doctor`: sound systems pass, and each thing that is wrong is named with its remedy."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, text

from backburner import Backburner, Secret
from backburner.cli import checks
from backburner.cli.checks import Finding, Verdict
from backburner.cli.doctor import as_lines
from backburner.notify.postgresql import PostgreSQLBell
from backburner.states import JobState
from backburner.store.health import DatabaseFile, Health
from backburner.store.store import Store
from backburner.worker import Worker, WorkerOptions
from tests.cli.conftest import Run
from tests.cli.programs import Shop, make_shop


@pytest.fixture
def app(database_url: str) -> Iterator[Backburner]:
    """An app on each kind of database, for checks called one by one."""
    made = Backburner(database_url, auto_migrate=True)
    made.store.ready()
    yield made
    made.close()


def findings(shop: Shop, code: int) -> dict[str, Finding]:
    ran = shop.run("doctor", "--json")
    assert ran.returncode == code, ran.stdout + ran.stderr
    return {one["check"]: Finding(**one) for one in json.loads(ran.stdout)}


def test_a_sound_system(shop_everywhere: Shop) -> None:
    shop = shop_everywhere
    found = findings(shop, 0)
    listens = shop.url.startswith("postgresql")
    names = [
        "settings",
        "driver",
        "file",
        "database",
        "tables",
        "clock",
        "wake-up",
        "workers",
        "held jobs",
        "schedules",
        "snapshots",
    ]
    missing = set() if shop.url.startswith("sqlite") else {"file"}
    missing |= set() if listens else {"snapshots"}
    assert list(found) == [name for name in names if name not in missing]
    for name in ("settings", "driver", "database", "tables", "clock", "wake-up", "held jobs"):
        assert found[name].verdict == "ok", found[name]
    assert found["workers"] == ("workers", "warning", "no worker is running", "Run: backburner worker", False)
    assert found["wake-up"].text.startswith("LISTEN/NOTIFY is delivered" if listens else "workers look")


def test_for_people(shop: Shop) -> None:
    ran = shop.run("doctor")
    lines = ran.stdout.splitlines()
    assert lines[0].startswith("ok       settings     app shop:jobs, database")
    assert "\x1b" not in ran.stdout
    assert "                      > Run: backburner worker" in lines
    assert lines[-1].startswith("no problems, ")
    assert ran.stderr == ""


def test_missing_tables(empty_postgresql_url: str, tmp_path: Path) -> None:
    found = findings(make_shop(tmp_path, empty_postgresql_url), 1)
    assert found["tables"] == ("tables", "problem", "the database has no tables", "Run: backburner migrate", True)
    assert "clock" not in found


def test_a_file_that_is_not_there_is_not_made(empty_sqlite_url: str, tmp_path: Path) -> None:
    found = findings(make_shop(tmp_path, empty_sqlite_url), 0)
    assert found["file"].verdict == "warning"
    assert not (tmp_path / "jobs.db").exists()


def test_a_server_that_does_not_answer(tmp_path: Path) -> None:
    found = findings(make_shop(tmp_path, "postgresql://ada:tiger@127.0.0.1:1/none"), 1)
    assert found["database"].verdict == "problem"
    assert "does not answer" in found["database"].text
    assert "tiger" not in str(found)


def test_an_app_that_cannot_be_imported(sqlite_url: str, tmp_path: Path) -> None:
    shop = make_shop(tmp_path, sqlite_url)
    ran = shop.run("--app", "nowhere:jobs", "doctor")
    assert ran.returncode == 1
    assert ran.stdout.startswith("problem  settings     ")
    assert ran.stdout.endswith("1 problem, no warnings.\n")


@pytest.mark.parametrize(
    ("file", "verdict", "words"),
    [
        ({"folder_writable": False}, Verdict.PROBLEM, "the folder /x cannot be written"),
        ({"writable": False}, Verdict.PROBLEM, "/x/jobs.db cannot be written"),
        ({"open_to_others": True}, Verdict.WARNING, "may be read by every user"),
        ({"wal": 2**30}, Verdict.WARNING, "the write-ahead log has 1.1 GB"),
    ],
)
def test_files_that_are_wrong(file: dict[str, bool], verdict: Verdict, words: str) -> None:
    ((found, said, remedy),) = checks._file_problems(DatabaseFile(Path("/x/jobs.db"), exists=True, **file))
    assert found is verdict
    assert words in said
    assert remedy


def test_the_file_is_seen_as_it_is(jobs: Backburner, tmp_path: Path) -> None:
    jobs.store.ready()
    path = tmp_path / "jobs.db"
    path.chmod(0o604)
    file = Health(jobs.store).file
    assert file is not None
    assert (file.path, file.exists, file.open_to_others) == (path, True, True)
    assert (file.size, file.wal) == (path.stat().st_size, (tmp_path / "jobs.db-wal").stat().st_size)
    path.chmod(0o640)
    file = Health(jobs.store).file
    assert file is not None
    assert not file.open_to_others


def test_a_clock_that_is_off(app: Backburner, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [one.verdict for one in checks.clock(app)] == [Verdict.OK]
    real = Health.time
    monkeypatch.setattr(Health, "time", lambda self: real(self).replace(year=2001))
    (found,) = checks.clock(app)
    assert found.verdict is Verdict.WARNING
    assert "NTP" in found.remedy


def test_secrets_that_cannot_be_encrypted(jobs: Backburner, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(checks.secrets(jobs)) == []
    jobs.task(name="sync")(sync)
    (found,) = checks.secrets(jobs)
    assert (found.verdict, "BACKBURNER_SECRET" in found.text) == (Verdict.PROBLEM, True)
    jobs.configure(secret="a secret for tests, long enough")
    assert [one.verdict for one in checks.secrets(jobs)] == [Verdict.OK]
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    (found,) = checks.secrets(jobs)
    assert (found.verdict, "backburner[secrets]" in found.text) == (Verdict.PROBLEM, True)


def sync(token: Secret[str]) -> None: ...


def test_notifications_that_do_not_arrive(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Backburner(postgresql_url, auto_migrate=True)
    app.store.ready()
    assert [one.verdict for one in checks.wake_up(app)] == [Verdict.OK]
    # What a pooler in transaction mode does to them.
    monkeypatch.setattr(PostgreSQLBell, "ring", lambda self, queues: None)
    monkeypatch.setattr(checks, "NOTIFY_SECONDS", 1.0)
    (found,) = checks.wake_up(app)
    app.close()
    assert found.verdict is Verdict.WARNING
    assert "pooler" in found.remedy


def test_live_workers_and_queues_nobody_takes(jobs: Backburner, run: Run) -> None:
    @jobs.task(queue="reports")
    def report() -> None: ...

    report.enqueue()
    with Worker(jobs, WorkerOptions(queues=("mails",), concurrency=3)):
        shown = run("doctor")
    assert shown.exit_code == 1
    assert "1 running, up to 3 jobs at once" in shown.stdout
    assert "problem  queues       jobs wait in queue reports, which no live worker takes" in shown.stdout
    assert "> Start one: backburner worker -q reports" in shown.stdout


def test_a_worker_of_a_queue_that_does_not_exist(jobs: Backburner, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with Worker(jobs, WorkerOptions(queues=("mials",))):
        monkeypatch.setenv("BACKBURNER_QUEUES", "default,mails")
        shown = run("doctor")
    assert shown.exit_code == 0
    assert "warning  queues       a worker takes queue mials" in shown.stdout


def test_workers_that_went_silent(jobs: Backburner) -> None:
    with Worker(jobs):
        workers = jobs.store.schema.workers
        past = jobs.store.clock.now().replace(year=2001)
        jobs.store.run(lambda c: c.execute(workers.update().values(lease_until=past, beat_at=past)))
        found = list(checks.workers(jobs))
    assert "has not been heard of for" in found[0].text
    assert found[1].text == "no worker is running"


def test_held_jobs(jobs: Backburner, run: Run) -> None:
    @jobs.task(name="gone")
    def gone() -> None: ...

    made = gone.enqueue()
    t = jobs.store.schema.jobs
    jobs.store.run(lambda c: c.execute(t.update().values(state=JobState.BLOCKED, blocked_on="unknown task")))
    shown = run("doctor")
    assert shown.exit_code == 0
    assert f"warning  held jobs    {made.id}: Task name" in shown.stdout
    assert "1 job is held" in shown.stdout


def test_old_snapshots(postgresql_url: str) -> None:
    store = Store(postgresql_url, auto_migrate=True)
    plain = make_url(postgresql_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, application_name="a report") as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT 1")
        old = {one.pid: one for one in Health(store).old_snapshots(0)}
        mine = old[reader.info.backend_pid]
        assert (mine.application, mine.state) == ("a report", "idle in transaction")
        assert mine.pid not in {one.pid for one in Health(store).old_snapshots(3600)}
        store.run(lambda c: c.execute(text("SELECT 1")))
    store.close()


def test_findings_fit_80_columns() -> None:
    shown = as_lines(Finding("database", Verdict.PROBLEM, "it does not answer " * 12, "look again " * 12))
    assert [line for line in shown.splitlines() if len(line.replace("\x1b[31m", "").replace("\x1b[0m", "")) > 80] == []
