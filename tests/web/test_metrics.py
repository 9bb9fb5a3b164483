"""What Prometheus is told."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from backburner.histogram import BUCKETS, Histogram
from backburner.rollup import Rollup, minute_of
from backburner.web import User, api_token, metrics, web_app
from backburner.worker import Worker
from tests.web.shop import Caller, Shop, as_user


def scraped(shop: Shop) -> dict[tuple[str, str], float]:
    """Each value by the name of its metric and its one label."""
    token = api_token(shop.jobs, User("prometheus", operator=True, scopes=frozenset({"read"})), 60)
    answer = Caller(web_app(shop.jobs), {"authorization": f"Bearer {token}"}).get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name.removeprefix("backburner_"), next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_jobs_and_queues(shop: Shop) -> None:
    shop.add.enqueue(1, 2)
    shop.add.options(queue="mail").enqueue(1, 2)
    shop.add.options(queue="mail", delay=60).enqueue(1, 2)
    shop.add.enqueue(1, 2).cancel()
    shop.jobs.queues.pause("mail")
    found = scraped(shop)
    assert {state: found["jobs", state] for state in ("queued", "scheduled", "cancelled", "failed", "running")} == {
        "queued": 2, "scheduled": 1, "cancelled": 1, "failed": 0, "running": 0,
    }  # fmt: skip
    assert [found["queue_waiting", queue] for queue in ("default", "mail")] == [1, 1]
    assert [found["queue_paused", queue] for queue in ("default", "mail")] == [0, 1]
    assert [found["workers", state] for state in ("alive", "silent")] == [0, 0]
    assert found["web_viewers", ""] == 0
    shop.jobs.queues.pause()
    assert scraped(shop)["queue_paused", "default"] == 1


def test_the_wait_of_the_next_job_grows(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ("queue_next_wait_seconds", "default") not in scraped(shop)
    job = shop.add.enqueue(1, 2)
    control = shop.jobs.control
    waited = [control.next_waits(["default", "none"]) for _ in range(2)]
    assert waited[0].keys() == {"default"}
    assert 0 <= waited[0]["default"] <= waited[1]["default"]
    later = job.run_at.replace(year=job.run_at.year + 1)
    monkeypatch.setattr(control, "now", lambda: later)
    assert control.next_waits(["default"])["default"] == (later - job.run_at).total_seconds()


def test_the_last_hour(shop: Shop) -> None:
    counts = Histogram((0, 0, 0, 0, 4, *[0] * (BUCKETS - 5)))
    minute = minute_of(shop.jobs.control.now())
    done = Rollup(minute, "mail", "send", (3, 1, 0, 0, 0, 0), counts, counts)
    shop.jobs.store.rollups.write([done], None)
    found = scraped(shop)
    assert [found["task_last_hour", end] for end in ("succeeded", "failed", "retried")] == [3, 1, 0]
    assert 0.008 <= found["task_run_seconds", "0.95"] <= 0.016
    assert 0.008 <= found["queue_wait_seconds", "0.5"] <= 0.016


def test_workers(shop: Shop, worker: Worker) -> None:
    shop.patient.enqueue()
    assert shop.reached.wait(30)
    found = scraped(shop)
    assert (found["workers", "alive"], found["worker_jobs", ""], found["jobs", "running"]) == (1, 1, 1)
    assert found["worker_slots", ""] >= 1


def test_it_is_for_operators_and_says_what_is_missing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [as_user(shop, name).get("/metrics").status_code for name in ("", "lena")] == [403, 403]
    monkeypatch.setattr(metrics, "exposition", None)
    answer = as_user(shop, "boss").get("/metrics")
    assert (answer.status_code, answer.json()["detail"].rpartition(": ")[2]) == (
        501,
        "pip install 'backburner[metrics]'",
    )
