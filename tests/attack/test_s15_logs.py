"""S15: no text of a job, a row or a request begins a line of a log, moves a cursor, or is read as a format."""

import logging
from pathlib import Path

import pytest
from click.testing import CliRunner

from backburner import Backburner
from backburner.cli import main
from backburner.log_lines import LineFormatter
from backburner.worker import Worker
from tests.attack.estate import furnish
from tests.attack.test_s01_payloads import change
from tests.parity.programs import Program
from tests.waiting import wait_until
from tests.web.shop import Shop, as_user

FORGED = "2030-01-01 00:00:00.000Z ERROR   all is lost"
EVIL = f"x\r\n{FORGED}\x1b[2J\x1b]0;owned\x07\u2028\u202e\x85%s %n {{}} {{0}}"


def no_line_is_forged(text: str) -> None:
    assert [line for line in text.splitlines() if line.startswith("2030")] == []
    assert not {"\x1b", "\x07", "\u202e", "\x85"} & set(text)


def test_s15_logs_of_the_worker_and_the_web_side(
    jobs: Backburner, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever they say of a job, as the formatter of our programs writes it; and no format makes it fail."""
    caplog.set_level(logging.DEBUG, "backburner")
    estate = furnish(jobs, EVIL.replace("\r\n", "\n").replace("\x85", ""), "lena")
    unknown = shop.add.enqueue(1, 2)
    change(jobs, unknown.id, task=EVIL)
    sound, boss = shop.add.enqueue(1, 2), as_user(shop, "boss")
    with Worker(jobs):
        assert sound.wait(30)
    boss.post(f"/dashboard/jobs/{estate.failed.id}/retry")
    boss.get("/jobs", params={"state": EVIL})
    boss.get(f"/jobs/{estate.done.id}", headers={"x-request-id": "x"})
    assert any("estate.work" in record.getMessage() for record in caplog.records)
    written = "\n".join(LineFormatter().format(record) for record in caplog.records)
    no_line_is_forged(written)


def test_s15_what_commands_print(jobs: Backburner, monkeypatch: pytest.MonkeyPatch) -> None:
    estate = furnish(jobs, EVIL.replace("\r\n", "\n").replace("\x85", ""), "lena")
    monkeypatch.setenv("BACKBURNER_URL", jobs.settings.url)
    commands = [
        ["jobs", "list"], ["jobs", "show", estate.done.id, estate.failed.id, "--log"], ["queues", "list"],
        ["schedules", "list"], ["audit"], ["settings"],
    ]  # fmt: skip
    for command in commands:
        ran = CliRunner().invoke(main, command)
        assert ran.exit_code == 0, (command, ran.output)
        no_line_is_forged(ran.output)


APP = f"""
import os
from backburner import Backburner

jobs = Backburner(os.environ["APP_URL"])
EVIL = {EVIL!r}


@jobs.task(max_attempts=1)
def fail() -> None:
    raise ValueError(EVIL)
"""


@pytest.mark.long
def test_s15_the_log_of_a_launched_process(tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes to a file that somebody reads."""
    (runtime := tmp_path / "runtime").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    program = Program(tmp_path, sqlite_url)
    program.write(APP)
    job = program.python("import app\nprint(app.fail.options(title=app.EVIL).launch().id)")
    jobs = Backburner(sqlite_url)
    assert jobs.wait(job.strip(), 30)
    jobs.close()

    def said() -> str:
        return "".join(path.read_text() for path in runtime.rglob("*.log"))

    wait_until(lambda: "is failed" in said(), "it has said so")
    no_line_is_forged(said())
