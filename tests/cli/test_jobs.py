"""`backburner jobs`: lists, one job, and actions."""

import gc
import json
import re
from pathlib import Path

import pytest

from backburner import Backburner, PermanentError, current_job, track
from backburner.worker import Worker, WorkerOptions
from tests.api.test_control import Hand
from tests.cli.conftest import Run
from tests.cli.programs import Shop


def work(jobs: Backburner) -> None:
    """Run what is ready."""
    worker = Worker(jobs, WorkerOptions(burst=True)).start()
    assert worker.wait(30)
    assert worker.stop()


def test_a_list_for_people(jobs: Backburner, run: Run) -> None:
    @jobs.task(title="Export of {month}", tags=["red"], name="export")
    def export(month: str) -> None: ...

    first, second = export.enqueue("May\x1b[2J"), export.enqueue("June")
    shown = run("jobs", "list")
    assert (shown.exit_code, shown.stderr) == (0, "")
    head, *rows = shown.stdout.splitlines()
    assert head.split() == ["ID", "STATE", "AGE", "JOB"]
    assert [row.split()[:2] for row in rows] == [[second.id, "queued"], [first.id, "queued"]]
    assert rows[0].endswith("Export of June")
    assert rows[1].endswith("Export of May\\x1b[2J")


def test_filters_and_pages(jobs: Backburner, run: Run) -> None:
    @jobs.task(name="a")
    def a() -> None: ...

    @jobs.task(name="b", queue="mails", tags=["red"])
    def b() -> None: ...

    first, second = a.enqueue(), b.options(owner="ada", identifier="x").enqueue()
    jobs.cancel(first)

    def ids(*options: str) -> list[str]:
        return [one["id"] for one in json.loads(run("jobs", "list", "--json", *options).stdout)]

    assert ids() == [second.id, first.id]
    assert ids("--state", "cancelled") == ids("--task", "a") == ids("--before", second.id) == [first.id]
    assert ids("--state", "cancelled", "--state", "queued") == [second.id, first.id]
    for options in (("-q", "mails"), ("--tag", "red"), ("--identifier", "x"), ("--owner", "ada"), ("-n", "1")):
        assert ids(*options) == [second.id]
    assert ids("--where", "owner:ad* tag:red") == ids("--where", "-task:a", "--state", "queued") == [second.id]
    assert ids("--state", "failed") == []
    assert run("jobs", "list", "--state", "failed").stderr == "No jobs.\n"
    assert run("jobs", "list", "-n", "1").stderr == f"There may be more: --before {second.id}\n"
    wrong = run("jobs", "list", "--where", "sate:failed")
    assert (wrong.exit_code, "Did you mean state:?" in wrong.stderr) == (2, True)
    twice = run("jobs", "list", "--task", "a", "--where", "task:b")
    assert "says task once more" in twice.stderr
    wrong = run("jobs", "list", "--state", "done")
    assert wrong.exit_code == 2
    assert "'succeeded'" in wrong.stderr


def test_json_of_a_list_keeps_arguments_back(jobs: Backburner, run: Run) -> None:
    @jobs.task
    def login(password: str) -> None: ...

    login.enqueue("tiger")
    shown = run("jobs", "list", "--json").stdout
    assert "tiger" not in shown
    assert json.loads(shown)[0]["state"] == "queued"


def test_one_job_with_all_that_is_kept_of_it(jobs: Backburner, run: Run) -> None:
    @jobs.task(name="check")
    def check() -> None:
        job = current_job()
        job.stage("Reading")
        for row in track(["a", "b"], unit="rows", key=str, on_error="collect"):
            with row as item:
                if item == "b":
                    raise ValueError("it is no number")
        job.message("halfway\x07")
        job.link("Look", "/files/1")
        job.log("line one\n")
        raise PermanentError("It ends here.")

    made = check.enqueue()
    work(jobs)
    shown = run("jobs", "show", made.id)
    assert shown.exit_code == 0
    for text in (
        f"id          {made.id}", "state       failed", "2 of 2 rows (100%)", "Reading", "Look: /files/1",
        "attempts    1 (1 failed)", "reason      It ends here.", "Failed items: 1", "b: it is no number",
        "halfway\\x07", "PermanentError: It ends here.", "| Traceback (most recent call last):",
    ):  # fmt: skip
        assert text in shown.stdout
    assert "line one" not in shown.stdout
    assert "Output\n  line one\n" in run("jobs", "show", made.id, "--log").stdout
    record = json.loads(run("jobs", "show", made.id, "--json", "--log").stdout)
    assert record["failed_items"][0]["key"] == "b"
    assert record["attempts"][0]["outcome"] == "failed"
    assert record["messages"][0]["text"] == "halfway\x07"
    assert record["log"] == "line one\n"
    assert record["progress"]["share"] == 1.0


def test_show_says_why_a_job_is_not_running(jobs: Backburner, run: Run) -> None:
    @jobs.task
    def add() -> None: ...

    made = add.enqueue()
    assert "why         No worker is running.\n" in run("jobs", "show", made.id).stdout
    assert "No worker is running." in json.loads(run("jobs", "show", made.id, "--json").stdout)["why_not_running"]


def test_show_says_which_cap_a_job_waits_for(
    jobs: Backburner, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of tasks the app knows it; of queues, the database."""
    (tmp_path / "capped_shop.py").write_text(
        "from backburner import Backburner\n\njobs = Backburner()\n\n\n"
        "@jobs.task(name='heavy', max_running=1)\ndef heavy(): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    heavy = jobs.task(name="heavy")(lambda: None)
    hand, running, waiting = Hand(jobs), heavy.enqueue(), heavy.enqueue()
    assert [job.id for job in hand.take()] == [running.id]
    jobs.queues.limit("default", 1)
    queue, task = "Queue default may run 1 at once, and does.", "At most 1 job of task heavy may run at once, and does."
    words = " ".join(run("jobs", "show", waiting.id).stdout.split())
    assert (queue in words, task in words) == (True, False)
    words = " ".join(run("--app", "capped_shop:jobs", "jobs", "show", waiting.id).stdout.split())
    assert (queue in words, task in words) == (True, True)
    record = json.loads(run("--app", "capped_shop:jobs", "jobs", "show", waiting.id, "--json").stdout)
    assert record["why_not_running"][:2] == [task, queue]
    hand.lane.close()


def test_show_names_parents_and_milestones(jobs: Backburner, run: Run) -> None:
    @jobs.task
    def add() -> None: ...

    first = add.enqueue()
    second = add.options(after=first).enqueue()
    shown = run("jobs", "show", second.id).stdout
    assert "state       blocked, parents\n" in shown
    # Ids are long: where a line is broken does not matter.
    words = " ".join(shown.split())
    assert f"after job {first.id}, queued" in words
    assert f"why It waits for job {first.id}: {first.name}, which is queued." in words
    (parent,) = json.loads(run("jobs", "show", second.id, "--json").stdout)["parents"]
    assert parent == {"id": first.id, "milestone": None, "policy": "cancel", "met": False, "state": "queued"}


def test_show_of_several_and_of_unknown_ids(jobs: Backburner, run: Run) -> None:
    @jobs.task
    def add() -> None: ...

    first, second = add.enqueue(), add.enqueue()
    shown = run("jobs", "show", first.id, "nonsense", second.id, "--json")
    assert [one["id"] for one in json.loads(shown.stdout)] == [first.id, second.id]
    assert shown.exit_code == 1
    assert shown.stderr == "Error: there is no job 'nonsense': the id is unknown or the job was cleaned away\n"


def test_cancel_retry_and_delete_by_id(jobs: Backburner, run: Run) -> None:
    @jobs.task
    def add() -> None: ...

    first, second = add.enqueue(), add.enqueue()
    done = run("jobs", "cancel", first.id, second.id)
    assert (done.exit_code, done.stdout) == (0, f"cancelled: {first.id}\ncancelled: {second.id}\n")
    assert run("jobs", "retry", first.id).stdout == f"retried: {first.id}\n"
    assert jobs.get(first.id).state == "queued"
    mixed = run("jobs", "retry", first.id, second.id)
    assert mixed.exit_code == 1
    assert mixed.stdout == f"retried: {second.id}\n"
    assert re.fullmatch(rf"Error: job {first.id} is queued; retry needs .*\n", mixed.stderr)
    assert run("jobs", "delete", first.id).exit_code == 0
    assert [job.id for job in jobs.find()] == [second.id]


def test_actions_on_a_choice_need_a_yes(jobs: Backburner, run: Run) -> None:
    @jobs.task(queue="mails")
    def send() -> None: ...

    @jobs.task
    def add() -> None: ...

    kept = add.enqueue()
    sent = [send.enqueue().id for _ in range(3)]
    refused = run("jobs", "cancel", "--queue", "mails")
    assert refused.exit_code == 2
    assert "3 jobs match. Cancel every one that is not done? Say --yes" in refused.stderr
    assert jobs.get(sent[0]).state == "queued"
    done = run("jobs", "cancel", "--queue", "mails", "--yes")
    assert (done.exit_code, done.stdout) == (0, "cancelled 3 jobs\n")
    assert jobs.get(kept.id).state == "queued"
    assert run("jobs", "retry", "--state", "cancelled", "-y").stdout == "retried 3 jobs\n"
    assert run("jobs", "delete", "-q", "mails", "-y").stdout == "deleted 3 jobs\n"
    assert [job.id for job in jobs.find()] == [kept.id]


def test_actions_on_nothing_or_on_both_are_refused(jobs: Backburner, run: Run) -> None:
    for arguments in ((), ("some-id", "--state", "failed")):
        refused = run("jobs", "delete", *arguments, "--yes")
        assert refused.exit_code == 2
        assert "Say which jobs to delete" in refused.stderr


def test_what_an_app_leaves_open_is_finalized(shop: Shop) -> None:
    """It holds itself, as what has a bound method of its own does: the collector alone finds it."""
    with (shop.folder / "shop.py").open("a") as app:
        app.write(
            """
class Sink:
    def __init__(self, path):
        self.file = open(path, "w")
        self.write = self.put

    def put(self, text):
        self.file.write(text)


sink = Sink("sunk")
sink.write("hello")
"""
        )
    assert shop.run_afresh("jobs", "list").returncode == 0
    assert (shop.folder / "sunk").read_text() == "hello"


def test_a_program_that_collects_no_garbage_goes_on_so(run: Run) -> None:
    gc.disable()
    try:
        assert run("doctor", "--help").exit_code == 0
        assert not gc.isenabled()
    finally:
        gc.enable()
