"""`backburner workers` and `backburner reload`."""

import json

from backburner import Backburner
from backburner.worker import Worker, WorkerOptions
from tests.cli.conftest import Run
from tests.cli.programs import Shop
from tests.waiting import wait_until


def test_a_list_says_what_each_worker_is(jobs: Backburner, run: Run) -> None:
    assert run("workers", "list").stderr == "No workers.\n"
    with Worker(jobs, WorkerOptions(label="mails", queues=("mails", "news"), concurrency=3)):
        shown = run("workers", "list").stdout.splitlines()
        assert shown[0].split() == ["ID", "STATE", "JOBS", "LABEL", "QUEUES", "WHERE"]
        assert shown[1].split()[1:6] == ["works", "0/3", "mails", "mails,", "news"]
        assert ", embedded, for " in shown[1]
        (listed,) = json.loads(run("workers", "list", "--json").stdout)
        assert (listed["label"], listed["embedded"], listed["running"]) == ("mails", True, 0)
        assert json.loads(run("workers", "list", "--label", "other", "--json").stdout) == []


def test_a_stop_wants_to_know_whom(jobs: Backburner, run: Run) -> None:
    for verb in ("stop", "quiet"):
        assert run("workers", verb).exit_code == 2
        assert run("workers", verb, "--all", "--label", "x").exit_code == 2
        said = run("workers", verb, "--all")
        assert (said.exit_code, said.stdout.split()[:3]) == (0, ["told", "0", "workers"])


def test_a_stop_that_takes_too_long_is_told(jobs: Backburner, run: Run) -> None:
    with Worker(jobs, WorkerOptions(lease=100, beat=30)):
        (one,) = jobs.workers.list()
        said = run("workers", "stop", one.id, "--timeout", "0.1")
        assert said.exit_code == 1
        assert said.stderr == f"Error: 1 worker of 1 still at work after 0.1 s: {one.id}\n"
        assert "stops" in run("workers", "list").stdout


def test_a_worker_is_reloaded_and_stopped_for_good(shop: Shop) -> None:
    # What it is told it hears with a beat.
    with shop.started("worker", "--label", "mails", BACKBURNER_BEAT="0.5") as process:
        wait_until(lambda: " is ready " in shop.said(), "the worker is ready")
        loaded = shop.run("reload", "--label", "mails", "--timeout", "60")
        assert (loaded.returncode, loaded.stdout) == (0, "told 1 worker to load anew\n1 worker ended\n"), loaded.stderr
        wait_until(lambda: shop.said().count(" is ready ") == 2, "another took its place")
        assert shop.run("workers", "stop", "--label", "other").stdout == "told 0 workers to stop\n"
        stopped = shop.run("workers", "stop", "--label", "mails", "--wait")
        assert (stopped.returncode, stopped.stdout) == (0, "told 1 worker to stop\n1 worker ended\n")
        assert process.wait(30) == 79
