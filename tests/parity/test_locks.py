"""Commands and blocks that run once at a time."""

import os
import signal
import sys
from pathlib import Path

import pytest

from backburner import Backburner
from backburner.errors import AlreadyRunning, InvalidOption, LockLost
from backburner.ids import Ids
from tests.parity.programs import Program
from tests.waiting import wait_until

HOLD = "import pathlib, sys, time\npathlib.Path('in').touch()\nwhile not pathlib.Path('go').exists(): time.sleep(.01)"


@pytest.fixture
def program(tmp_path: Path, sqlite_url: str) -> Program:
    made = Program(tmp_path, sqlite_url)
    made.write('import os\nfrom backburner import Backburner\njobs = Backburner(os.environ["APP_URL"])\n')
    return made


def test_run_15_a_second_command_says_who_has_the_lock_and_leaves(program: Program) -> None:
    script = (sys.executable, "-c", f"{HOLD}\nsys.exit(7)")
    with program.started("lock", "nightly", "--", *script) as first:
        wait_until((program.folder / "in").exists, "the first is at work")
        second = program.run("lock", "nightly", "--", *script)
        assert second.returncode == 75
        assert second.stderr.startswith("Error: 'nightly' is running already: host ")
        assert f"process {first.pid}, since 2" in second.stderr
        assert program.run("lock", "another", "--", sys.executable, "-c", "print(1)").stdout == "1\n"
        (program.folder / "go").touch()
        assert first.wait(30) == 7, "the exit code is the command's own"
    assert program.run("lock", "nightly", "--", *script).returncode == 7


def test_run_15_a_killed_lock_takes_its_command_along(program: Program) -> None:
    said = "import os, pathlib\npathlib.Path('pid').write_text(str(os.getpid()))\n"
    with program.started("lock", "nightly", "--", sys.executable, "-c", said + HOLD) as first:
        wait_until((program.folder / "in").exists, "it is at work")
        pid = int((program.folder / "pid").read_text())
        first.send_signal(signal.SIGKILL)
        first.wait(30)

    def gone() -> bool:
        try:
            return "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True

    wait_until(gone, "the command was ended")


def test_run_15_one_that_cannot_be_run_says_so(program: Program) -> None:
    missing = program.run("lock", "nightly", "--", "no-such-command-here")
    assert missing.returncode == 127
    assert "no-such-command-here" in missing.stderr
    assert program.run("lock", "nightly", "--", "sh", "-c", "kill -9 $$").returncode == 137


def test_run_15_a_block_runs_once_at_a_time(jobs: Backburner) -> None:
    with jobs.lock("nightly", lease=2.0) as lock:
        with pytest.raises(AlreadyRunning, match=f"'nightly' is running already: host .*, process {os.getpid()}, "):
            jobs.lock("nightly", wait=2.2).__enter__()
        # Longer than its lease: it was prolonged.
        lock.check()
        with jobs.lock("another"):
            pass
    with jobs.lock("nightly"):
        pass
    with pytest.raises(InvalidOption):
        jobs.lock("")


def test_run_15_a_lost_lock_is_told(jobs: Backburner) -> None:
    told: list[str] = []
    with jobs.lock("nightly", lease=0.6) as lock:
        lock.on_lost(lambda: told.append("lost"))
        # What another does who finds the lease over.
        somebody = Ids().new()
        jobs.store.locks.release("lock:nightly-1", lock._holder)
        assert jobs.store.locks.acquire("lock:nightly-1", somebody, "host b", 60) is None
        wait_until(lambda: told == ["lost"], "it is told")
        assert not lock.held
        with pytest.raises(LockLost, match="host b has it"):
            lock.check()
    assert jobs.store.locks.acquire("lock:nightly-1", Ids().new(), "me", 1) == "host b"
