"""The one reader of the database for all who watch: nothing is left out, nothing is told twice."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import httpx
import pytest

from backburner import Backburner, Job, JobState
from backburner.control import LOG_PIECES, Control
from backburner.errors import StoreUnavailable
from backburner.progress import LogLine
from backburner.web import web_app
from backburner.web.feed import FRESH_SECONDS, MOST_PLACES, Feed, Viewer
from backburner.web.shutdown import Shutdown
from backburner.worker import Worker
from tests.waiting import wait_until
from tests.web.shop import Shop, by_header, events_of, store_output

DEADLINE = 30


@pytest.fixture
def done(shop: Shop, worker: Worker) -> Job:
    shop.gate.set()
    job = shop.export.options(owner="lena").enqueue("October")
    assert job.wait(DEADLINE)
    return job.refresh()


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


def test_who_comes_to_what_is_watched_is_told_by_the_last_round(jobs: Backburner, shop: Shop) -> None:
    watched, other = (shop.add.enqueue(1, n).id for n in range(2))
    control, now = CountingControl(jobs._database, jobs.registry, jobs._watch), [100.0]
    control.looks = []
    # One round, and no other before the end.
    feed = Feed(control, Shutdown(), seconds=3_600, clock=lambda: now[0])

    async def come() -> None:
        assert set(await feed.sights([watched])) == {watched}
        with feed.watch([watched]) as viewer:
            assert await viewer.news(DEADLINE) is not None
            control.looks.clear()
            assert set(await feed.sights([watched, other, "gone"])) == {watched, other}
            assert control.looks == [[other, "gone"]]
            assert set(await feed.sights([watched])) == {watched}
            assert len(control.looks) == 1
            # Who has seen the end of a job that runs again may not be told of that end once more.
            feed._last[watched] = replace(
                feed._last[watched], job=replace(feed._last[watched].job, state=JobState.FAILED)
            )
            assert (await feed.sights([watched]))[watched].job.state == "queued"
            assert control.looks[1:] == [[watched]]
            control.looks.clear()
            now[0] += FRESH_SECONDS + 0.1
            assert set(await feed.sights([watched, other])) == {watched, other}
            assert control.looks == [[watched, other]]

    asyncio.run(come())


@pytest.mark.parametrize("path", ["/jobs/{}/events", "/jobs/feed?ids={}"])
def test_a_stream_of_what_is_watched_asks_nothing_to_begin(
    jobs: Backburner, shop: Shop, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr("backburner.web.events.LOOK_SECONDS", 0.01)
    job, looks = shop.add.options(visibility="public").enqueue(1, 2), list[Sequence[str]]()
    glance = jobs.control.glance

    def seen(ids: Sequence[str]) -> dict[str, Job]:
        looks.append(ids)
        return glance(ids)

    app = web_app(jobs, resolve_user=by_header)
    feed: Feed = app.state.feed
    feed._seconds = 3_600
    monkeypatch.setattr(jobs.control, "glance", seen)

    async def watch() -> str:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")
        with feed.watch([job.id]) as viewer:
            assert await viewer.news(DEADLINE) is not None
            looks.clear()
            stream = asyncio.create_task(client.get(path.format(job.id)))
            while feed.viewers < 2:  # noqa: ASYNC110 (the loop of this test is where it comes true)
                await asyncio.sleep(0)
            app.state.shutdown.ask()
            return (await stream).text

    assert [kind for kind, *_ in events_of(asyncio.run(watch()))] == ["snapshot"]
    assert looks == []


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


async def until_caught_up(viewer: Viewer) -> int:
    """How many pieces of output a viewer is told until there is no more of it."""
    pieces = 0
    while (news := await viewer.news(DEADLINE)) is not None:
        pieces += len(news.pieces)
        if news.caught_up and news.sights:
            return pieces
    raise AssertionError("the viewer was not told that there is no more")


def test_output_that_a_failed_look_did_not_bring_comes_with_the_next(jobs: Backburner, shop: Shop) -> None:
    job = shop.add.enqueue(1, 2)

    class FailingOnce(CountingControl):
        failing = False

        def log_after(self, starts: Mapping[str, int]) -> dict[str, list[LogLine]]:
            if starts and self.failing:
                self.failing = False
                raise StoreUnavailable("the database does not answer")
            return super().log_after(starts)

    control = FailingOnce(jobs._database, jobs.registry, jobs._watch)
    control.looks = []

    async def watch() -> int:
        with Feed(control, Shutdown(), seconds=0.01).watch([job.id], output=True) as viewer:
            assert await until_caught_up(viewer) == 0
            control.failing = True
            await asyncio.to_thread(store_output, jobs, job, ["x\n"] * 3)
            await asyncio.to_thread(jobs.cancel, job.id)
            return await until_caught_up(viewer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backburner.web.feed.TROUBLE_SECONDS", 0.01)
        assert asyncio.run(watch()) == 3
    assert not control.failing


def test_output_beyond_one_look_reaches_those_who_had_caught_up(jobs: Backburner, shop: Shop) -> None:
    job, pieces = shop.add.enqueue(1, 2), LOG_PIECES * 2 + 7

    async def watch() -> int:
        with Feed(jobs.control, Shutdown(), seconds=0.01).watch([job.id], output=True) as viewer:
            assert await until_caught_up(viewer) == 0
            await asyncio.to_thread(store_output, jobs, job, ["x\n"] * pieces)
            await asyncio.to_thread(jobs.cancel, job.id)
            told = 0
            while (news := await viewer.news(DEADLINE)) is not None:
                told += len(news.pieces)
                if news.caught_up:
                    return told
        raise AssertionError("the viewer was not told that there is no more")

    assert asyncio.run(watch()) == pieces


def test_places_in_line_stay_known_however_many_are_watched(
    jobs: Backburner, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backburner.web.feed.PLACES_SECONDS", 0.0)
    ids = [shop.add.enqueue(1, n).id for n in range(MOST_PLACES + 5)]
    control = CountingControl(jobs._database, jobs.registry, jobs._watch)
    control.looks = []

    async def watch() -> list[int | None]:
        with Feed(control, Shutdown(), seconds=0.001).watch(ids) as viewer:
            news = await viewer.news(DEADLINE)
            assert news is not None
            seen = {job_id: sight.place for job_id, sight in news.sights.items()}
            await asyncio.to_thread(wait_until, lambda: len(control.looks) >= 10, "ten looks")
            # Nothing has changed, so there is nothing to tell.
            assert await viewer.news(0) is None
            return [seen[job_id] for job_id in ids]

    assert asyncio.run(watch()) == list(range(1, MOST_PLACES + 6))


def test_a_job_that_is_gone_is_told_once(jobs: Backburner, shop: Shop) -> None:
    gone, kept = shop.add.enqueue(1, 2), shop.add.enqueue(1, 2)
    gone.delete()
    control = CountingControl(jobs._database, jobs.registry, jobs._watch)
    control.looks = []

    async def watch() -> None:
        with Feed(control, Shutdown(), seconds=0.001).watch([gone.id, kept.id]) as viewer:
            news = await viewer.news(DEADLINE)
            assert news is not None
            assert news.gone == {gone.id}
            looked = len(control.looks)
            await asyncio.to_thread(wait_until, lambda: len(control.looks) >= looked + 5, "five looks")
            assert await viewer.news(0) is None

    asyncio.run(watch())
