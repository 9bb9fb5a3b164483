"""`backburner audit`, and settings that are said at run time: who did what, from the keyboard."""

import getpass
import json
import socket
from datetime import timedelta

import pytest

from backburner import Backburner
from tests.cli.conftest import Run

HOUR = timedelta(hours=1)
ME = f"{getpass.getuser()}@{socket.gethostname()}"


def audited(run: Run, *options: str) -> list[tuple[str, str, str, str, int | None]]:
    rows = json.loads(run("audit", "--json", *options).stdout)
    return [(row["by"], row["via"], row["action"], row["kind"], row["count"]) for row in rows]


def test_a_note_and_a_release_are_marks_in_the_chart(jobs: Backburner, run: Run) -> None:
    run("note", "Parcelfox is slow")
    assert "It is in the chart: 2.4" in run("note", "--release", " 2.4 ").stderr
    assert [(mark.text, mark.release, mark.by) for mark in jobs.insight.marks.since(jobs.store.clock.now() - HOUR)] == [
        ("Parcelfox is slow", False, ME),
        ("2.4", True, ME),
    ]
    refused = run("note", " ")
    assert (refused.exit_code, "Use text of 1 to 120 characters" in refused.stderr) == (2, True)


def test_what_is_done_at_the_keyboard_is_written_down(jobs: Backburner, run: Run) -> None:
    @jobs.task(name="a")
    def a() -> None: ...

    first, second = a.enqueue(), a.enqueue()
    run("jobs", "cancel", first.id)
    run("jobs", "cancel", "--state", "queued", "--state", "running", "--where", "task:a", "--yes")
    run("queues", "pause", "mails", "--reason", "move\x1b[2J")
    run("settings", "set", "keep_failed", "90d")
    run("clear", "--older-than", "0", "--yes")
    assert audited(run) == [
        (ME, "cli", "clear", "jobs", 2),
        (ME, "cli", "set", "setting", None),
        (ME, "cli", "pause", "queue", None),
        (ME, "cli", "cancel", "jobs", 1),
        (ME, "cli", "cancel", "job", None),
    ]
    assert audited(run, "--kind", "job", "--target", first.id) == [(ME, "cli", "cancel", "job", None)]
    assert audited(run, "--kind", "job", "--target", second.id) == []
    assert audited(run, "-n", "1", "--action", "cancel") == [(ME, "cli", "cancel", "jobs", 1)]
    shown = run("audit")
    assert f"{ME}  cli  pause queue mails: move\\x1b[2J" in shown.stdout
    assert (
        "cancel jobs task:a state:queued,running (1)" in shown.stdout or "state:queued,running task:a" in shown.stdout
    )
    (row,) = json.loads(run("audit", "--json", "--action", "set").stdout)
    assert (row["before"]["source"], row["after"]) == ("default", {"value": 7_776_000.0, "source": "database"})
    assert run("audit", "--by", "nobody").stderr == "Nothing.\n"
    first_page = run("audit", "-n", "2").stderr
    assert first_page.startswith("There may be more: --before ")
    assert "--kind" in run("audit", "--target", "x").stderr


def test_settings_at_run_time(jobs: Backburner, run: Run) -> None:
    assert run("settings", "set", "keep_failed", "90d").stderr == "keep_failed = 7776000\n"
    assert run("settings", "set", "cleaning", "no").stderr == "cleaning = false\n"
    found = {one["name"]: one for one in json.loads(run("settings", "runtime", "--json").stdout)}
    assert (found["keep_failed"]["value"], found["keep_failed"]["source"], found["keep_failed"]["by"]) == (
        7_776_000,
        "database",
        ME,
    )
    assert (found["keep_audit"]["source"], found["cleaning"]["value"]) == ("default", False)
    assert f"by {ME}" in run("settings", "runtime").stdout
    assert run("settings", "restore", "keep_failed").stderr == "keep_failed = 5184000, from default\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("url", "sqlite://"), "'url' is not one of"),
        (("keep_failed", "soon"), "no duration"),
        (("clean_cron", "now"), "five fields"),
        (("cleaning", "perhaps"), "neither yes nor no"),
    ],
)
def test_what_cannot_be_said_is_refused(jobs: Backburner, run: Run, words: tuple[str, str], message: str) -> None:
    refused = run("settings", "set", *words)
    assert refused.exit_code == 2
    assert message in refused.stderr
