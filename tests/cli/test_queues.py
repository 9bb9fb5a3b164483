"""`backburner queues`: what it prints and what it changes."""

import json

from tests.cli.programs import Shop


def test_a_pause_is_said_and_listed(shop: Shop) -> None:
    done = shop.run("queues", "pause", "reports", "--reason", "month end", "--for", "2h")
    assert (done.returncode, done.stderr.strip()) == (0, "Queue reports is paused.")
    listed = json.loads(shop.run("queues", "list", "--json").stdout)
    found = next(queue for queue in listed if queue["name"] == "reports")
    assert (found["paused"], found["reason"]) == (True, "month end")
    assert found["paused_until"] is not None
    assert "@" in found["paused_by"]
    assert "month end" in shop.run("queues", "list", COLUMNS="200").stdout


def test_resume_says_whether_there_was_a_pause(shop: Shop) -> None:
    shop.run("queues", "pause", "--all")
    assert shop.run("queues", "resume", "--all").stderr.strip() == "Everything goes on."
    assert shop.run("queues", "resume", "--all").stderr.strip() == "There was no pause of everything."


def test_a_limit_is_listed_and_taken_away(shop: Shop) -> None:
    shop.run("queues", "limit", "reports", "3")
    assert "0 of 3" in shop.run("queues", "list").stdout
    shop.run("queues", "limit", "reports", "--none")
    assert "0 of 3" not in shop.run("queues", "list").stdout


def test_what_is_missing_or_wrong_is_named(shop: Shop) -> None:
    assert "Name a queue, or say --all." in shop.run("queues", "pause").stderr
    assert "Say how many, or --none." in shop.run("queues", "limit", "reports").stderr
    refused = shop.run("queues", "pause", "a,b")
    assert refused.returncode == 2
    assert "no queue name" in refused.stderr
