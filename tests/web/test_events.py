"""Live streams: what they say, in which order, where they go on, and when they end."""

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from backburner import Backburner, Job
from backburner.control import LOG_PIECES, Control
from backburner.errors import StoreUnavailable
from backburner.progress import LogLine, ProgressWrite
from backburner.web import web_app
from backburner.web.feed import Feed
from backburner.web.shutdown import Shutdown
from backburner.worker import Worker
from tests.waiting import wait_until
from tests.web.shop import Caller, Shop, as_user, by_header, events_of

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
    store, pieces = shop.jobs.store, LOG_PIECES * 2 + 7
    job = shop.jobs.retry(done)
    writes = ProgressWrite(job.id, 0, log=tuple(LogLine(n * 2, "x\n", store.clock.now()) for n in range(pieces)))
    store.run(lambda c: store.progress._append(c, store.schema.log, [(writes, line._asdict()) for line in writes.log]))
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


class CountingControl(Control):
    """Remembers which jobs each look at the database was for."""

    looks: list[list[str]]

    def glance(self, ids: Sequence[str]) -> dict[str, Job]:
        self.looks.append(list(ids))
        return super().glance(ids)


def test_one_look_serves_all_who_watch(jobs: Backburner, shop: Shop) -> None:
    ids = [shop.add.enqueue(1, n).id for n in range(3)]
    control = CountingControl(jobs._database, jobs.registry, jobs._watch)
    control.looks = []
    feed = Feed(control, Shutdown(), seconds=0.01)

    async def watch() -> None:
        with feed.watch(ids) as first, feed.watch(ids[:1]) as second, feed.watch(ids[1:]) as third:
            assert feed.viewers == 3
            for viewer in (first, second, third):
                news = await viewer.news(DEADLINE)
                assert news is not None
                assert set(news.sights) == viewer.ids
            assert len(control.looks) == 1
            assert control.looks[0] == sorted(ids)
            await asyncio.to_thread(jobs.cancel, ids[0])
            for viewer in (first, second):
                news = await viewer.news(DEADLINE)
                assert news is not None
                assert news.sights[ids[0]].job.state == "cancelled"
        assert feed.viewers == 0
        assert feed._task is not None
        await asyncio.wait_for(feed._task, DEADLINE)
        looked = len(control.looks)
        # Nobody watches: no task is left that could ask.
        assert feed._task.done()
        assert len(control.looks) == looked

    asyncio.run(watch())


def test_each_viewer_is_told_output_from_its_own_place(jobs: Backburner, shop: Shop, done: Job) -> None:
    feed = Feed(jobs.control, Shutdown(), seconds=0.01)
    starts = [line.start for line in jobs.control.log_after({done.id: 0})[done.id]]
    [(number, _)] = jobs.control.messages_after({done.id: 0})[done.id]

    async def told(log_at: int, word_at: int) -> tuple[list[int], int]:
        pieces: list[int] = []
        words = 0
        with feed.watch([done.id], output=True, log_at=log_at, word_at=word_at) as viewer:
            while (news := await viewer.news(DEADLINE)) is not None:
                pieces += [line.start for _, line in news.pieces]
                words += len(news.words)
                if news.caught_up:
                    break
        return pieces, words

    async def both() -> list[tuple[list[int], int]]:
        return list(await asyncio.gather(told(0, 0), told(starts[-1] + 1, number)))

    assert asyncio.run(both()) == [(starts, 1), ([], 0)]


def test_a_database_that_is_away_does_not_end_the_watch(
    jobs: Backburner, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backburner.web.feed.TROUBLE_SECONDS", 0.01)
    job = shop.add.enqueue(1, 2)

    class Failing(CountingControl):
        def glance(self, ids: Sequence[str]) -> dict[str, Job]:
            found = super().glance(ids)
            if len(self.looks) < 3:
                raise StoreUnavailable("the database does not answer")
            return found

    control = Failing(jobs._database, jobs.registry, jobs._watch)
    control.looks = []

    async def watch() -> None:
        with Feed(control, Shutdown(), seconds=0.01).watch([job.id]) as viewer:
            news = await viewer.news(DEADLINE)
            assert news is not None
            assert job.id in news.sights

    asyncio.run(watch())
    assert len(control.looks) >= 3
