"""Live streams: what they say, in which order, where they go on, and when they end."""

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from backburner import Job
from backburner.control import LOG_PIECES
from backburner.web import web_app
from backburner.worker import Worker
from tests.waiting import wait_until
from tests.web.shop import Caller, Shop, as_user, by_header, events_of, store_output

DEADLINE = 30


def stream(shop: Shop, job: Job, **options: Any) -> list[tuple[str, str | None, str]]:
    return events_of(as_user(shop, "boss").get(f"/jobs/{job.id}/events", **options).text)


def watched(shop: Shop, job: Job, then: Callable[[Any], object]) -> list[tuple[str, str | None, str]]:
    """A whole stream, during which something happens: once it is open, `then` is called with the app."""
    app = web_app(shop.jobs, resolve_user=by_header)

    def act() -> None:
        wait_until(lambda: app.state.feed.viewers, "somebody watches")
        then(app)

    acting = threading.Thread(target=act)
    acting.start()
    try:
        return events_of(Caller(app, {"x-user": "boss"}).get(f"/jobs/{job.id}/events").text)
    finally:
        acting.join()


def test_a_job_from_its_start_to_its_end(shop: Shop, worker: Worker) -> None:
    job = shop.export.enqueue("October")
    assert shop.reached.wait(DEADLINE)
    events = watched(shop, job, lambda app: shop.gate.set())
    kinds = [kind for kind, _, _ in events]
    assert kinds[0] == "snapshot"
    assert kinds[-1] == "done"
    assert {"progress", "log", "message", "link", "state"} <= set(kinds)
    text = "".join(json.loads(data)["text"] for kind, _, data in events if kind == "log")
    assert text == "".join(f"order {number}\n" for number in range(0, 100, 10))
    assert [json.loads(data)["text"] for kind, _, data in events if kind == "message"] == ["Half is done"]
    assert json.loads(events[0][2])["job"]["state"] == "running"
    assert json.loads(events[-1][2])["job"]["state"] == "succeeded"
    assert json.loads(events[-1][2])["job"]["files"][0]["size"] == 13


@pytest.fixture
def done(shop: Shop, worker: Worker) -> Job:
    shop.gate.set()
    job = shop.export.options(owner="lena").enqueue("October")
    assert job.wait(DEADLINE)
    return job.refresh()


def test_a_done_job_answers_at_once(shop: Shop, done: Job) -> None:
    events = stream(shop, done)
    kinds = [kind for kind, _, _ in events]
    assert (kinds[0], kinds[-1], kinds.count("done")) == ("snapshot", "done", 1)
    assert "log" not in [kind for kind, _, _ in stream(shop, done, params={"log": "0"})]


def test_it_goes_on_where_it_was(shop: Shop, done: Job) -> None:
    whole = stream(shop, done)
    logs = [(mark, json.loads(data)) for kind, mark, data in whole if kind == "log"]
    assert logs
    for mark, piece in logs:
        rest = stream(shop, done, headers={"last-event-id": str(mark)})
        starts = [json.loads(data)["start"] for kind, _, data in rest if kind == "log"]
        assert starts == [other["start"] for _, other in logs if other["start"] > piece["start"]]
        assert rest[0][0] == "snapshot"
    last = next(mark for kind, mark, _ in reversed(whole) if kind == "message")
    assert "message" not in [kind for kind, _, _ in stream(shop, done, headers={"last-event-id": str(last)})]


def test_who_knows_the_end_is_told_to_stay_away(shop: Shop, done: Job) -> None:
    end = stream(shop, done)[-1][1]
    boss = as_user(shop, "boss")
    assert boss.get(f"/jobs/{done.id}/events", headers={"last-event-id": str(end)}).status_code == 204
    assert boss.get(f"/jobs/{done.id}/events", params={"last_event_id": str(end)}).status_code == 204
    assert boss.get(f"/jobs/{done.id}/events", headers={"last-event-id": "done-9-1.0"}).status_code == 200
    assert boss.get(f"/jobs/{done.id}/events", headers={"last-event-id": "nonsense"}).status_code == 200


def test_all_output_comes_before_the_end(shop: Shop, done: Job) -> None:
    """More output than one look brings: the end waits for it."""
    pieces = LOG_PIECES * 2 + 7
    job = shop.jobs.retry(done)
    store_output(shop.jobs, job, ["x\n"] * pieces)
    assert job.wait(DEADLINE)
    events = stream(shop, job, headers={"last-event-id": "at-0-0"})
    assert sum(kind == "log" for kind, _, _ in events) >= pieces
    assert events[-1][0] == "done"


def test_several_jobs_on_one_connection(shop: Shop, done: Job) -> None:
    foreign = shop.add.options(owner="other").enqueue(1, 2)
    unknown = "01a1fe3d-8c27-72b1-84a0-4f9b196f4b46"
    text = as_user(shop, "lena").get(f"/jobs/feed?ids={done.id},{foreign.id},{unknown},nonsense").text
    kinds = [(kind, json.loads(data)["id"]) for kind, _, data in events_of(text)]
    assert kinds == [
        ("gone", foreign.id), ("gone", unknown), ("gone", "nonsense"), ("snapshot", done.id), ("done", done.id),
    ]  # fmt: skip


def test_a_job_that_goes_away_ends_the_stream(shop: Shop) -> None:
    job = shop.add.enqueue(1, 2)
    events = watched(shop, job, lambda app: job.delete())
    assert [kind for kind, _, _ in events] == ["snapshot", "gone"]


def test_a_stop_of_the_server_ends_the_stream(shop: Shop) -> None:
    job = shop.add.enqueue(1, 2)
    events = watched(shop, job, lambda app: app.state.shutdown.ask())
    assert [kind for kind, _, _ in events] == ["snapshot"]


def test_a_stream_has_its_time(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backburner.web.events.STREAM_SECONDS", 0.3)
    monkeypatch.setattr("backburner.web.events.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("backburner.web.events.BEAT_SECONDS", 0.0)
    text = as_user(shop, "boss").get(f"/jobs/{shop.add.enqueue(1, 2).id}/events").text
    assert [kind for kind, _, _ in events_of(text)] == ["snapshot"]
    assert ": still here" in text


def test_too_many_streams_are_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backburner.web.events.MOST_VIEWERS", 0)
    answer = as_user(shop, "boss").get(f"/jobs/{shop.add.enqueue(1, 2).id}/events")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")


def test_a_viewer_that_reads_no_more_has_its_time_too(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backburner.web.events.STREAM_SECONDS", 0.1)
    monkeypatch.setattr("backburner.web.events.SEND_SECONDS", 0.1)
    monkeypatch.setattr("backburner.web.events.LOOK_SECONDS", 0.01)
    monkeypatch.setattr("backburner.web.events.BEAT_SECONDS", 0.0)
    app, path = web_app(shop.jobs, resolve_user=by_header), f"/jobs/{shop.add.enqueue(1, 2).id}/events"
    scope = {
        "type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [(b"x-user", b"boss")],
        "asgi": {"spec_version": "2.3"}, "client": ("127.0.0.1", 1), "server": ("localhost", 80), "scheme": "http",
    }  # fmt: skip
    watching: list[int] = []

    async def receive() -> dict[str, object]:
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Mapping[str, object]) -> None:
        """Takes what comes before the watch, and then nothing more."""
        if app.state.feed.viewers:
            watching.append(app.state.feed.viewers)
            await asyncio.Event().wait()

    asyncio.run(asyncio.wait_for(app(scope, receive, send), DEADLINE))
    assert watching == [1]
    assert app.state.feed.viewers == 0
