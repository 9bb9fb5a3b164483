"""Jobs that start at once in a process of their own, and secrets that reach nothing but that process."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from backburner import Backburner, JobState
from backburner.errors import InvalidOption
from backburner.launch import runtime_folder
from backburner.store import single
from backburner.store.store import Store
from tests.parity.programs import Program
from tests.waiting import wait_until

CANARY = "canary-5f1d"

APP = """
import os
from pathlib import Path

from backburner import Backburner, current_job
from backburner.errors import TooManyLaunched
from backburner.secrets import launch_secrets
from tests.waiting import wait_until

at_import = launch_secrets().get("db_password")
jobs = Backburner(os.environ["APP_URL"], auto_migrate=True, max_launched=2, lease=3.0, beat=0.5)


def go(name):
    Path(f"{name}.{current_job().attempt}.started").write_text(str(os.getpid()))
    wait_until(Path(f"{name}.go").exists, "somebody lets go", 60)


@jobs.task
def hold(name: str) -> int:
    go(name)
    return os.getpid()


@jobs.task(isolate=True)
def hold_alone(name: str) -> int:
    go(name)
    return len(current_job().secrets["db_password"])


@jobs.task
def hold_secret(name: str) -> list[int]:
    print("it has begun")
    go(name)
    return [len(current_job().secret("db_password")), len(at_import)]


@jobs.task
def bomb(depth: int) -> str:
    try:
        bomb.launch(depth + 1)
    except TooManyLaunched:
        return "no more"
    wait_until(Path("bomb.go").exists, "somebody lets go", 60)
    return "launched"
"""


@pytest.fixture
def program(tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    folder = tmp_path / "runtime"
    folder.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    made = Program(tmp_path, sqlite_url)
    made.write(APP)
    store = Store(sqlite_url, auto_migrate=True)
    store.ready()
    store.close()
    yield made
    for process in launched(made):
        end(process)
    for log in folder.rglob("*.log"):
        print(f"--- {log.name}\n{log.read_text()}")


@pytest.fixture
def jobs(program: Program) -> Iterator[Backburner]:
    """To look, and to run nothing."""
    made = Backburner(program.url)
    yield made
    made.close()


def launched(program: Program) -> list[psutil.Process]:
    """The launched processes of a test, and theirs."""
    found = []
    for process in psutil.process_iter():
        # Any of them may end while it is looked at.
        with suppress(psutil.Error):
            ours = process.cwd() == str(program.folder) and process.status() != psutil.STATUS_ZOMBIE
            if ours and "backburner.worker" in " ".join(process.cmdline()):
                found.append(process)
    return found


def end(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()
        process.wait(10)


def launch(program: Program, call: str) -> str:
    """Launch from a process that ends at once; the job's id."""
    return program.python(f"import app\nprint(app.{call}.id)").splitlines()[-1]


def begun(program: Program, name: str, attempt: int = 1) -> int:
    """Wait for the body; the process that it runs in."""
    path = program.folder / f"{name}.{attempt}.started"
    return int(wait_until(lambda: path.exists() and path.read_text(), f"attempt {attempt} of {name} begins", 60))


def test_run_03_a_launched_job_runs_at_once_with_no_worker_and_outlives_its_launcher(
    program: Program, jobs: Backburner
) -> None:
    job = jobs.get(launch(program, "hold.launch('a')"))
    pid = begun(program, "a")
    assert job.refresh().state is JobState.RUNNING
    assert pid != os.getpid()
    (worker,) = jobs.workers.list()
    assert (worker.pid, worker.label, worker.queues, worker.alive) == (pid, "launched", (), True)
    (program.folder / "a.go").touch()
    assert job.wait(30)
    assert (job.refresh().result(), job.refresh().attempt) == (pid, 1)
    wait_until(lambda: not launched(program), "it has ended")


def test_run_03_the_row_is_not_running_before_the_process_has_it(program: Program, jobs: Backburner) -> None:
    # The app cannot be imported there: nobody ever claims the job.
    job_id = program.python(
        "import app, pathlib\npathlib.Path('app.py').write_text('raise ValueError')\n"
        "job = app.hold.launch('a')\nprint(job.state, job.id)"
    ).splitlines()[-1]
    assert job_id.startswith("blocked ")
    job = jobs.get(job_id.split()[1])
    wait_until(lambda: not launched(program), "it has given up")
    assert job.refresh().state is JobState.BLOCKED
    assert jobs.control.why_not_running(job.refresh()) == ["It waits for the process that was started for it."]
    # A minute later any worker may take it.
    later = "UPDATE backburner_jobs SET created_at = created_at - 61000000"
    with jobs.store.engine.begin() as connection:
        connection.execute(text(later))
    assert jobs.store.single.release_launches() == 1
    assert job.refresh().state is JobState.QUEUED


def test_run_03_a_crash_follows_the_rules_and_the_next_process_goes_on(program: Program, jobs: Backburner) -> None:
    job = jobs.get(launch(program, "hold.launch('a')"))
    os.kill(begun(program, "a"), signal.SIGKILL)
    begun(program, "a", 2)
    assert job.refresh().crashes == 1
    (program.folder / "a.go").touch()
    assert job.wait(30)
    assert job.refresh().state is JobState.SUCCEEDED


def test_run_03_when_all_of_it_is_killed_another_process_rescues_the_job(program: Program, jobs: Backburner) -> None:
    job = jobs.get(launch(program, "hold.launch('a')"))
    begun(program, "a")
    for process in launched(program):
        end(process)
    (program.folder / "a.go").touch()
    # Its lease has to be over; then whoever comes next takes it.
    with program.started("worker"):
        assert job.wait(60)
    assert (job.refresh().state, job.refresh().attempt) == (JobState.SUCCEEDED, 2)


def test_run_03_a_cap_protects_the_machine(program: Program, jobs: Backburner) -> None:
    launch(program, "bomb.launch(0)")
    wait_until(lambda: any(job.done for job in jobs.find()), "one is refused")
    assert len(jobs.find()) == 2, "what is refused is not stored"
    (program.folder / "bomb.go").touch()
    wait_until(lambda: all(job.done for job in jobs.find()), "they end")
    assert sorted(job.result() for job in jobs.find()) == ["launched", "no more"]
    wait_until(lambda: not launched(program), "their places are free")
    (program.folder / "a.go").touch()
    assert jobs.get(launch(program, "hold.launch('a')")).wait(30)


def test_run_03_it_leaves_no_zombie(program: Program, jobs: Backburner) -> None:
    (program.folder / "a.go").touch()
    said = program.python(
        "import app, psutil\nfrom tests.waiting import wait_until\njob = app.hold.launch('a')\nassert job.wait(60)\n"
        "wait_until(lambda: not psutil.Process().children(), 'no child is left')\nprint('none')"
    )
    assert said == "none"


def test_run_03_a_stored_job_is_run_by_hand(program: Program, jobs: Backburner) -> None:
    (program.folder / "a.go").touch()
    job = jobs.get(launch(program, "hold.options(delay=3600).enqueue('a')"))
    other = jobs.get(launch(program, "hold.enqueue('a')"))
    ran = program.run("run", job.id)
    assert (ran.returncode, ran.stdout) == (0, "succeeded: app.hold\n"), ran.stderr
    assert other.refresh().state is JobState.QUEUED, "it runs exactly this job"
    again = program.run("run", job.id)
    assert again.returncode == 1
    assert f"job {job.id} is succeeded. To run it again: backburner jobs retry" in again.stderr
    assert program.run("run", "01a1fedd-35f5-710e-bb31-0167af4c9d59").returncode == 1
    jobs.queues.pause()
    paused = program.run("run", other.id)
    assert paused.returncode == 75, paused.stderr
    assert paused.stdout.startswith("queued: app.hold\n  Everything is paused since ")


@pytest.mark.parametrize("options", ["delay=5", "group='g'", "after='01a1fedd-35f5-710e-bb31-0167af4c9d59'"])
def test_run_03_what_has_to_wait_is_not_launched(program: Program, jobs: Backburner, options: str) -> None:
    refused = program.python(
        f"import app\ntry:\n app.hold.options({options}).launch('a')\nexcept Exception as e: print(type(e).__name__)"
    )
    assert refused == InvalidOption.__name__
    assert jobs.find() == []


@pytest.mark.parametrize("conflict", ["replace", "debounce"])
def test_run_03_what_would_come_after_one_that_runs_is_not_launched(
    program: Program, jobs: Backburner, conflict: str
) -> None:
    refused = program.python(
        f"import app\ntry:\n app.hold.options(unique='live', on_conflict='{conflict}').launch('a')\n"
        "except Exception as e: print(type(e).__name__, e)"
    )
    assert refused.startswith(f"InvalidOption option 'on_conflict' = '{conflict}': ")
    assert jobs.find() == []


def seen_by_others(process: psutil.Process) -> bytes:
    place = Path(f"/proc/{process.pid}")
    return (place / "cmdline").read_bytes() + (place / "environ").read_bytes()


@pytest.mark.parametrize("task", ["hold_secret", "hold_alone"])
def test_run_04_secrets_reach_the_process_and_nobody_else(program: Program, jobs: Backburner, task: str) -> None:
    # The launcher is told in a file, so that its own command line is no place either.
    (program.folder / "canary").write_text(CANARY)
    secrets = "secrets={'db_password': open('canary').read()}"
    job = jobs.get(launch(program, f"{task}.options({secrets}).launch('a')"))
    (program.folder / "canary").unlink()
    begun(program, "a")
    processes = launched(program)
    assert len(processes) >= 2
    assert [one for one in processes if CANARY.encode() in seen_by_others(one)] == []
    (program.folder / "a.go").touch()
    assert job.wait(30)
    expected = [len(CANARY)] * 2 if task == "hold_secret" else len(CANARY)
    assert job.refresh().result() == expected
    wait_until(lambda: not launched(program), "it has ended")
    for path in program.folder.rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path
    # What it says goes to a file of this user's alone.
    logs = list(runtime_folder().glob("*.log"))
    assert logs
    assert {path.stat().st_mode & 0o077 for path in logs} == {0}


def test_run_04_a_job_with_secrets_is_begun_once_and_never_without_them(program: Program, jobs: Backburner) -> None:
    job = jobs.get(launch(program, f"hold_secret.options(secrets={{'db_password': '{CANARY}'}}).launch('a')"))
    os.kill(begun(program, "a"), signal.SIGKILL)
    assert job.wait(30)
    assert job.refresh().state is JobState.INTERRUPTED
    refused = program.python(
        f"import app\ntry:\n app.hold.options(secrets={{'key': '{CANARY}'}}).enqueue('a')\n"
        "except Exception as e: print(type(e).__name__, e, app.hold.options(secrets={'key': 'x'}).enqueue_options)"
    )
    assert refused.startswith("InvalidOption option 'secrets' = <Secrets key>: ")
    assert CANARY not in refused


def test_run_04_a_job_whose_secrets_never_arrive_does_not_run_without_them(
    program: Program, jobs: Backburner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process was killed before it could take it."""
    monkeypatch.setattr(single, "LAUNCH_SECONDS", -1.0)
    told = "from backburner.launch import Launched\nLaunched.run = lambda self, *_: self.forget()\n"
    made = program.python(
        f"import app\n{told}print(app.hold_secret.options(secrets={{'key': '{CANARY}'}}).launch('a').id)"
    )
    job = jobs.get(made)
    assert jobs.control.why_not_running(job) == ["It waits for the process that was started for it."]
    after = jobs.store.single.release_launches()
    found = job.refresh()
    assert (found.state, found.attempt, after) == (JobState.CANCELLED, 0, 0)
    assert found.reason == "The process that had its secrets did not come."
    assert found.finished_at is not None
